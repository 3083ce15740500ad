//! Statements of the language proper: flow, variables, DML, EXEC, RAISERROR. The administrative ones are in
//! `admin`.

use super::keywords::is_reserved;
use super::lex::Tok;
use super::query::assignment;
use super::{Parser, Result};
use crate::ast::{CursorOp, InsertSource, Name, Node, SetOption, Stmt};
use crate::error::SqlError;
use crate::host::Version;

/// SET options with ON or OFF. Those that the interpreter does not act on change nothing that it does.
const FLAGS: [&str; 20] = [
    "NOCOUNT",
    "XACT_ABORT",
    "IMPLICIT_TRANSACTIONS",
    "ARITHABORT",
    "ARITHIGNORE",
    "ANSI_NULLS",
    "ANSI_PADDING",
    "ANSI_WARNINGS",
    "ANSI_NULL_DFLT_ON",
    "ANSI_NULL_DFLT_OFF",
    "ANSI_DEFAULTS",
    "CONCAT_NULL_YIELDS_NULL",
    "CURSOR_CLOSE_ON_COMMIT",
    "QUOTED_IDENTIFIER",
    "NUMERIC_ROUNDABORT",
    "REMOTE_PROC_TRANSACTIONS",
    "FORCEPLAN",
    "NO_BROWSETABLE",
    "FMTONLY",
    "PARSEONLY",
];

impl Parser {
    pub(super) fn statement(&mut self) -> Result<Node> {
        let line = self.line();
        let stmt = self.deeper(Self::statement_body).map_err(|e| e.at(line))?;
        Ok(Node { line, stmt })
    }

    fn boxed_statement(&mut self) -> Result<Box<Node>> {
        self.semicolons_none()?;
        self.statement().map(Box::new)
    }

    /// After IF, ELSE and WHILE a statement must follow, not an empty one.
    fn semicolons_none(&self) -> Result<()> {
        if self.is_op(";") { self.fail() } else { Ok(()) }
    }

    fn statement_body(&mut self) -> Result<Stmt> {
        let word = match self.peek() {
            Tok::Word(w) => w.to_ascii_uppercase(),
            // A query in parentheses is a statement too.
            Tok::Op("(") => return self.query().map(Stmt::Query),
            _ => return self.fail(),
        };
        if matches!(self.peek_at(1), Tok::Op(":")) && !is_reserved(&word) {
            self.next();
            self.next();
            return Ok(Stmt::Label(word));
        }
        if word == "SELECT" || word == "WITH" {
            let query = self.query()?;
            if query.xml.is_some() && query_assigns(&query) {
                return self.fail();
            }
            return Ok(Stmt::Query(query));
        }
        self.next();
        match word.as_str() {
            "SET" => self.set(),
            "DECLARE" => self.declare(),
            "IF" => {
                let condition = self.condition()?;
                let then = self.boxed_statement()?;
                // `IF a b; ELSE c` is one statement: the semicolon before ELSE is allowed.
                let at = self.at;
                self.semicolons();
                let otherwise = if self.eat("ELSE") {
                    Some(self.boxed_statement()?)
                } else {
                    self.at = at;
                    None
                };
                Ok(Stmt::If(condition, then, otherwise))
            }
            "WHILE" => {
                let condition = self.condition()?;
                self.loops += 1;
                let body = self.boxed_statement();
                self.loops -= 1;
                Ok(Stmt::While(condition, body?))
            }
            "BREAK" if self.loops == 0 => Err(SqlError::new(135, &[])),
            "CONTINUE" if self.loops == 0 => Err(SqlError::new(136, &[])),
            "BREAK" => Ok(Stmt::Break),
            "CONTINUE" => Ok(Stmt::Continue),
            "BEGIN" => self.begin(),
            "COMMIT" | "ROLLBACK" => {
                let named = self.eat("TRAN") || self.eat("TRANSACTION");
                if named && self.is_identifier(0) {
                    self.identifier()?;
                } else if !named {
                    self.eat("WORK");
                }
                Ok(if word == "COMMIT" { Stmt::Commit } else { Stmt::Rollback })
            }
            "RETURN" => {
                // A batch returns no value (178); a condition tells whether one was written.
                let ends = match self.peek() {
                    Tok::End | Tok::Op(";") => true,
                    Tok::Word(w) => is_reserved(w) && !w.eq_ignore_ascii_case("CASE"),
                    _ => false,
                };
                if ends { Ok(Stmt::Return) } else { Err(SqlError::new(178, &[])) }
            }
            "GOTO" => Ok(Stmt::Goto(self.identifier()?.to_ascii_uppercase())),
            "EXEC" | "EXECUTE" => self.exec().map(Stmt::Exec),
            "RAISERROR" => self.raiserror(),
            "THROW" if self.version >= Version::V2012 => self.throw(),
            "PRINT" => self.value().map(Stmt::Print),
            "WAITFOR" => {
                self.need("DELAY")?;
                self.text_or_variable().map(Stmt::Waitfor)
            }
            "USE" => self.identifier().map(Stmt::Use),
            "INSERT" => self.insert(),
            "UPDATE" => self.update(),
            "DELETE" => {
                self.eat("FROM");
                let table = self.target()?;
                let filter = if self.eat("WHERE") { Some(self.condition()?) } else { None };
                Ok(Stmt::Delete { table, filter })
            }
            "TRUNCATE" => {
                self.need("TABLE")?;
                Ok(Stmt::Delete { table: self.name()?, filter: None })
            }
            "CREATE" => {
                if self.eat("ENDPOINT") {
                    return self.endpoint(true);
                }
                self.need("TABLE")?;
                let name = self.name()?;
                Ok(Stmt::CreateTable(name, self.column_defs()?))
            }
            "DROP" => self.drop(),
            "OPEN" => self.cursor(CursorOp::Open),
            "CLOSE" => self.cursor(CursorOp::Close),
            "DEALLOCATE" => self.cursor(CursorOp::Deallocate),
            "FETCH" => {
                if self.eat("NEXT") {
                    self.need("FROM")?;
                } else {
                    self.eat("FROM");
                }
                self.eat("GLOBAL");
                let name = self.identifier()?.to_lowercase();
                let into = if self.eat("INTO") { self.list(|p| p.variable())? } else { Vec::new() };
                Ok(Stmt::Cursor(name, CursorOp::Fetch(into)))
            }
            "CHECKPOINT" => Ok(Stmt::Checkpoint),
            "KILL" => self.kill(),
            "RESTORE" => self.restore(),
            "BACKUP" => self.backup(),
            "ALTER" if self.eat("ENDPOINT") => self.endpoint(false),
            "ALTER" => self.alter(),
            _ => {
                self.at -= 1;
                self.fail()
            }
        }
    }

    fn begin(&mut self) -> Result<Stmt> {
        if self.eat("TRY") {
            let body = self.until_end()?;
            self.need("TRY")?;
            self.semicolons();
            self.need("BEGIN")?;
            self.need("CATCH")?;
            let handler = self.until_end_or_empty(true)?;
            self.need("CATCH")?;
            return Ok(Stmt::Try(body, handler));
        }
        if self.eat("TRAN") || self.eat("TRANSACTION") {
            if self.is_identifier(0) {
                self.identifier()?;
            }
            return Ok(Stmt::BeginTran);
        }
        self.until_end().map(Stmt::Block)
    }

    fn until_end(&mut self) -> Result<Vec<Node>> {
        self.until_end_or_empty(false)
    }

    fn until_end_or_empty(&mut self, empty: bool) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        self.semicolons();
        while !self.is("END") {
            nodes.push(self.statement()?);
            self.semicolons();
        }
        if nodes.is_empty() && !empty {
            return self.fail();
        }
        self.need("END")?;
        Ok(nodes)
    }

    fn set(&mut self) -> Result<Stmt> {
        if let Tok::Var(_) = self.peek() {
            let name = self.variable()?;
            let Some(op) = assignment(self.peek()) else { return self.fail() };
            self.next();
            return Ok(Stmt::SetVar(name, op, self.value()?));
        }
        let Tok::Word(word) = self.peek().clone() else { return self.fail() };
        let word = word.to_ascii_uppercase();
        if FLAGS.contains(&word.as_str()) {
            let names = self.list(|p| p.one_of(&FLAGS))?;
            let on = self.one_of(&["ON", "OFF"])? == "ON";
            // These two would keep the batch from running; the lab does not play them.
            if on && names.iter().any(|n| n == "FMTONLY" || n == "PARSEONLY") {
                return Err(SqlError::new(195, &[&names[0], &"SET option"]));
            }
            return Ok(Stmt::SetOption(SetOption::Flag(names, on)));
        }
        self.next();
        match word.as_str() {
            "TEXTSIZE" | "LOCK_TIMEOUT" | "DATEFIRST" | "QUERY_GOVERNOR_COST_LIMIT" => {
                self.number_or_variable()?;
            }
            "ROWCOUNT" => match self.next() {
                // Any other limit would change results.
                Tok::Number(n) if n == "0" => {}
                tok => return Err(tok.unexpected()),
            },
            "DEADLOCK_PRIORITY" | "DATEFORMAT" | "LANGUAGE" => {
                self.argument()?;
            }
            "STATISTICS" => {
                self.one_of(&["IO", "TIME"])?;
                self.one_of(&["ON", "OFF"])?;
            }
            "TRANSACTION" => {
                self.need("ISOLATION")?;
                self.need("LEVEL")?;
                match self.one_of(&["READ", "REPEATABLE", "SNAPSHOT", "SERIALIZABLE"])?.as_str() {
                    "READ" => self.one_of(&["COMMITTED", "UNCOMMITTED"]).map(|_| ())?,
                    "REPEATABLE" => self.need("READ")?,
                    _ => {}
                }
            }
            _ => return Err(SqlError::new(195, &[&word, &"SET option"])),
        }
        Ok(Stmt::SetOption(SetOption::Other))
    }

    fn declare(&mut self) -> Result<Stmt> {
        if self.is_identifier(0) {
            let name = self.identifier()?.to_lowercase();
            self.need("CURSOR")?;
            const OPTIONS: [&str; 12] = [
                "LOCAL",
                "GLOBAL",
                "FORWARD_ONLY",
                "SCROLL",
                "STATIC",
                "KEYSET",
                "DYNAMIC",
                "FAST_FORWARD",
                "READ_ONLY",
                "SCROLL_LOCKS",
                "OPTIMISTIC",
                "TYPE_WARNING",
            ];
            while !self.is("FOR") {
                self.one_of(&OPTIONS)?;
            }
            self.need("FOR")?;
            return Ok(Stmt::Cursor(name, CursorOp::Declare(self.query()?)));
        }
        if self.word_is(1, "TABLE") || self.word_is(1, "AS") && self.word_is(2, "TABLE") {
            let name = self.variable()?;
            self.eat("AS");
            self.need("TABLE")?;
            return Ok(Stmt::DeclareTable(name, self.column_defs()?));
        }
        let list = self.list(|p| {
            let name = p.variable()?;
            p.eat("AS");
            let ty = p.ty(1)?;
            let initial = if p.eat_op("=") { Some(p.value()?) } else { None };
            Ok((name, ty, initial))
        })?;
        Ok(Stmt::Declare(list))
    }

    fn cursor(&mut self, op: CursorOp) -> Result<Stmt> {
        self.eat("GLOBAL");
        Ok(Stmt::Cursor(self.identifier()?.to_lowercase(), op))
    }

    fn target(&mut self) -> Result<Name> {
        match self.peek() {
            Tok::Var(_) => Ok(vec![self.variable()?]),
            _ => self.name(),
        }
    }

    fn insert(&mut self) -> Result<Stmt> {
        self.eat("INTO");
        let table = self.target()?;
        let mut columns = Vec::new();
        if self.is_op("(") && !self.word_is(1, "SELECT") && !self.word_is(1, "WITH") {
            columns = self.in_parens(|p| p.list(|p| p.identifier()))?;
        }
        let source = if self.eat("EXEC") || self.eat("EXECUTE") {
            InsertSource::Exec(self.exec()?)
        } else if self.eat("VALUES") {
            let row = |p: &mut Parser| {
                p.in_parens(|p| {
                    p.list(|p| if p.eat("DEFAULT") { Ok(crate::ast::Expr::Default) } else { p.value() })
                })
            };
            InsertSource::Values(self.list(row)?)
        } else if self.eat("DEFAULT") {
            self.need("VALUES")?;
            InsertSource::Defaults
        } else if self.is("SELECT") || self.is("WITH") || self.is_op("(") {
            InsertSource::Query(self.query()?)
        } else {
            return self.fail();
        };
        Ok(Stmt::Insert { table, columns, source })
    }

    fn update(&mut self) -> Result<Stmt> {
        let table = self.target()?;
        self.need("SET")?;
        let sets = self.list(|p| {
            let column = p.identifier()?;
            let Some(op) = assignment(p.peek()) else { return p.fail() };
            p.next();
            Ok((column, op, p.value()?))
        })?;
        let filter = if self.eat("WHERE") { Some(self.condition()?) } else { None };
        Ok(Stmt::Update { table, sets, filter })
    }

    fn raiserror(&mut self) -> Result<Stmt> {
        let mut position = 0;
        let args = self.in_parens(|p| {
            p.list(|p| {
                position += 1;
                match p.peek() {
                    // Severity and state are numbers.
                    Tok::Text(..) | Tok::Word(_) if position == 2 || position == 3 => p.fail(),
                    Tok::Var(_) | Tok::Text(..) | Tok::Number(_) | Tok::Op("-") => p.argument(),
                    Tok::Word(w) if w.eq_ignore_ascii_case("NULL") => p.argument(),
                    _ => p.fail(),
                }
            })
        })?;
        if args.len() < 3 {
            return self.fail();
        }
        let (mut nowait, mut seterror, mut log) = (false, false, false);
        if self.is("WITH") {
            self.next();
            for option in self.list(|p| p.one_of(&["NOWAIT", "LOG", "SETERROR"]))? {
                nowait |= option == "NOWAIT";
                seterror |= option == "SETERROR";
                log |= option == "LOG";
            }
        }
        Ok(Stmt::Raiserror { args, nowait, seterror, log })
    }

    fn throw(&mut self) -> Result<Stmt> {
        if !matches!(self.peek(), Tok::Number(_) | Tok::Var(_)) {
            return Ok(Stmt::Throw(Vec::new()));
        }
        let number = self.number_or_variable()?;
        self.need_op(",")?;
        let text = self.text_or_variable()?;
        self.need_op(",")?;
        Ok(Stmt::Throw(vec![number, text, self.number_or_variable()?]))
    }
}

fn query_assigns(query: &crate::ast::Query) -> bool {
    matches!(&query.body, crate::ast::Body::Select(s)
        if s.items.iter().any(|i| matches!(i, crate::ast::Item::Assign(..))))
}
