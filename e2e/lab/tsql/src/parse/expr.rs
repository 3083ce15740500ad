//! Expressions and conditions, by precedence ("Operator Precedence (Transact-SQL)").

use super::call::plain_call;
use super::keywords::is_reserved;
use super::lex::Tok;
use super::{Parser, Result};
use crate::ast::{Arith, Cmp, Expr, OrderItem};
use crate::convert::parse_numeric;
use crate::error::SqlError;
use crate::host::Version;
use crate::types::{MAX, Ty, Value};

/// Longest chain of one operator (`a + b + ...`): each link is a level of the tree.
const LONGEST: usize = 200;

/// Value and type of a number literal: int, then numeric, then float.
pub(super) fn number(text: &str) -> Result<(Value, Ty)> {
    if let Ok(i) = text.parse::<i32>() {
        return Ok((Value::Int(i.into()), Ty::Int));
    }
    if let Some((digits, scale)) = parse_numeric(text) {
        let length = digits.unsigned_abs().to_string().len() as u8;
        if length > 38 {
            return Err(SqlError::custom(
                1007,
                15,
                1,
                format!(
                    "The number '{text}' is out of the range for numeric representation (maximum precision 38)."
                ),
            ));
        }
        return Ok((Value::Numeric(digits, scale), Ty::Numeric(length.max(scale).max(1), scale)));
    }
    match text.parse::<f64>() {
        Ok(f) if f.is_finite() => Ok((Value::Float(f), Ty::Float)),
        _ => Err(SqlError::near(text)),
    }
}

fn text_type(text: &str, national: bool) -> Ty {
    let n = text.encode_utf16().count();
    let limit = if national { 4000 } else { 8000 };
    let n = if n > limit { MAX } else { (n as i32).max(1) };
    if national { Ty::NVarChar(n) } else { Ty::VarChar(n) }
}

impl Parser {
    /// A literal, if one stands here.
    pub(super) fn literal(&mut self) -> Result<Option<(Value, Ty)>> {
        let out = match self.peek() {
            Tok::Number(n) => number(n)?,
            Tok::Text(t, national) => (Value::Text(t.clone()), text_type(t, *national)),
            Tok::Hex(b) => (Value::Binary(b.clone()), Ty::VarBinary((b.len() as i32).max(1))),
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(out))
    }

    /// A condition; 4145 where a plain value stands.
    pub(super) fn condition(&mut self) -> Result<Expr> {
        let expr = self.any()?;
        if expr.is_condition() { Ok(expr) } else { Err(self.not_a_condition()) }
    }

    fn not_a_condition(&self) -> SqlError {
        let text = match self.peek() {
            Tok::Word(w) | Tok::Quoted(w) | Tok::Var(w) | Tok::Number(w) | Tok::Text(w, _) => w.clone(),
            Tok::Op(o) => (*o).to_owned(),
            Tok::Hex(_) | Tok::End => ";".to_owned(),
        };
        SqlError::new(4145, &[&text]).at(self.line())
    }

    /// A value; a condition is 102.
    pub(super) fn value(&mut self) -> Result<Expr> {
        let before = self.at;
        let expr = self.deeper(Self::sum)?;
        if expr.is_condition() {
            self.at = before;
            return self.fail();
        }
        Ok(expr)
    }

    /// A condition or a value.
    fn any(&mut self) -> Result<Expr> {
        self.deeper(|p| p.chain("OR", Self::conjunction, Expr::Or))
    }

    fn conjunction(&mut self) -> Result<Expr> {
        self.chain("AND", Self::negation, Expr::And)
    }

    fn chain(
        &mut self,
        word: &str,
        part: fn(&mut Parser) -> Result<Expr>,
        make: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr> {
        let first = part(self)?;
        if !self.is(word) {
            return Ok(first);
        }
        let mut parts = vec![first];
        loop {
            if !parts.last().is_some_and(Expr::is_condition) {
                return Err(self.not_a_condition());
            }
            if !self.eat(word) {
                return Ok(make(parts));
            }
            parts.push(part(self)?);
        }
    }

    fn negation(&mut self) -> Result<Expr> {
        if self.eat("NOT") {
            let inner = self.deeper(Self::negation)?;
            if !inner.is_condition() {
                return Err(self.not_a_condition());
            }
            return Ok(Expr::Not(Box::new(inner)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Expr> {
        if self.eat("EXISTS") {
            let query = self.in_parens(|p| p.query())?;
            return Ok(Expr::Exists(Box::new(query)));
        }
        let left = self.sum()?;
        if left.is_condition() {
            return Ok(left);
        }
        let operator = match self.peek() {
            Tok::Op("=") => Some(Cmp::Eq),
            Tok::Op("<>" | "!=") => Some(Cmp::Ne),
            Tok::Op("<") => Some(Cmp::Lt),
            Tok::Op("<=" | "!>") => Some(Cmp::Le),
            Tok::Op(">") => Some(Cmp::Gt),
            Tok::Op(">=" | "!<") => Some(Cmp::Ge),
            _ => None,
        };
        if let Some(operator) = operator {
            self.next();
            let right = self.operand()?;
            return Ok(Expr::Compare(operator, Box::new(left), Box::new(right)));
        }
        if self.eat("IS") {
            let negated = self.eat("NOT");
            self.need("NULL")?;
            return Ok(Expr::IsNull(Box::new(left), negated));
        }
        let negated =
            self.is("NOT") && ["LIKE", "IN", "BETWEEN"].iter().any(|w| self.word_is(1, w)) && self.eat("NOT");
        let value = Box::new(left);
        if self.eat("LIKE") {
            let pattern = Box::new(self.operand()?);
            let escape = if self.eat("ESCAPE") { Some(Box::new(self.operand()?)) } else { None };
            return Ok(Expr::Like { value, pattern, escape, negated });
        }
        if self.eat("BETWEEN") {
            let low = Box::new(self.operand()?);
            self.need("AND")?;
            let high = Box::new(self.operand()?);
            return Ok(Expr::Between { value, low, high, negated });
        }
        if self.eat("IN") {
            self.need_op("(")?;
            let out = if self.is("SELECT") || self.is("WITH") {
                Expr::InQuery { value, query: Box::new(self.query()?), negated }
            } else {
                Expr::InList { value, list: self.list(|p| p.value())?, negated }
            };
            self.need_op(")")?;
            return Ok(out);
        }
        Ok(*value)
    }

    /// The right side of a predicate: a value.
    fn operand(&mut self) -> Result<Expr> {
        let at = self.at;
        let expr = self.sum()?;
        if expr.is_condition() {
            self.at = at;
            return self.fail();
        }
        Ok(expr)
    }

    fn sum(&mut self) -> Result<Expr> {
        let operator = |tok: &Tok| match tok {
            Tok::Op("+") => Some(Arith::Add),
            Tok::Op("-") => Some(Arith::Sub),
            Tok::Op("&") => Some(Arith::And),
            Tok::Op("|") => Some(Arith::Or),
            Tok::Op("^") => Some(Arith::Xor),
            _ => None,
        };
        self.binary(Self::product, operator)
    }

    fn product(&mut self) -> Result<Expr> {
        let operator = |tok: &Tok| match tok {
            Tok::Op("*") => Some(Arith::Mul),
            Tok::Op("/") => Some(Arith::Div),
            Tok::Op("%") => Some(Arith::Mod),
            _ => None,
        };
        self.binary(Self::unary, operator)
    }

    fn binary(
        &mut self,
        part: fn(&mut Parser) -> Result<Expr>,
        operator: impl Fn(&Tok) -> Option<Arith>,
    ) -> Result<Expr> {
        let mut left = part(self)?;
        let mut links = 0;
        while let Some(arith) = operator(self.peek()) {
            if left.is_condition() {
                return self.fail();
            }
            links += 1;
            if links > LONGEST {
                return Err(SqlError::new(191, &[]).at(self.line()));
            }
            self.next();
            let at = self.at;
            let right = part(self)?;
            if right.is_condition() {
                self.at = at;
                return self.fail();
            }
            left = Expr::Arith(arith, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr> {
        match self.peek() {
            Tok::Op("-") => {
                self.next();
                // The smallest int is one literal, not the negation of one that is too large.
                if let Tok::Number(n) = self.peek().clone() {
                    self.next();
                    let (value, ty) = number(&format!("-{n}"))?;
                    return self.collated(Expr::Lit(value, ty));
                }
                let inner = self.deeper(Self::unary)?;
                if inner.is_condition() {
                    return self.fail();
                }
                Ok(Expr::Neg(Box::new(inner)))
            }
            Tok::Op("+") => {
                self.next();
                self.deeper(Self::unary)
            }
            Tok::Op("~") => {
                self.next();
                let inner = self.deeper(Self::unary)?;
                if inner.is_condition() {
                    return self.fail();
                }
                Ok(Expr::BitNot(Box::new(inner)))
            }
            _ => {
                let primary = self.primary()?;
                self.collated(primary)
            }
        }
    }

    /// COLLATE is accepted where it changes nothing: every simulated server has one collation.
    fn collated(&mut self, expr: Expr) -> Result<Expr> {
        while self.eat("COLLATE") {
            let name = self.identifier_or("DATABASE_DEFAULT")?;
            let known = name.eq_ignore_ascii_case("DATABASE_DEFAULT")
                || name.eq_ignore_ascii_case("CATALOG_DEFAULT")
                || name.to_ascii_uppercase().ends_with("_CI_AS");
            if !known {
                return Err(SqlError::custom(448, 16, 1, format!("Invalid collation '{name}'.")));
            }
        }
        Ok(expr)
    }

    fn identifier_or(&mut self, word: &str) -> Result<String> {
        if self.eat(word) { Ok(word.to_owned()) } else { self.identifier() }
    }

    fn primary(&mut self) -> Result<Expr> {
        if let Some((value, ty)) = self.literal()? {
            return Ok(Expr::Lit(value, ty));
        }
        match self.peek().clone() {
            Tok::Var(v) => {
                self.next();
                Ok(Expr::Var(v))
            }
            Tok::Op("(") => self.parenthesis(),
            Tok::Word(w) => self.word(&w),
            Tok::Quoted(_) => self.column(),
            _ => self.fail(),
        }
    }

    fn parenthesis(&mut self) -> Result<Expr> {
        self.need_op("(")?;
        if self.is("SELECT") || self.is("WITH") {
            let query = Box::new(self.deeper(|p| p.query())?);
            self.need_op(")")?;
            if self.is_op(".") && query.xml.as_ref().is_some_and(|x| x.typed) {
                return self.xml_value(query);
            }
            return Ok(Expr::Scalar(query));
        }
        let inner = self.any()?;
        self.need_op(")")?;
        Ok(inner)
    }

    /// `.value('.', 'nvarchar(max)')`: the idiom that joins texts on servers without STRING_AGG.
    fn xml_value(&mut self, query: Box<crate::ast::Query>) -> Result<Expr> {
        self.need_op(".")?;
        // Methods of the xml type are case-sensitive.
        match self.next() {
            Tok::Word(w) if w == "value" => {}
            tok => return Err(tok.unexpected()),
        }
        self.need_op("(")?;
        match self.next() {
            Tok::Text(path, _) if matches!(path.as_str(), "." | "(./text())[1]" | "text()[1]") => {}
            tok => return Err(tok.unexpected()),
        }
        self.need_op(",")?;
        let ty = match self.next() {
            Tok::Text(ty, _) => Ty::parse(&ty)?,
            tok => return Err(tok.unexpected()),
        };
        self.need_op(")")?;
        Ok(Expr::XmlValue(query, ty))
    }

    fn word(&mut self, word: &str) -> Result<Expr> {
        let upper = word.to_ascii_uppercase();
        let called = matches!(self.peek_at(1), Tok::Op("("));
        match upper.as_str() {
            "NULL" => {
                self.next();
                Ok(Expr::Null)
            }
            "CASE" => self.case(),
            "CAST" if called => self.cast(false),
            "TRY_CAST" if called && self.version >= Version::V2012 => self.cast(true),
            "CONVERT" if called => self.convert(false),
            "TRY_CONVERT" if called && self.version >= Version::V2012 => self.convert(true),
            "CURRENT_TIMESTAMP" | "CURRENT_USER" | "SESSION_USER" | "SYSTEM_USER" | "USER" => {
                self.next();
                Ok(Expr::Call(Box::new(plain_call(upper))))
            }
            "COALESCE" | "NULLIF" | "LEFT" | "RIGHT" if called => self.call(upper),
            _ if is_reserved(word) => self.fail(),
            _ if called => self.call(upper),
            _ => self.column(),
        }
    }

    fn column(&mut self) -> Result<Expr> {
        let name = self.name()?;
        // `schema.function(...)`: there are no user functions here.
        if self.is_op("(") {
            return Err(SqlError::new(4121, &[&name[0], &name.join(".")]));
        }
        if name.iter().any(String::is_empty) {
            return self.fail();
        }
        Ok(Expr::Name(name))
    }

    /// `ORDER BY a, b DESC`.
    pub(super) fn order_by(&mut self) -> Result<Vec<OrderItem>> {
        self.need("ORDER")?;
        self.need("BY")?;
        self.list(|p| {
            let expr = p.value()?;
            let descending = p.eat("DESC");
            if !descending {
                p.eat("ASC");
            }
            Ok(OrderItem { expr, descending })
        })
    }
}
