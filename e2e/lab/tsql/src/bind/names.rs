//! Names of objects and variables, from what was written to what the host is asked for.

use crate::ast::Name;
use crate::error::SqlError;
use crate::host::ObjectName;
use crate::parse;
use crate::types::Ty;
use std::collections::HashMap;

/// Views of SQL Server 2000 that answer under `dbo`, `sys` and no schema in every database.
const COMPATIBILITY: [&str; 1] = ["sysprocesses"];

/// Parts of a name in a text, as OBJECT_ID takes it.
pub(crate) fn parse_object(text: &str) -> Option<Name> {
    parse::name_parts(text)
}

/// The object that a name means while `database` is current. 7202 for a name of four parts: the lab has no
/// linked servers.
pub(crate) fn resolve(parts: &[String], database: &str) -> Result<ObjectName, SqlError> {
    let part =
        |back: usize| parts.len().checked_sub(back).and_then(|i| parts.get(i)).filter(|p| !p.is_empty());
    if let Some(server) = part(4) {
        return Err(SqlError::new(7202, &[server]));
    }
    let name = part(1).cloned().unwrap_or_default();
    let mut schema = part(2).cloned();
    let implied = schema.is_none();
    let old = COMPATIBILITY.iter().any(|c| c.eq_ignore_ascii_case(&name));
    if old && schema.as_ref().is_none_or(|s| s.eq_ignore_ascii_case("dbo")) {
        schema = Some("sys".to_owned());
    }
    Ok(ObjectName {
        database: part(3).map_or_else(|| database.to_owned(), Clone::clone),
        schema: schema.unwrap_or_else(|| "dbo".to_owned()),
        name,
        implied_schema: implied,
    })
}

/// The variables of a batch: declared once for all of it, from where they stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    slots: HashMap<String, usize>,
    pub types: Vec<Ty>,
}

impl Variables {
    /// Declares a variable; 134 when it is there already.
    pub fn declare(&mut self, name: &str, ty: Ty) -> Result<usize, SqlError> {
        let slot = self.types.len();
        if self.slots.insert(name.to_lowercase(), slot).is_some() {
            return Err(SqlError::new(134, &[&name]));
        }
        self.types.push(ty);
        Ok(slot)
    }

    /// Slot and type of a variable; 137 when it is not declared.
    pub fn find(&self, name: &str) -> Result<(usize, Ty), SqlError> {
        match self.slots.get(&name.to_lowercase()) {
            Some(slot) => Ok((*slot, self.types[*slot])),
            None => Err(SqlError::new(137, &[&name]).with_state(2)),
        }
    }
}
