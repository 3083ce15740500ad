//! What a statement is, for the host's books and for `@@ERROR`.

use crate::ast::{Body, Stmt, Target};
use crate::host::{MediaKind, StatementKind};

/// Statements that leave `@@ERROR` as their parts, or an EXEC, set it.
pub(super) fn resets_error(stmt: &Stmt) -> bool {
    !matches!(
        stmt,
        Stmt::Block(_)
            | Stmt::If(..)
            | Stmt::While(..)
            | Stmt::Try(..)
            | Stmt::Exec(_)
            | Stmt::Raiserror { .. }
            | Stmt::DeclareTable(..)
            | Stmt::Label(_)
            | Stmt::Goto(_)
            | Stmt::Return
            | Stmt::Break
            | Stmt::Continue
    ) && !matches!(stmt, Stmt::Declare(list) if list.iter().all(|d| d.2.is_none()))
}

pub(super) fn statement_kind(stmt: &Stmt) -> StatementKind {
    let scratch = |name: &[String]| name.last().is_some_and(|n| n.starts_with('#') || n.starts_with('@'));
    match stmt {
        Stmt::Query(query) => match &query.body {
            Body::Select(s) => match &s.into {
                Some(name) if scratch(name) => StatementKind::Scratch,
                Some(_) => StatementKind::Modify,
                None => StatementKind::Select,
            },
            _ => StatementKind::Select,
        },
        Stmt::Insert { table, .. } | Stmt::Update { table, .. } | Stmt::Delete { table, .. } => {
            if scratch(table) { StatementKind::Scratch } else { StatementKind::Modify }
        }
        Stmt::CreateTable(name, _) if scratch(name) => StatementKind::Scratch,
        Stmt::DropTable(names, _) if names.iter().all(|n| scratch(n)) => StatementKind::Scratch,
        Stmt::CreateTable(..) | Stmt::DropTable(..) | Stmt::DropDatabase(_) => StatementKind::Modify,
        Stmt::Exec(exec) => match &exec.target {
            // What these run is told statement by statement.
            Target::Text(_) => StatementKind::Other,
            Target::Proc(name) if name.last().is_some_and(|n| n.eq_ignore_ascii_case("sp_executesql")) => {
                StatementKind::Other
            }
            _ => StatementKind::Procedure,
        },
        Stmt::Media(media) => match media.kind {
            MediaKind::HeaderOnly
            | MediaKind::FileListOnly
            | MediaKind::LabelOnly
            | MediaKind::VerifyOnly => StatementKind::MediaInfo,
            _ => StatementKind::Media,
        },
        Stmt::Alter(..) | Stmt::Endpoint(_) => StatementKind::Alter,
        Stmt::Kill(..) => StatementKind::Kill,
        _ => StatementKind::Other,
    }
}
