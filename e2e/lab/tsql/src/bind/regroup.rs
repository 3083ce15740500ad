//! Re-numbers the columns of a grouped query.

use super::{Result, ScopeColumn};
use crate::error::SqlError;
use crate::plan::Ex;

/// Rewrites an expression from the rows of FROM to the rows of GROUP BY: keys first, then aggregates.
pub(super) struct Regroup<'g> {
    pub keys: &'g [Ex],
    pub columns: &'g [ScopeColumn],
    pub number: i32,
}

impl Regroup<'_> {
    pub fn apply(&self, ex: &mut Ex) -> Result<()> {
        ex.walk(0, &mut |e, level| self.visit(e, level))
    }

    pub fn visit(&self, ex: &mut Ex, level: usize) -> Result<bool> {
        if level == 0
            && let Some(i) = self.keys.iter().position(|k| k == ex)
        {
            *ex = Ex::Col(0, i);
            return Ok(true);
        }
        match ex {
            Ex::Agg(i) if level == 0 => {
                *ex = Ex::Col(0, self.keys.len() + *i);
                Ok(true)
            }
            Ex::Col(depth, i) if *depth == level => {
                let plain = Ex::Col(0, *i);
                match self.keys.iter().position(|k| *k == plain) {
                    Some(at) => {
                        *ex = Ex::Col(level, at);
                        Ok(true)
                    }
                    None => {
                        let c = self.columns.get(*i);
                        let (table, name) = c.map_or(("", ""), |c| (&*c.qualifier, &*c.column.name));
                        Err(SqlError::new(self.number, &[&table, &name]))
                    }
                }
            }
            _ => Ok(false),
        }
    }
}
