//! Statements of the language proper: flow, variables, DML, EXEC, RAISERROR. The administrative ones are in
//! `admin`.

use super::keywords::is_reserved;
use super::lex::Tok;
use super::query::assignment;
use super::{Parser, Result};
use crate::ast::{ColumnDef, CursorOp, Exec, InsertSource, Name, Node, ProcArg, SetOption, Stmt, Target};
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

    fn drop(&mut self) -> Result<Stmt> {
        let what = self.one_of(&["TABLE", "DATABASE"])?;
        let lenient = self.version >= Version::V2016 && self.is("IF");
        if lenient {
            self.need("IF")?;
            self.need("EXISTS")?;
        }
        if what == "DATABASE" {
            if lenient {
                return self.fail();
            }
            return self.list(|p| p.identifier()).map(Stmt::DropDatabase);
        }
        Ok(Stmt::DropTable(self.list(|p| p.name())?, lenient))
    }

    fn column_defs(&mut self) -> Result<Vec<ColumnDef>> {
        let mut defs: Vec<ColumnDef> = Vec::new();
        self.need_op("(")?;
        loop {
            if self.is("PRIMARY") || self.is("UNIQUE") || self.is("CONSTRAINT") {
                self.table_constraint(&mut defs)?;
            } else {
                let def = self.column_def()?;
                if defs.iter().any(|d| d.name.eq_ignore_ascii_case(&def.name)) {
                    return Err(SqlError::new(2705, &[&def.name, &"table"]));
                }
                defs.push(def);
            }
            if !self.eat_op(",") {
                self.need_op(")")?;
                return Ok(defs);
            }
        }
    }

    fn table_constraint(&mut self, defs: &mut [ColumnDef]) -> Result<()> {
        if self.eat("CONSTRAINT") {
            self.identifier()?;
        }
        let primary = self.one_of(&["PRIMARY", "UNIQUE"])? == "PRIMARY";
        if primary {
            self.need("KEY")?;
        }
        let _ = self.eat("CLUSTERED") || self.eat("NONCLUSTERED");
        let names = self.in_parens(|p| {
            p.list(|p| {
                let name = p.identifier()?;
                let _ = p.eat("ASC") || p.eat("DESC");
                Ok(name)
            })
        })?;
        for name in &names {
            let def = defs.iter_mut().find(|d| d.name.eq_ignore_ascii_case(name));
            let Some(def) = def else { return Err(SqlError::new(207, &[name])) };
            if primary {
                def.nullable = false;
            }
            // Keys over several columns are not checked: none here depends on one.
            if names.len() == 1 {
                def.unique = true;
            }
        }
        Ok(())
    }

    fn column_def(&mut self) -> Result<ColumnDef> {
        let name = self.identifier()?;
        let ty = self.ty(1)?;
        let mut def = ColumnDef { name, ty, nullable: true, identity: None, default: None, unique: false };
        loop {
            if self.eat("NULL") {
                def.nullable = true;
            } else if self.eat("NOT") {
                self.need("NULL")?;
                def.nullable = false;
            } else if self.eat("IDENTITY") {
                let mut seed = (1, 1);
                if self.is_op("(") {
                    let pair = self.in_parens(|p| {
                        p.list(|p| match p.next() {
                            Tok::Number(n) => n.parse::<i64>().map_err(|_| SqlError::near(&n)),
                            tok => Err(tok.unexpected()),
                        })
                    })?;
                    match pair[..] {
                        [a, b] => seed = (a, b),
                        _ => return self.fail(),
                    }
                }
                def.identity = Some(seed);
                def.nullable = false;
            } else if self.eat("PRIMARY") {
                self.need("KEY")?;
                let _ = self.eat("CLUSTERED") || self.eat("NONCLUSTERED");
                def.nullable = false;
                def.unique = true;
            } else if self.eat("UNIQUE") {
                def.unique = true;
            } else if self.eat("DEFAULT") {
                def.default = Some(self.value()?);
            } else if self.eat("COLLATE") {
                let _ = self.eat("DATABASE_DEFAULT") || self.identifier().is_ok();
            } else {
                return Ok(def);
            }
        }
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

    /// `sp_who2` as the first statement of a batch needs no EXEC.
    pub(super) fn implicit_exec(&mut self) -> Result<Option<Node>> {
        let first = match self.peek() {
            Tok::Quoted(_) => true,
            Tok::Word(w) => {
                !is_reserved(w)
                    && !w.eq_ignore_ascii_case("THROW")
                    && !matches!(self.peek_at(1), Tok::Op(":"))
            }
            _ => false,
        };
        if !first {
            return Ok(None);
        }
        let line = self.line();
        let name = self.name()?;
        let exec = self.exec_arguments(None, Target::Proc(name))?;
        Ok(Some(Node { line, stmt: Stmt::Exec(exec) }))
    }

    fn exec(&mut self) -> Result<Exec> {
        if self.is_op("(") {
            // Only constants and variables may be joined here, no function calls.
            let parts = self.in_parens(|p| {
                let mut parts = vec![p.text_or_variable()?];
                while p.eat_op("+") {
                    parts.push(p.text_or_variable()?);
                }
                Ok(parts)
            })?;
            return Ok(Exec { returns: None, target: Target::Text(parts), args: Vec::new() });
        }
        let mut returns = None;
        if let Tok::Var(_) = self.peek() {
            let name = self.variable()?;
            if !self.eat_op("=") {
                return self.exec_arguments(None, Target::Var(name));
            }
            returns = Some(name);
            if let Tok::Var(_) = self.peek() {
                let name = self.variable()?;
                return self.exec_arguments(returns, Target::Var(name));
            }
        }
        let name = self.name()?;
        self.exec_arguments(returns, Target::Proc(name))
    }

    fn exec_arguments(&mut self, returns: Option<String>, target: Target) -> Result<Exec> {
        let none = match self.peek() {
            Tok::End | Tok::Op(";" | ")") => true,
            Tok::Word(w) => is_reserved(w) && !["NULL", "DEFAULT"].iter().any(|x| x.eq_ignore_ascii_case(w)),
            _ => false,
        };
        let mut args: Vec<ProcArg> = Vec::new();
        if !none {
            args = self.list(|p| {
                let mut name = None;
                if matches!(p.peek_at(1), Tok::Op("=")) {
                    name = Some(p.variable()?);
                    p.next();
                }
                let value = p.argument()?;
                let output = p.eat("OUTPUT") || p.eat("OUT");
                Ok(ProcArg { name, value, output })
            })?;
        }
        if let Some(i) = args.windows(2).position(|w| w[0].name.is_some() && w[1].name.is_none()) {
            return Err(SqlError::new(119, &[&(i + 2)]));
        }
        if self.is("WITH") && self.word_is(1, "RECOMPILE") {
            self.next();
            self.next();
        }
        Ok(Exec { returns, target, args })
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
