//! CREATE TABLE's columns and DROP.

use super::lex::Tok;
use super::{Parser, Result};
use crate::ast::{ColumnDef, Stmt};
use crate::error::SqlError;
use crate::host::Version;

impl Parser {
    pub(super) fn drop(&mut self) -> Result<Stmt> {
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

    pub(super) fn column_defs(&mut self) -> Result<Vec<ColumnDef>> {
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
}
