//! The result sets of RESTORE HEADERONLY, FILELISTONLY and LABELONLY.
//!
//! Answers for one row per backup set with the documented columns of the server's version. An unfinished
//! set is a row without an error: BackupName `*** INCOMPLETE ***`, and NULL where nothing can be known.

use super::catalog::Named;
use super::values::{guid, lsn, text, time};
use crate::world::backup_file::{Kind, Set};
use crate::world::clock::wall;
use crate::world::error::{SqlError, unsupported};
use pchat_tsql::types::Rowset;
use pchat_tsql::{Value, Version, schema};

/// HEADERONLY, of all sets or of the one at a position.
pub fn headers(sets: &[Set], position: Option<i64>, version: Version) -> Result<Rowset, SqlError> {
    let chosen = sets.iter().zip(1_i64..).filter(|(_, n)| position.is_none_or(|p| p == *n));
    rowset("RESTORE HEADERONLY", chosen.map(|(s, n)| header(s, n)).collect(), version)
}

/// LABELONLY of a media set.
pub fn label(sets: &[Set], version: Version) -> Result<Rowset, SqlError> {
    let first = sets.first().map(|s| &s.header);
    let row = vec![
        ("MediaSetId", first.map_or(Value::Null, |h| guid(h.set_guid))),
        ("FamilyCount", Value::Int(1)),
        ("FamilySequenceNumber", Value::Int(1)),
        ("MediaSequenceNumber", Value::Int(1)),
        ("MediaLabelPresent", Value::Int(0)),
        ("SoftwareName", "Microsoft SQL Server".into()),
        ("SoftwareVendorId", Value::Int(4608)),
        ("MediaDate", first.map_or(Value::Null, |h| time(wall(h.started, h.zone_min)))),
    ];
    rowset("RESTORE LABELONLY", vec![row], version)
}

/// FILELISTONLY of a set.
pub fn file_list(set: &Set, version: Version) -> Result<Rowset, SqlError> {
    let h = &set.header;
    let row = |id: i64, kind: &'static str, tail: &str, suffix: &str| -> Named {
        vec![
            ("LogicalName", format!("{}{tail}", h.database).into()),
            ("PhysicalName", format!("D:\\Data\\{}{tail}.{suffix}", h.database).into()),
            ("Type", kind.into()),
            ("FileGroupName", if kind == "D" { "PRIMARY".into() } else { Value::Null }),
            ("Size", Value::Numeric(104_857_600, 0)),
            ("MaxSize", Value::Numeric(35_184_372_080_640, 0)),
            ("FileID", Value::Int(id)),
            ("CreateLSN", Value::Numeric(0, 0)),
            ("DropLSN", Value::Numeric(0, 0)),
            ("UniqueID", guid(h.binding)),
            ("BackupSizeInBytes", Value::Int(i64::try_from(set.size).unwrap_or(i64::MAX))),
            ("SourceBlockSize", Value::Int(512)),
            ("FileGroupID", Value::Int(i64::from(kind == "D"))),
            ("IsReadOnly", Value::Int(0)),
            ("IsPresent", Value::Int(1)),
        ]
    };
    rowset("RESTORE FILELISTONLY", vec![row(1, "D", "", "mdf"), row(2, "L", "_log", "ldf")], version)
}

fn rowset(statement: &str, rows: Vec<Named>, version: Version) -> Result<Rowset, SqlError> {
    let columns = schema::result_set(statement, 1, version)
        .ok_or_else(|| unsupported(&format!("the result set of {statement}")))?;
    let rows = rows.iter().map(|r| schema::row_lenient(&columns, r)).collect::<Result<_, _>>()?;
    Ok(Rowset { columns, rows })
}

fn header(set: &Set, position: i64) -> Named {
    let h = &set.header;
    let (kind, desc) = match h.kind {
        Kind::Full => (1, "Database"),
        Kind::Log => (2, "Transaction Log"),
    };
    if set.incomplete {
        return vec![
            ("BackupName", "*** INCOMPLETE ***".into()),
            ("BackupType", Value::Int(kind)),
            ("Position", Value::Int(position)),
            ("DeviceType", Value::Int(2)),
            ("BackupStartDate", time(wall(h.started, h.zone_min))),
        ];
    }
    let flags = [
        (h.single_user, 8),
        (h.checksum, 16),
        (h.damaged, 32),
        (h.begins_log_chain, 64),
        (h.force_offline, 256),
        (h.copy_only, 512),
    ];
    let size = i64::try_from(set.size).unwrap_or(i64::MAX);
    vec![
        ("BackupName", text(h.name.as_deref())),
        ("BackupDescription", text(h.description.as_deref())),
        ("BackupType", Value::Int(kind)),
        ("ExpirationDate", Value::Null),
        ("Compressed", Value::Int(0)),
        ("Position", Value::Int(position)),
        ("DeviceType", Value::Int(2)),
        ("UserName", h.user.as_str().into()),
        ("ServerName", h.server.as_str().into()),
        ("DatabaseName", h.database.as_str().into()),
        ("DatabaseVersion", Value::Int(i64::from(h.software.0) * 59)),
        ("DatabaseCreationDate", time(wall(h.database_created, h.zone_min))),
        ("BackupSize", Value::Numeric(size.into(), 0)),
        ("FirstLSN", lsn(h.first)),
        ("LastLSN", lsn(h.last)),
        ("CheckpointLSN", lsn(h.checkpoint)),
        ("DatabaseBackupLSN", lsn(h.database_backup)),
        ("BackupStartDate", time(wall(h.started, h.zone_min))),
        ("BackupFinishDate", time(wall(h.finished, h.zone_min))),
        ("SortOrder", Value::Int(0)),
        ("CodePage", Value::Int(0)),
        ("UnicodeLocaleId", Value::Int(1033)),
        ("UnicodeComparisonStyle", Value::Int(196_611)),
        ("CompatibilityLevel", Value::Int(h.compatibility.into())),
        ("SoftwareVendorId", Value::Int(4608)),
        ("SoftwareVersionMajor", h.software.0.into()),
        ("SoftwareVersionMinor", h.software.1.into()),
        ("SoftwareVersionBuild", h.software.2.into()),
        ("MachineName", h.machine.as_str().into()),
        ("Flags", Value::Int(flags.iter().filter(|f| f.0).map(|f| f.1).sum())),
        ("BindingID", guid(h.binding)),
        ("RecoveryForkID", guid(h.fork)),
        ("Collation", "Latin1_General_CI_AI".into()),
        ("FamilyGUID", guid(h.family)),
        ("HasBulkLoggedData", Value::Int(0)),
        ("IsSnapshot", Value::Int(0)),
        ("IsReadOnly", Value::Int(0)),
        ("IsSingleUser", h.single_user.into()),
        ("HasBackupChecksums", h.checksum.into()),
        ("IsDamaged", h.damaged.into()),
        ("BeginsLogChain", h.begins_log_chain.into()),
        ("HasIncompleteMetaData", Value::Int(0)),
        ("IsForceOffline", h.force_offline.into()),
        ("IsCopyOnly", h.copy_only.into()),
        ("FirstRecoveryForkID", guid(h.first_fork)),
        ("ForkPointLSN", h.fork_point.map_or(Value::Null, lsn)),
        ("RecoveryModel", h.recovery_model.as_str().into()),
        ("DifferentialBaseLSN", Value::Null),
        ("DifferentialBaseGUID", Value::Null),
        ("BackupTypeDescription", desc.into()),
        ("BackupSetGUID", guid(h.set_guid)),
        ("CompressedBackupSize", Value::Int(size)),
        ("containment", Value::Int(0)),
    ]
}
