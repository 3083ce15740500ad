//! BACKUP, RESTORE, KILL and ALTER DATABASE, in the forms of their reference pages that a failover uses.
//!
//! Names of databases, files and positions may be variables in BACKUP and RESTORE; KILL and ALTER DATABASE
//! take none.

use super::lex::Tok;
use super::{Parser, Result};
use crate::ast::{Arg, DeviceArg, MediaStmt, Stmt};
use crate::error::SqlError;
use crate::host::{AlterAction, MediaKind, Termination, Version};
use std::time::Duration;

/// WITH options without a value, with a number, with a text: RESTORE.
const RESTORE: [&[&str]; 3] = [
    &[
        "RECOVERY",
        "NORECOVERY",
        "REPLACE",
        "RESTART",
        "RESTRICTED_USER",
        "CHECKSUM",
        "NO_CHECKSUM",
        "STOP_ON_ERROR",
        "CONTINUE_AFTER_ERROR",
        "KEEP_REPLICATION",
        "PARTIAL",
        "REWIND",
        "NOREWIND",
        "UNLOAD",
        "NOUNLOAD",
        "LOADHISTORY",
    ],
    &["FILE", "STATS", "BUFFERCOUNT", "MAXTRANSFERSIZE", "BLOCKSIZE"],
    &["STANDBY", "STOPAT", "STOPATMARK", "STOPBEFOREMARK", "MEDIANAME", "PASSWORD", "MEDIAPASSWORD"],
];

/// The same of BACKUP.
const BACKUP: [&[&str]; 3] = [
    &[
        "NORECOVERY",
        "NO_TRUNCATE",
        "INIT",
        "NOINIT",
        "FORMAT",
        "NOFORMAT",
        "SKIP",
        "NOSKIP",
        "COPY_ONLY",
        "DIFFERENTIAL",
        "COMPRESSION",
        "NO_COMPRESSION",
        "CHECKSUM",
        "NO_CHECKSUM",
        "STOP_ON_ERROR",
        "CONTINUE_AFTER_ERROR",
        "REWIND",
        "NOREWIND",
        "UNLOAD",
        "NOUNLOAD",
    ],
    &["STATS", "RETAINDAYS", "BUFFERCOUNT", "MAXTRANSFERSIZE", "BLOCKSIZE"],
    &["STANDBY", "NAME", "DESCRIPTION", "MEDIANAME", "MEDIADESCRIPTION", "EXPIREDATE", "PASSWORD"],
];

impl Parser {
    pub(super) fn kill(&mut self) -> Result<Stmt> {
        let spid = match self.next() {
            Tok::Number(n) => n.parse().map_err(|_| SqlError::near(&n))?,
            Tok::Op("-") => match self.next() {
                Tok::Number(n) => -n.parse::<i32>().map_err(|_| SqlError::near(&n))?,
                tok => return Err(tok.unexpected()),
            },
            tok => return Err(tok.unexpected()),
        };
        let status = self.is("WITH") && self.word_is(1, "STATUSONLY");
        if status {
            self.next();
            self.next();
        }
        Ok(Stmt::Kill(spid, status))
    }

    pub(super) fn restore(&mut self) -> Result<Stmt> {
        let kind = match self
            .one_of(&["DATABASE", "LOG", "HEADERONLY", "FILELISTONLY", "LABELONLY", "VERIFYONLY"])?
            .as_str()
        {
            "DATABASE" => MediaKind::RestoreDatabase,
            "LOG" => MediaKind::RestoreLog,
            "HEADERONLY" => MediaKind::HeaderOnly,
            "FILELISTONLY" => MediaKind::FileListOnly,
            "LABELONLY" => MediaKind::LabelOnly,
            _ => MediaKind::VerifyOnly,
        };
        let named = matches!(kind, MediaKind::RestoreDatabase | MediaKind::RestoreLog);
        let database = if named { Some(self.name_or_variable()?) } else { None };
        let devices = if self.eat("FROM") {
            self.list(|p| p.device())?
        } else if named {
            Vec::new()
        } else {
            return self.fail();
        };
        let options = self.media_options(RESTORE)?;
        Ok(Stmt::Media(MediaStmt { kind, database, devices, options }))
    }

    pub(super) fn backup(&mut self) -> Result<Stmt> {
        let kind = match self.one_of(&["DATABASE", "LOG"])?.as_str() {
            "DATABASE" => MediaKind::BackupDatabase,
            _ => MediaKind::BackupLog,
        };
        let database = Some(self.name_or_variable()?);
        self.need("TO")?;
        let devices = self.list(|p| p.device())?;
        let options = self.media_options(BACKUP)?;
        Ok(Stmt::Media(MediaStmt { kind, database, devices, options }))
    }

    fn name_or_variable(&mut self) -> Result<Arg> {
        match self.peek() {
            Tok::Var(_) => self.argument(),
            _ => self.identifier().map(Arg::Word),
        }
    }

    fn device(&mut self) -> Result<DeviceArg> {
        if self.is("DISK") && matches!(self.peek_at(1), Tok::Op("=")) {
            self.next();
            self.next();
            return self.text_or_variable().map(DeviceArg::Disk);
        }
        self.name_or_variable().map(DeviceArg::Logical)
    }

    fn media_options(&mut self, [flags, numbers, texts]: [&[&str]; 3]) -> Result<Vec<(String, Vec<Arg>)>> {
        if !self.eat("WITH") {
            return Ok(Vec::new());
        }
        let restore = flags.contains(&"RECOVERY");
        let options = self.list(|p| {
            if let Ok(flag) = p.one_of(flags) {
                if flag == "COMPRESSION" && p.version < Version::V2008R2 {
                    return p.fail();
                }
                return Ok((flag, Vec::new()));
            }
            if let Ok(option) = p.one_of(numbers) {
                if option == "STATS" && !p.is_op("=") {
                    return Ok((option, Vec::new()));
                }
                p.need_op("=")?;
                return Ok((option, vec![p.number_or_variable()?]));
            }
            if let Ok(option) = p.one_of(texts) {
                p.need_op("=")?;
                return Ok((option, vec![p.text_or_variable()?]));
            }
            if restore && p.eat("MOVE") {
                let from = p.text_or_variable()?;
                p.need("TO")?;
                return Ok(("MOVE".to_owned(), vec![from, p.text_or_variable()?]));
            }
            p.fail()
        })?;
        for (i, (option, _)) in options.iter().enumerate() {
            if option != "MOVE" && options[..i].iter().any(|o| o.0 == *option) {
                return Err(SqlError::new(155, &[option, &if restore { "RESTORE" } else { "BACKUP" }]));
            }
        }
        let on = |option: &str| options.iter().any(|o| o.0 == option);
        let exclusive = [
            ("NORECOVERY", "RECOVERY"),
            ("NORECOVERY", "STANDBY"),
            ("RECOVERY", "STANDBY"),
            ("INIT", "NOINIT"),
            ("FORMAT", "NOFORMAT"),
            ("CHECKSUM", "NO_CHECKSUM"),
            ("COMPRESSION", "NO_COMPRESSION"),
            ("DIFFERENTIAL", "NO_TRUNCATE"),
        ];
        if let Some((a, b)) = exclusive.iter().find(|(a, b)| on(a) && on(b)) {
            return Err(SqlError::new(3031, &[&a.to_lowercase(), &b.to_lowercase()]));
        }
        Ok(options)
    }

    pub(super) fn alter(&mut self) -> Result<Stmt> {
        self.need("DATABASE")?;
        let database = self.identifier()?;
        if self.eat("MODIFY") {
            self.need("NAME")?;
            self.need_op("=")?;
            let name = self.identifier()?;
            return Ok(Stmt::Alter(database, AlterAction::Rename(name), Termination::Wait));
        }
        self.need("SET")?;
        let action = self.alter_action()?;
        let termination = if self.is("WITH") { self.termination()? } else { Termination::Wait };
        Ok(Stmt::Alter(database, action, termination))
    }

    fn alter_action(&mut self) -> Result<AlterAction> {
        if self.eat("PARTNER") {
            if self.eat_op("=") {
                return self.partner_address().map(AlterAction::Partner);
            }
            let words = [
                "OFF",
                "FAILOVER",
                "FORCE_SERVICE_ALLOW_DATA_LOSS",
                "RESUME",
                "SUSPEND",
                "SAFETY",
                "TIMEOUT",
            ];
            return Ok(match self.one_of(&words)?.as_str() {
                "OFF" => AlterAction::PartnerOff,
                "FAILOVER" => AlterAction::PartnerFailover,
                "FORCE_SERVICE_ALLOW_DATA_LOSS" => AlterAction::PartnerForceService,
                "RESUME" => AlterAction::PartnerResume,
                "SUSPEND" => AlterAction::PartnerSuspend,
                "SAFETY" => AlterAction::PartnerSafety(self.one_of(&["FULL", "OFF"])? == "FULL"),
                _ => AlterAction::PartnerTimeout(self.seconds()?),
            });
        }
        if self.eat("WITNESS") {
            if self.eat_op("=") {
                return self.partner_address().map(AlterAction::Witness);
            }
            self.need("OFF")?;
            return Ok(AlterAction::WitnessOff);
        }
        let plain = [
            "SINGLE_USER",
            "MULTI_USER",
            "RESTRICTED_USER",
            "OFFLINE",
            "ONLINE",
            "EMERGENCY",
            "READ_ONLY",
            "READ_WRITE",
            "ENABLE_BROKER",
            "DISABLE_BROKER",
            "NEW_BROKER",
        ];
        if let Ok(option) = self.one_of(&plain) {
            return Ok(AlterAction::Option(option, None));
        }
        if self.eat("RECOVERY") {
            let model = self.one_of(&["FULL", "SIMPLE", "BULK_LOGGED"])?;
            return Ok(AlterAction::Option("RECOVERY".to_owned(), Some(model)));
        }
        let switches = [
            "AUTO_CLOSE",
            "AUTO_SHRINK",
            "TRUSTWORTHY",
            "AUTO_CREATE_STATISTICS",
            "AUTO_UPDATE_STATISTICS",
            "ALLOW_SNAPSHOT_ISOLATION",
            "READ_COMMITTED_SNAPSHOT",
        ];
        let option = self.one_of(&switches)?;
        let value = self.one_of(&["ON", "OFF"])?;
        Ok(AlterAction::Option(option, Some(value)))
    }

    fn partner_address(&mut self) -> Result<String> {
        match self.next() {
            Tok::Text(t, _) => Ok(t),
            tok => Err(tok.unexpected()),
        }
    }

    fn seconds(&mut self) -> Result<i32> {
        match self.next() {
            Tok::Number(n) => n.parse().map_err(|_| SqlError::near(&n)),
            tok => Err(tok.unexpected()),
        }
    }

    fn termination(&mut self) -> Result<Termination> {
        self.need("WITH")?;
        if self.eat("NO_WAIT") {
            return Ok(Termination::NoWait);
        }
        self.need("ROLLBACK")?;
        if self.eat("IMMEDIATE") {
            return Ok(Termination::Rollback(Duration::ZERO));
        }
        self.need("AFTER")?;
        let seconds = self.seconds()?;
        self.eat("SECONDS");
        Ok(Termination::Rollback(Duration::from_secs(seconds.max(0) as u64)))
    }
}
