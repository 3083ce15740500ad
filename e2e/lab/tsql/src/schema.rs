//! The documented shape of catalog views, result sets and procedures, from `data/*.tsv` (read from
//! Microsoft's documentation). It knows names and types, never rows.

use crate::error::SqlError;
use crate::host::{Parameter, Signature, Version};
use crate::types::{Column, Row, Ty, Value};
use std::collections::HashMap;
use std::sync::OnceLock;

struct Entry {
    column: Column,
    since: u16,
}

type Table = HashMap<String, Vec<Entry>>;

/// `since` where the documentation gives a column to Azure or PDW only.
const NEVER: u16 = u16::MAX;

fn entry(name: &str, ty: &str, nullable: &str, since: &str) -> Option<Entry> {
    let since = match since {
        "" => 0,
        year => year.parse().unwrap_or(NEVER),
    };
    let ty = match ty {
        "" => Ty::NVarChar(crate::types::MAX),
        // HEADERONLY's Compressed: BYTE(1) on the page of 2017, BIT(1) on that of 2021.
        "byte(1)" => Ty::Bit,
        ty => Ty::parse(ty).ok()?,
    };
    Some(Entry { column: Column { name: name.to_owned(), ty, nullable: nullable != "no" }, since })
}

fn views() -> &'static Table {
    static VIEWS: OnceLock<Table> = OnceLock::new();
    VIEWS.get_or_init(|| {
        let mut table = Table::new();
        for line in include_str!("../data/catalog.tsv").lines().skip(1) {
            let f: Vec<&str> = line.split('\t').collect();
            if let [object, _, column, ty, nullable, since] = f[..]
                && let Some(entry) = entry(column, ty, nullable, since)
            {
                table.entry(object.to_ascii_lowercase()).or_default().push(entry);
            }
        }
        table
    })
}

fn sets() -> &'static Table {
    static SETS: OnceLock<Table> = OnceLock::new();
    SETS.get_or_init(|| {
        let mut table = Table::new();
        for line in include_str!("../data/result-sets.tsv").lines().skip(1) {
            let f: Vec<&str> = line.split('\t').collect();
            if let [statement, set, _, column, ty, nullable, since] = f[..]
                && let Some(entry) = entry(column, ty, nullable, since)
            {
                table.entry(format!("{}/{set}", statement.to_ascii_lowercase())).or_default().push(entry);
            }
        }
        table
    })
}

fn select(entries: &[Entry], version: Version) -> Vec<Column> {
    entries.iter().filter(|e| e.since <= version.year()).map(|e| e.column.clone()).collect()
}

/// Columns of a documented view or table: `view("sys", "databases", v)`, `view("msdb.dbo", "sysjobs", v)`.
/// Names are compared without regard to case.
pub fn view(schema: &str, name: &str, version: Version) -> Option<Vec<Column>> {
    let key = format!("{schema}.{name}").to_ascii_lowercase();
    views().get(&key).map(|entries| select(entries, version))
}

/// All documented views and tables, e.g. `sys.databases` and `msdb.dbo.sysjobs`.
pub fn view_names() -> impl Iterator<Item = &'static str> {
    views().keys().map(String::as_str)
}

/// Columns of a documented result set: `result_set("RESTORE HEADERONLY", 1, v)`, `result_set("sp_who2", 1, v)`,
/// `result_set("xp_dirtree (path,depth,1)", 1, v)`. Columns without a documented type are `nvarchar(max)`.
pub fn result_set(statement: &str, set: u8, version: Version) -> Option<Vec<Column>> {
    let key = format!("{}/{set}", statement.to_ascii_lowercase());
    sets().get(&key).map(|entries| select(entries, version))
}

/// Parameters of a documented procedure. A parameter counts as required where the documentation says
/// "no default", and as output where its direction says so.
pub fn procedure(name: &str) -> Option<Signature> {
    static PROCEDURES: OnceLock<HashMap<String, Signature>> = OnceLock::new();
    let all = PROCEDURES.get_or_init(|| {
        let mut table: HashMap<String, Signature> = HashMap::new();
        for line in include_str!("../data/procedures.tsv").lines().skip(1) {
            let f: Vec<&str> = line.split('\t').collect();
            let [procedure, kind, _, parameter, ty, default, direction, _] = f[..] else { continue };
            let signature = table.entry(procedure.to_ascii_lowercase()).or_insert_with(|| Signature {
                name: procedure.to_owned(),
                parameters: Vec::new(),
                extended: false,
            });
            if kind != "parameter" {
                continue;
            }
            signature.parameters.push(Parameter {
                name: parameter.to_owned(),
                ty: Ty::parse(ty).unwrap_or(Ty::Variant),
                required: default == "(none)" && !direction.contains("output"),
                output: direction.contains("output"),
            });
        }
        table
    });
    all.get(&name.to_ascii_lowercase()).cloned()
}

/// A row of `columns` from named values: other columns are NULL, each value is converted to its column's type
/// (`nchar` is padded). A name that is no column here is an error, so that a host cannot invent one; pass
/// names that only exist in some versions through [`row_lenient`].
pub fn row(columns: &[Column], values: &[(&str, Value)]) -> Result<Row, SqlError> {
    match values.iter().find(|v| position(columns, v.0).is_none()) {
        Some((name, _)) => Err(SqlError::new(207, &[name])),
        None => row_lenient(columns, values),
    }
}

/// As [`row`], but leaves out values whose column this version does not have.
pub fn row_lenient(columns: &[Column], values: &[(&str, Value)]) -> Result<Row, SqlError> {
    let mut row = vec![Value::Null; columns.len()];
    for (name, value) in values {
        if let Some(i) = position(columns, name) {
            row[i] = crate::convert::convert(value.clone(), columns[i].ty, 0)?;
        }
    }
    Ok(row)
}

fn position(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_there_from_its_version_on() {
        let has = |v, c: &str| position(&view("sys", "dm_exec_sessions", v).unwrap(), c).is_some();
        assert!(!has(Version::V2008R2, "database_id"));
        assert!(has(Version::V2012, "database_id"));
        assert!(!has(Version::V2019, "pdw_node_id"));
        assert!(view("sys", "no_such_view", Version::V2019).is_none());
    }

    #[test]
    fn every_documented_column_has_a_type_that_parses() {
        let listed = include_str!("../data/catalog.tsv").lines().skip(1).count();
        assert_eq!(views().values().map(Vec::len).sum::<usize>(), listed);
        let listed = include_str!("../data/result-sets.tsv").lines().skip(1).count();
        assert_eq!(sets().values().map(Vec::len).sum::<usize>(), listed);
    }

    #[test]
    fn a_required_parameter_is_one_whose_page_says_no_default() {
        let signature = procedure("SP_GETAPPLOCK").unwrap();
        assert!(signature.parameters[0].required && !signature.parameters[2].required);
    }
}
