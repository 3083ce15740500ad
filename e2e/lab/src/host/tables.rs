//! Ordinary tables: the rows of the chat database.
//!
//! Answers for reading and changing them through the log of their database, so that what a client stored is
//! in the next log backup and on the mirror. It must never change a row outside `World::commit`.

use super::LabHost;
use super::values::{from_cell, to_cell};
use crate::world::Key;
use crate::world::database::{CHAT_TABLES, Cell, Change as Logged, Row as Stored};
use crate::world::error::{Failure, SqlError, raise, read_only};
use pchat_tsql::host::{Change, ObjectName};
use pchat_tsql::{Column, Row, Ty};

fn definition(name: &ObjectName) -> Option<(&'static str, Vec<Column>)> {
    if !name.schema.eq_ignore_ascii_case("dbo") {
        return None;
    }
    let (table, columns) = CHAT_TABLES.iter().find(|(t, _)| t.eq_ignore_ascii_case(&name.name))?;
    let column = |c: &crate::world::database::Column| {
        Some(Column { name: c.name.to_owned(), ty: Ty::parse(c.ty).ok()?, nullable: c.nullable })
    };
    Some((table, columns.iter().map(column).collect::<Option<Vec<_>>>()?))
}

fn key(host: &LabHost, name: &ObjectName) -> Option<Key> {
    host.read(|w, _| {
        let key = w.key(host.server, &name.database).ok()?;
        (Some(key) == w.chat_key(host.server)).then_some(key)
    })
}

/// The columns of a user table, if it is one.
pub fn columns(host: &LabHost, name: &ObjectName) -> Option<Vec<Column>> {
    key(host, name)?;
    definition(name).map(|(_, columns)| columns)
}

/// The rows of a user table.
pub fn rows(host: &LabHost, name: &ObjectName) -> Result<Vec<Row>, SqlError> {
    let unknown = || raise(208, &[&name.name]);
    let key = key(host, name).ok_or_else(unknown)?;
    let (table, _) = definition(name).ok_or_else(unknown)?;
    host.read(|w, _| {
        let rows = w.existing(key)?.tables.get(table);
        Ok(rows.into_iter().flat_map(|t| t.values()).map(|r| r.iter().map(from_cell).collect()).collect())
    })
}

/// Changes rows and returns how many.
pub async fn change(host: &mut LabHost, name: &ObjectName, change: Change) -> Result<u64, Failure> {
    let unknown = || vec![raise(208, &[&name.name])];
    let key = key(host, name).ok_or_else(unknown)?;
    let (table, columns) = definition(name).ok_or_else(unknown)?;
    if host.login != crate::world::seed::CHAT_LOGIN {
        host.effect(format!("change of {}.dbo.{table}", name.database)).await?;
    }
    host.enter(&name.database).map_err(|e| vec![e])?;
    let mut w = host.world.lock();
    let db = w.existing(key).map_err(|e| vec![e])?;
    if !db.writable() {
        return Err(vec![read_only(&db.name)]);
    }
    let cells = |row: &Row| row.iter().map(to_cell).collect::<Option<Vec<Cell>>>();
    let overflow = || vec![raise(8115, &[&"datetime2", &"datetime"])];
    let mut logged = vec![];
    match change {
        Change::Insert(named, rows) => {
            for (next, row) in (db.next_row..).zip(&rows) {
                let mut full = vec![Cell::Null; columns.len()];
                for (at, value) in named.iter().zip(cells(row).ok_or_else(overflow)?) {
                    full[*at] = value;
                }
                if let Some(at) = full.iter().position(|c| *c == Cell::Null) {
                    let column = &columns[at].name;
                    return Err(vec![raise(
                        515,
                        &[column, &format!("{}.dbo.{table}", name.database), &"INSERT"],
                    )]);
                }
                logged.push(Logged::Put(Stored(table.to_owned(), next, full)));
            }
        }
        Change::Update(pairs) => {
            let mut taken = vec![];
            for (old, new) in &pairs {
                if let Some(id) = find(db.tables.get(table), old, &taken) {
                    taken.push(id);
                    let new = cells(new).ok_or_else(overflow)?;
                    logged.push(Logged::Put(Stored(table.to_owned(), id, new)));
                }
            }
        }
        Change::Delete(rows) => {
            let mut taken = vec![];
            for row in &rows {
                if let Some(id) = find(db.tables.get(table), row, &taken) {
                    taken.push(id);
                    logged.push(Logged::Delete(table.to_owned(), id));
                }
            }
        }
    }
    let count = logged.len() as u64;
    for record in logged {
        w.commit(key, record).map_err(|e| vec![e])?;
    }
    Ok(count)
}

fn find(
    rows: Option<&std::collections::BTreeMap<u64, Vec<Cell>>>,
    wanted: &Row,
    taken: &[u64],
) -> Option<u64> {
    let same = |r: &Vec<Cell>| r.iter().map(from_cell).eq(wanted.iter().cloned());
    rows?.iter().find(|(id, r)| !taken.contains(id) && same(r)).map(|(id, _)| *id)
}
