//! EXEC and the procedure call without it.

use super::keywords::is_reserved;
use super::lex::Tok;
use super::{Parser, Result};
use crate::ast::{Exec, Node, ProcArg, Stmt, Target};
use crate::error::SqlError;

impl Parser {
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

    pub(super) fn exec(&mut self) -> Result<Exec> {
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
}
