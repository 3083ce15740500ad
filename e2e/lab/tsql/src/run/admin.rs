//! Statements that the host carries out: BACKUP, RESTORE, ALTER DATABASE, ENDPOINT, KILL, USE, WAITFOR, and the
//! counting of transactions.

use super::{Frame, Run, Session};
use crate::ast::{Arg, DeviceArg, MediaStmt, Stmt};
use crate::error::{Failure, SqlError};
use crate::host::{Device, Event, Host, Media, MediaKind, Sink};
use crate::time::{SECOND, parse_clock};
use crate::types::Value;
use std::time::Duration;

impl<H: Host> Session<H> {
    pub(super) async fn administer(&mut self, stmt: &Stmt, frame: &mut Frame, out: &mut dyn Sink) -> Run<()> {
        let open = self.state.trancount > 0;
        match stmt {
            Stmt::Media(media) => return self.media(media, frame, out).await,
            Stmt::Alter(database, action, termination) => {
                if open {
                    return Err(SqlError::new(226, &[&"ALTER DATABASE"]).into());
                }
                self.host.alter_database(database, action.clone(), *termination, out).await?;
            }
            Stmt::Endpoint(change) => {
                if open {
                    return Err(SqlError::new(226, &[&"ALTER ENDPOINT"]).into());
                }
                self.host.endpoint(change.clone()).await?;
            }
            Stmt::DropDatabase(names) => {
                if open {
                    return Err(SqlError::new(226, &[&"DROP DATABASE"]).into());
                }
                for name in names {
                    self.host.drop_database(name).await?;
                }
            }
            Stmt::Kill(spid, status_only) => {
                if open && !status_only {
                    return Err(SqlError::new(6115, &[]).into());
                }
                self.host.kill(*spid, *status_only).await?;
            }
            Stmt::Use(database) => {
                let name = self.host.use_database(database)?;
                out.send(Event::Database(name.clone()));
                out.send(Event::Message(SqlError::new(5701, &[&name])));
                self.database = name;
            }
            Stmt::Waitfor(delay) => {
                let text = self.argument_text(delay, frame)?.unwrap_or_default();
                let Some(ticks) = parse_clock(text.trim()) else {
                    return Err(SqlError::new(148, &[&text]).into());
                };
                out.flush().await;
                let nanos = (ticks % SECOND) as u32 * 100;
                self.host.wait(Duration::new((ticks / SECOND) as u64, nanos)).await?;
            }
            Stmt::BeginTran => self.set_trancount(self.state.trancount + 1),
            Stmt::Commit if !open => return Err(SqlError::new(3902, &[]).into()),
            Stmt::Rollback if !open => return Err(SqlError::new(3903, &[]).into()),
            Stmt::Commit => self.set_trancount(self.state.trancount - 1),
            Stmt::Rollback => {
                if self.dirty {
                    return Err(super::irrevocable().into());
                }
                self.set_trancount(0);
            }
            // CHECKPOINT changes nothing that can be seen here.
            _ => {}
        }
        self.done(None, frame, out);
        Ok(())
    }

    async fn media(&mut self, stmt: &MediaStmt, frame: &mut Frame, out: &mut dyn Sink) -> Run<()> {
        let informational = matches!(
            stmt.kind,
            MediaKind::HeaderOnly | MediaKind::FileListOnly | MediaKind::LabelOnly | MediaKind::VerifyOnly
        );
        if self.state.trancount > 0 && !informational {
            let verb = if matches!(stmt.kind, MediaKind::BackupDatabase | MediaKind::BackupLog) {
                "BACKUP"
            } else {
                "RESTORE"
            };
            let what = if matches!(stmt.kind, MediaKind::BackupLog | MediaKind::RestoreLog) {
                "LOG"
            } else {
                "DATABASE"
            };
            let errors = vec![SqlError::new(3021, &[]), SqlError::new(3013, &[&format!("{verb} {what}")])];
            return Err(Failure(errors).into());
        }
        let media = self.resolved(stmt, frame)?;
        let rowset = self.host.media(media, out).await?;
        match rowset {
            Some(set) => {
                let count = set.rows.len() as u64;
                out.send(Event::Columns(set.columns));
                set.rows.into_iter().for_each(|r| out.send(Event::Row(r)));
                self.done(Some(count), frame, out);
            }
            None => self.done(None, frame, out),
        }
        Ok(())
    }

    /// The statement with its variables replaced.
    fn resolved(&self, stmt: &MediaStmt, frame: &Frame) -> Run<Media> {
        let text = |arg: &Arg| -> Run<String> {
            // A NULL name fails like one that is not there.
            Ok(self.argument_text(arg, frame)?.unwrap_or_default())
        };
        let database = stmt.database.as_ref().map(text).transpose()?;
        let mut devices = Vec::with_capacity(stmt.devices.len());
        for device in &stmt.devices {
            devices.push(match device {
                DeviceArg::Disk(arg) => Device::Disk(text(arg)?),
                DeviceArg::Logical(arg) => Device::Logical(text(arg)?),
            });
        }
        let mut options: Vec<(String, Vec<Value>)> = Vec::with_capacity(stmt.options.len());
        for (option, args) in &stmt.options {
            let mut values = Vec::with_capacity(args.len());
            for arg in args {
                values.push(self.argument(arg, frame)?.0);
            }
            options.push((option.clone(), values));
        }
        Ok(Media { kind: stmt.kind, database, devices, options })
    }
}
