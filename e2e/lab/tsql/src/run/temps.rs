//! Temp tables and table variables: rows that belong to the session, not to the server.

use crate::ast::ColumnDef;
use crate::bind::TempColumns;
use crate::eval::TempRows;
use crate::types::{Column, Row};
use std::collections::HashMap;
use std::sync::Arc;

/// A table of the session.
#[derive(Clone, Debug)]
pub(crate) struct Temp {
    pub defs: Vec<ColumnDef>,
    pub rows: Arc<Vec<Row>>,
    /// Next value of the identity column.
    pub next: i64,
}

impl Temp {
    pub fn new(defs: Vec<ColumnDef>) -> Temp {
        let next = defs.iter().find_map(|d| d.identity).map_or(1, |i| i.0);
        Temp { defs, rows: Arc::default(), next }
    }

    pub fn columns(&self) -> Vec<Column> {
        let column = |d: &ColumnDef| Column { name: d.name.clone(), ty: d.ty, nullable: d.nullable };
        self.defs.iter().map(column).collect()
    }
}

/// Tables by folded name: `#t` of the session, `@t` of the batch.
#[derive(Debug, Default)]
pub(crate) struct Temps {
    tables: HashMap<String, Temp>,
}

impl Temps {
    pub fn get(&self, name: &str) -> Option<&Temp> {
        self.tables.get(name)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Temp> {
        self.tables.get_mut(name)
    }

    pub fn insert(&mut self, name: String, temp: Temp) {
        self.tables.insert(name, temp);
    }

    pub fn remove(&mut self, name: &str) -> bool {
        self.tables.remove(name).is_some()
    }

    pub fn clear(&mut self) {
        self.tables.clear();
    }
}

/// The session's temp tables together with the batch's table variables.
pub(crate) struct BothTemps<'a> {
    pub session: &'a Temps,
    pub batch: &'a Temps,
}

impl BothTemps<'_> {
    fn get(&self, name: &str) -> Option<&Temp> {
        if name.starts_with('@') { self.batch.get(name) } else { self.session.get(name) }
    }
}

impl TempRows for BothTemps<'_> {
    fn temp_rows(&self, name: &str) -> Option<Arc<Vec<Row>>> {
        self.get(name).map(|t| Arc::clone(&t.rows))
    }

    fn temp_exists(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl TempColumns for BothTemps<'_> {
    fn temp_columns(&self, name: &str) -> Option<Vec<Column>> {
        self.get(name).map(Temp::columns)
    }
}
