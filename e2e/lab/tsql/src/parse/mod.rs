//! Parser of T-SQL by recursive descent: statements, queries, expressions.
//!
//! It admits what this crate can carry out and nothing else: a construct that SQL Server knows but the lab
//! does not is refused here with 102 or 156, so no later stage meets it.

mod admin;
mod call;
mod ddl;
mod endpoint;
mod exec;
mod expr;
mod keywords;
mod lex;
mod query;
mod stmt;

use crate::ast::{Arg, Batch, Name, Node};
use crate::error::SqlError;
use crate::host::Version;
use crate::types::{MAX, Ty, Value};
use keywords::is_reserved;
use lex::{Tok, Token};

type Result<T> = std::result::Result<T, SqlError>;

/// Nesting at which SQL Server gives up too (191); keeps the stack bounded.
const DEEPEST: u32 = 40;

/// Parses a batch for a server version.
pub(crate) fn batch(text: &str, version: Version) -> Result<Batch> {
    let mut parser = Parser::new(text, version)?;
    match parser.batch() {
        Ok(nodes) => Ok(Batch { nodes, version }),
        Err(e) => Err(e.at(parser.line())),
    }
}

/// Parses the parameter declaration of sp_executesql: name, type, output.
pub(crate) fn parameters(text: &str, version: Version) -> Result<Vec<(String, Ty, bool)>> {
    let mut parser = Parser::new(text, version)?;
    if parser.peek() == &Tok::End {
        return Ok(Vec::new());
    }
    let list = parser.list(|p| {
        let name = p.variable()?;
        p.eat("AS");
        let ty = p.ty(1)?;
        let output = p.eat("OUTPUT") || p.eat("OUT");
        Ok((name, ty, output))
    })?;
    if parser.peek() == &Tok::End { Ok(list) } else { Err(parser.unexpected()) }
}

/// Parts of a name kept in a variable (`EXEC @procedure`); 2812 is the caller's.
pub(crate) fn name_parts(text: &str) -> Option<Name> {
    let mut parser = Parser::new(text, Version::V2019).ok()?;
    let name = parser.name().ok()?;
    (parser.peek() == &Tok::End).then_some(name)
}

pub(crate) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    loops: u32,
    version: Version,
}

impl Parser {
    fn new(text: &str, version: Version) -> Result<Parser> {
        Ok(Parser { tokens: lex::tokens(text)?, at: 0, depth: 0, loops: 0, version })
    }

    fn batch(&mut self) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        self.semicolons();
        // Only the first statement of a batch may call a procedure without EXEC.
        if let Some(node) = self.implicit_exec()? {
            nodes.push(node);
        }
        loop {
            self.semicolons();
            if self.peek() == &Tok::End {
                return Ok(nodes);
            }
            nodes.push(self.statement()?);
        }
    }

    fn peek(&self) -> &Tok {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Tok {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + ahead).min(last)].tok
    }

    fn line(&self) -> u32 {
        self.tokens[self.at.min(self.tokens.len() - 1)].line
    }

    fn next(&mut self) -> Tok {
        let tok = self.peek().clone();
        if self.at < self.tokens.len() - 1 {
            self.at += 1;
        }
        tok
    }

    fn unexpected(&self) -> SqlError {
        // At the end of the text SQL Server names the last token.
        let tok = match self.peek() {
            Tok::End if self.at > 0 => &self.tokens[self.at - 1].tok,
            tok => tok,
        };
        tok.unexpected().at(self.line())
    }

    fn fail<T>(&self) -> Result<T> {
        Err(self.unexpected())
    }

    /// Is the token `ahead` this word?
    fn word_is(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek_at(ahead), Tok::Word(w) if w.eq_ignore_ascii_case(word))
    }

    fn is(&self, word: &str) -> bool {
        self.word_is(0, word)
    }

    fn eat(&mut self, word: &str) -> bool {
        let hit = self.is(word);
        if hit {
            self.next();
        }
        hit
    }

    fn need(&mut self, word: &str) -> Result<()> {
        if self.eat(word) { Ok(()) } else { self.fail() }
    }

    fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Tok::Op(o) if *o == op)
    }

    fn eat_op(&mut self, op: &str) -> bool {
        let hit = self.is_op(op);
        if hit {
            self.next();
        }
        hit
    }

    fn need_op(&mut self, op: &str) -> Result<()> {
        if self.eat_op(op) { Ok(()) } else { self.fail() }
    }

    fn semicolons(&mut self) {
        while self.eat_op(";") {}
    }

    /// One of the words, in upper case.
    fn one_of(&mut self, words: &[&str]) -> Result<String> {
        if let Tok::Word(w) = self.peek()
            && let Some(hit) = words.iter().find(|x| x.eq_ignore_ascii_case(w))
        {
            let hit = (*hit).to_owned();
            self.next();
            return Ok(hit);
        }
        self.fail()
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Parser) -> Result<T>) -> Result<Vec<T>> {
        let mut out = vec![item(self)?];
        while self.eat_op(",") {
            out.push(item(self)?);
        }
        Ok(out)
    }

    fn in_parens<T>(&mut self, item: impl FnOnce(&mut Parser) -> Result<T>) -> Result<T> {
        self.need_op("(")?;
        let out = item(self)?;
        self.need_op(")")?;
        Ok(out)
    }

    /// Runs a rule one level deeper; 191 when the text is nested too deeply.
    fn deeper<T>(&mut self, rule: impl FnOnce(&mut Parser) -> Result<T>) -> Result<T> {
        if self.depth >= DEEPEST {
            return Err(SqlError::new(191, &[]).at(self.line()));
        }
        self.depth += 1;
        let out = rule(self);
        self.depth -= 1;
        out
    }

    /// Can the token be a name?
    fn is_identifier(&self, ahead: usize) -> bool {
        match self.peek_at(ahead) {
            Tok::Quoted(_) => true,
            Tok::Word(w) => !is_reserved(w),
            _ => false,
        }
    }

    fn identifier(&mut self) -> Result<String> {
        if !self.is_identifier(0) {
            return self.fail();
        }
        match self.next() {
            Tok::Quoted(w) | Tok::Word(w) => Ok(w),
            _ => self.fail(),
        }
    }

    fn variable(&mut self) -> Result<String> {
        match self.peek() {
            Tok::Var(v) if !v.starts_with("@@") => {
                let v = v.clone();
                self.next();
                Ok(v)
            }
            _ => self.fail(),
        }
    }

    /// A name of up to four parts, empty ones allowed in the middle.
    fn name(&mut self) -> Result<Name> {
        let mut parts = vec![self.identifier()?];
        while self.eat_op(".") {
            let part = if self.is_op(".") { String::new() } else { self.identifier()? };
            parts.push(part);
        }
        if parts.len() > 4 {
            let text = parts.join(".");
            return Err(SqlError::custom(
                117,
                15,
                1,
                format!(
                    "The object name '{text}' contains more than the maximum number of prefixes. The maximum is 3."
                ),
            ));
        }
        Ok(parts)
    }

    /// A data type; `default_length` as in [`Ty::from_name`].
    fn ty(&mut self, default_length: i32) -> Result<Ty> {
        let line = self.line();
        let mut name = match self.peek() {
            Tok::Word(w) | Tok::Quoted(w) => w.clone(),
            _ => return self.fail(),
        };
        if !self.is_identifier(0) {
            return self.fail();
        }
        self.next();
        if name.eq_ignore_ascii_case("sys") && self.eat_op(".") {
            name = self.identifier()?;
        }
        let mut arguments = Vec::new();
        if self.is_op("(") {
            arguments = self.in_parens(|p| {
                p.list(|p| match p.next() {
                    Tok::Number(n) => n.parse().map_err(|_| SqlError::near(&n)),
                    Tok::Word(w) if w.eq_ignore_ascii_case("max") => Ok(MAX),
                    tok => Err(tok.unexpected()),
                })
            })?;
        }
        if arguments.len() > 2 || arguments.iter().skip(1).any(|a| *a < 0) {
            return self.fail();
        }
        Ty::from_name(&name, &arguments, default_length).map_err(|e| e.at(line))
    }

    /// A literal with an optional sign, a variable, or a bare word: what EXEC takes.
    fn argument(&mut self) -> Result<Arg> {
        if self.is_op("-") || self.is_op("+") {
            let negative = self.is_op("-");
            self.next();
            return match self.next() {
                Tok::Number(n) => {
                    let (value, ty) = expr::number(&if negative { format!("-{n}") } else { n })?;
                    Ok(Arg::Lit(value, ty))
                }
                tok => Err(tok.unexpected()),
            };
        }
        if self.is("NULL") {
            self.next();
            return Ok(Arg::Lit(Value::Null, Ty::Int));
        }
        if self.is("DEFAULT") {
            self.next();
            return Ok(Arg::Default);
        }
        if let Tok::Var(v) = self.peek() {
            let v = v.clone();
            self.next();
            return Ok(Arg::Var(v));
        }
        if let Some((value, ty)) = self.literal()? {
            return Ok(Arg::Lit(value, ty));
        }
        self.identifier().map(Arg::Word)
    }

    /// A text literal or a variable.
    fn text_or_variable(&mut self) -> Result<Arg> {
        match self.peek() {
            Tok::Text(..) | Tok::Var(_) => self.argument(),
            _ => self.fail(),
        }
    }

    /// A whole number or a variable.
    fn number_or_variable(&mut self) -> Result<Arg> {
        match self.peek() {
            Tok::Number(_) | Tok::Var(_) => self.argument(),
            Tok::Op("-") => self.argument(),
            _ => self.fail(),
        }
    }
}
