//! SELECT and what surrounds it: CTEs, set operations, joins, TOP, ORDER BY, FOR XML PATH.

use super::lex::Tok;
use super::{Parser, Result};
use crate::ast::{Arith, Body, Cte, ForXml, Item, JoinKind, Query, Select, SetOp, Source, Top};
use crate::error::SqlError;
use crate::host::Version;

/// Table hints that change nothing here.
const HINTS: [&str; 11] = [
    "NOLOCK",
    "READUNCOMMITTED",
    "READCOMMITTED",
    "READPAST",
    "ROWLOCK",
    "PAGLOCK",
    "TABLOCK",
    "TABLOCKX",
    "UPDLOCK",
    "XLOCK",
    "HOLDLOCK",
];

impl Parser {
    /// A whole query expression.
    pub(super) fn query(&mut self) -> Result<Query> {
        self.deeper(|p| {
            let mut ctes = Vec::new();
            if p.eat("WITH") {
                ctes = p.list(|p| {
                    let name = p.identifier()?;
                    let columns = p.column_list()?;
                    p.need("AS")?;
                    let query = p.in_parens(|p| p.query())?;
                    Ok(Cte { name, columns, query })
                })?;
            }
            let body = p.union()?;
            let order = if p.is("ORDER") { p.order_by()? } else { Vec::new() };
            let mut offset = None;
            if !order.is_empty() && p.version >= Version::V2012 && p.is("OFFSET") {
                p.next();
                let skip = p.value()?;
                p.one_of(&["ROWS", "ROW"])?;
                let mut take = None;
                if p.eat("FETCH") {
                    p.one_of(&["NEXT", "FIRST"])?;
                    take = Some(p.value()?);
                    p.one_of(&["ROWS", "ROW"])?;
                    p.need("ONLY")?;
                }
                offset = Some((skip, take));
            }
            let xml = if p.is("FOR") && p.word_is(1, "XML") { Some(p.for_xml()?) } else { None };
            if p.is("OPTION") {
                p.next();
                p.in_parens(|p| {
                    if p.eat("MAXDOP") {
                        p.number_or_variable().map(|_| ())
                    } else {
                        p.one_of(&["RECOMPILE"]).map(|_| ())
                    }
                })?;
            }
            Ok(Query { ctes, body, order, offset, xml })
        })
    }

    fn column_list(&mut self) -> Result<Vec<String>> {
        if self.is_op("(") { self.in_parens(|p| p.list(|p| p.identifier())) } else { Ok(Vec::new()) }
    }

    fn union(&mut self) -> Result<Body> {
        let mut left = self.intersect()?;
        let mut links = 0;
        loop {
            let op = if self.eat("UNION") {
                if self.eat("ALL") { SetOp::UnionAll } else { SetOp::Union }
            } else if self.eat("EXCEPT") {
                SetOp::Except
            } else {
                return Ok(left);
            };
            links += 1;
            if links > 100 {
                return Err(SqlError::new(191, &[]).at(self.line()));
            }
            let right = self.intersect()?;
            left = Body::Set(op, Box::new(left), Box::new(right));
        }
    }

    fn intersect(&mut self) -> Result<Body> {
        let mut left = self.query_term()?;
        let mut links = 0;
        while self.eat("INTERSECT") {
            links += 1;
            if links > 100 {
                return Err(SqlError::new(191, &[]).at(self.line()));
            }
            let right = self.query_term()?;
            left = Body::Set(SetOp::Intersect, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn query_term(&mut self) -> Result<Body> {
        if self.is_op("(") {
            let query = self.in_parens(|p| p.query())?;
            return Ok(Body::Nested(Box::new(query)));
        }
        self.select().map(|s| Body::Select(Box::new(s)))
    }

    fn select(&mut self) -> Result<Select> {
        self.need("SELECT")?;
        let distinct = self.eat("DISTINCT");
        if !distinct {
            self.eat("ALL");
        }
        let top = if self.eat("TOP") { Some(self.top()?) } else { None };
        let items = self.list(|p| p.item())?;
        let into = if self.eat("INTO") { Some(self.name()?) } else { None };
        let from = if self.eat("FROM") { self.list(|p| p.joined())? } else { Vec::new() };
        let filter = if self.eat("WHERE") { Some(self.condition()?) } else { None };
        let mut group = Vec::new();
        if self.eat("GROUP") {
            self.need("BY")?;
            group = self.list(|p| p.value())?;
        }
        let having = if self.eat("HAVING") { Some(self.condition()?) } else { None };
        Ok(Select { distinct, top, items, into, from, filter, group, having })
    }

    fn top(&mut self) -> Result<Top> {
        let count = if self.is_op("(") {
            self.in_parens(|p| p.value())?
        } else {
            match self.literal()? {
                Some((value, ty)) if ty.is_number() => crate::ast::Expr::Lit(value, ty),
                _ => return self.fail(),
            }
        };
        let percent = self.eat("PERCENT");
        let ties = self.is("WITH") && self.word_is(1, "TIES");
        if ties {
            self.next();
            self.next();
        }
        Ok(Top { count, percent, ties })
    }

    fn item(&mut self) -> Result<Item> {
        if self.eat_op("*") {
            return Ok(Item::Star(None));
        }
        // `a.b.*`
        let mut ahead = 0;
        while self.is_identifier(ahead) && matches!(self.peek_at(ahead + 1), Tok::Op(".")) {
            ahead += 2;
        }
        if ahead > 0 && matches!(self.peek_at(ahead), Tok::Op("*")) {
            let mut name = Vec::new();
            while !self.eat_op("*") {
                name.push(self.identifier()?);
                self.need_op(".")?;
            }
            return Ok(Item::Star(Some(name)));
        }
        if let Tok::Var(v) = self.peek().clone()
            && !v.starts_with("@@")
            && let Some(op) = assignment(self.peek_at(1))
        {
            self.next();
            self.next();
            return Ok(Item::Assign(v, op, self.value()?));
        }
        // `alias = expression`
        if matches!(self.peek_at(1), Tok::Op("="))
            && (self.is_identifier(0) || matches!(self.peek(), Tok::Text(..)))
        {
            let alias = self.alias()?;
            self.next();
            return Ok(Item::Expr(self.value()?, Some(alias)));
        }
        let expr = self.value()?;
        let aliased = self.eat("AS") || self.is_identifier(0) || matches!(self.peek(), Tok::Text(..));
        let alias = if aliased { Some(self.alias()?) } else { None };
        Ok(Item::Expr(expr, alias))
    }

    fn alias(&mut self) -> Result<String> {
        if let Tok::Text(t, _) = self.peek().clone() {
            self.next();
            return Ok(t);
        }
        self.identifier()
    }

    /// A table source with the joins behind it.
    fn joined(&mut self) -> Result<Source> {
        let mut left = self.factor()?;
        let mut links = 0;
        loop {
            links += 1;
            if links > 60 {
                return Err(SqlError::new(191, &[]).at(self.line()));
            }
            if self.is("CROSS") && self.word_is(1, "APPLY") || self.is("OUTER") && self.word_is(1, "APPLY") {
                let outer = self.is("OUTER");
                self.next();
                self.next();
                let right = Box::new(self.factor()?);
                left = Source::Apply { outer, left: Box::new(left), right };
                continue;
            }
            let kind = if self.eat("CROSS") {
                JoinKind::Cross
            } else if self.eat("INNER") {
                JoinKind::Inner
            } else if self.is("LEFT") || self.is("RIGHT") || self.is("FULL") {
                let word = self.one_of(&["LEFT", "RIGHT", "FULL"])?;
                self.eat("OUTER");
                match word.as_str() {
                    "LEFT" => JoinKind::Left,
                    "RIGHT" => JoinKind::Right,
                    _ => JoinKind::Full,
                }
            } else if self.is("JOIN") {
                JoinKind::Inner
            } else {
                return Ok(left);
            };
            self.need("JOIN")?;
            let right = Box::new(if kind == JoinKind::Cross { self.factor()? } else { self.nested_join()? });
            let on = if kind == JoinKind::Cross {
                None
            } else {
                self.need("ON")?;
                Some(self.condition()?)
            };
            left = Source::Join { kind, left: Box::new(left), right, on };
        }
    }

    /// The right side of a join: `a JOIN b JOIN c ON .. ON ..` nests to the right.
    fn nested_join(&mut self) -> Result<Source> {
        let right = self.factor()?;
        if self.is("ON") {
            return Ok(right);
        }
        let kind = match () {
            () if self.is("JOIN") => JoinKind::Inner,
            () if self.eat("INNER") => JoinKind::Inner,
            () if self.eat("LEFT") => JoinKind::Left,
            () => return Ok(right),
        };
        self.eat("OUTER");
        self.need("JOIN")?;
        let inner = Box::new(self.deeper(Self::nested_join)?);
        self.need("ON")?;
        let on = Some(self.condition()?);
        Ok(Source::Join { kind, left: Box::new(right), right: inner, on })
    }

    fn factor(&mut self) -> Result<Source> {
        if self.is_op("(") {
            return self.deeper(Self::derived);
        }
        let name = match self.peek() {
            Tok::Var(_) => vec![self.variable()?],
            _ => self.name()?,
        };
        if self.is_op("(") {
            // Table-valued functions: none is known here.
            return Err(SqlError::new(208, &[&name.join(".")]).at(self.line()));
        }
        let alias = self.table_alias()?;
        if self.is("WITH") && matches!(self.peek_at(1), Tok::Op("(")) {
            self.next();
            self.hints()?;
        } else if self.is_op("(") {
            self.hints()?;
        }
        Ok(Source::Table { name, alias })
    }

    fn table_alias(&mut self) -> Result<Option<String>> {
        if self.eat("AS") || self.is_identifier(0) { self.identifier().map(Some) } else { Ok(None) }
    }

    fn hints(&mut self) -> Result<()> {
        self.in_parens(|p| {
            loop {
                match p.next() {
                    Tok::Word(w) if HINTS.iter().any(|h| h.eq_ignore_ascii_case(&w)) => {}
                    Tok::Word(w) => return Err(SqlError::new(321, &[&w])),
                    tok => return Err(tok.unexpected()),
                }
                if !p.eat_op(",") && p.is_op(")") {
                    return Ok(());
                }
            }
        })
    }

    fn derived(&mut self) -> Result<Source> {
        self.need_op("(")?;
        if self.eat("VALUES") {
            let rows = self.list(|p| p.in_parens(|p| p.list(|p| p.value())))?;
            self.need_op(")")?;
            self.eat("AS");
            let alias = self.identifier()?;
            let columns = self.column_list()?;
            if rows.iter().any(|r| r.len() != rows[0].len()) {
                return Err(SqlError::new(10709, &[]));
            }
            return Ok(Source::Values { rows, alias, columns });
        }
        if self.is("SELECT") || self.is("WITH") || self.is_op("(") && self.word_is(1, "SELECT") {
            let query = Box::new(self.query()?);
            self.need_op(")")?;
            self.eat("AS");
            let alias = self.identifier()?;
            let columns = self.column_list()?;
            return Ok(Source::Derived { query, alias, columns });
        }
        let inner = self.joined()?;
        self.need_op(")")?;
        Ok(inner)
    }

    fn for_xml(&mut self) -> Result<ForXml> {
        self.need("FOR")?;
        self.need("XML")?;
        self.need("PATH")?;
        let mut xml = ForXml { element: "row".to_owned(), root: None, typed: false };
        let text = |p: &mut Parser| match p.next() {
            Tok::Text(t, _) => Ok(t),
            tok => Err(tok.unexpected()),
        };
        if self.is_op("(") {
            xml.element = self.in_parens(text)?;
        }
        while self.eat_op(",") {
            if self.eat("ROOT") {
                xml.root = Some(if self.is_op("(") { self.in_parens(text)? } else { "root".to_owned() });
            } else {
                self.need("TYPE")?;
                xml.typed = true;
            }
        }
        Ok(xml)
    }
}

/// The operator of an assignment: `=` is `Some(None)`, `+=` is `Some(Some(Add))`.
pub(super) fn assignment(tok: &Tok) -> Option<Option<Arith>> {
    Some(match tok {
        Tok::Op("=") => None,
        Tok::Op("+=") => Some(Arith::Add),
        Tok::Op("-=") => Some(Arith::Sub),
        Tok::Op("*=") => Some(Arith::Mul),
        Tok::Op("/=") => Some(Arith::Div),
        Tok::Op("%=") => Some(Arith::Mod),
        Tok::Op("&=") => Some(Arith::And),
        Tok::Op("|=") => Some(Arith::Or),
        Tok::Op("^=") => Some(Arith::Xor),
        _ => return None,
    })
}
