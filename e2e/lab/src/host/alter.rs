//! ALTER DATABASE and DROP DATABASE.
//!
//! Answers for mirroring's SET PARTNER forms and for the options that a failover meets: ONLINE, OFFLINE,
//! user access, recovery model, READ_ONLY. Every failure ends with 5069, as documented; options that are
//! not simulated are refused.

use super::LabHost;
use crate::world::database::{Access, RecoveryModel, State};
use crate::world::error::{Failure, SqlError, raise, unsupported};
use crate::world::{Key, World};
use pchat_tsql::host::{AlterAction, Termination};

fn failed(cause: SqlError) -> Failure {
    vec![cause, raise(5069, &[])]
}

/// Runs an ALTER DATABASE.
pub async fn run(
    host: &mut LabHost,
    database: &str,
    action: AlterAction,
    termination: Termination,
) -> Result<(), Failure> {
    if !host.is_sysadmin() {
        return Err(failed(raise(5011, &[&database])));
    }
    host.effect(format!("ALTER DATABASE {database} {action:?}")).await?;
    let (server, spid) = (host.server, host.spid);
    let key = host.world.lock().key(server, database).map_err(|_| failed(raise(5011, &[&database])))?;
    // Without a termination clause the statement waits for other sessions; NO_WAIT fails at once.
    loop {
        let outcome = apply(&mut host.world.lock(), key, spid, &action, termination);
        match outcome {
            Err(e) if e.number == WOULD_WAIT => {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            other => return other.map_err(failed),
        }
    }
}

/// Marks a wait for other sessions; never shown.
const WOULD_WAIT: i32 = -1;

fn apply(
    w: &mut World,
    key: Key,
    spid: i32,
    action: &AlterAction,
    termination: Termination,
) -> Result<(), SqlError> {
    match action {
        AlterAction::Partner(address) => w.set_partner(key, address),
        AlterAction::PartnerOff => w.partner_off(key),
        AlterAction::PartnerFailover => w.partner_failover(key),
        AlterAction::PartnerForceService => w.force_service(key),
        AlterAction::PartnerResume => w.partner_suspend(key, false),
        AlterAction::PartnerSuspend => w.partner_suspend(key, true),
        AlterAction::PartnerSafety(true) => match w.existing(key)?.mirroring {
            Some(_) => Ok(()),
            None => Err(raise(1416, &[&w.existing(key)?.name])),
        },
        AlterAction::PartnerSafety(false) => Err(unsupported("asynchronous mirroring")),
        AlterAction::PartnerTimeout(_) => Err(unsupported("another partner time-out")),
        AlterAction::Witness(_) | AlterAction::WitnessOff => Err(unsupported("a mirroring witness")),
        AlterAction::Rename(_) => Err(unsupported("renaming a database")),
        AlterAction::Option(option, word) => set_option(w, key, spid, option, word.as_deref(), termination),
    }
}

fn set_option(
    w: &mut World,
    key: Key,
    spid: i32,
    option: &str,
    word: Option<&str>,
    termination: Termination,
) -> Result<(), SqlError> {
    let db = w.existing(key)?;
    let name = db.name.clone();
    if db.mirroring.is_some() && matches!(option, "OFFLINE" | "SINGLE_USER" | "READ_ONLY" | "RECOVERY") {
        return Err(raise(1468, &[&name]));
    }
    match (db.state, option) {
        (State::Restoring, _) => return Err(raise(5052, &[&"ALTER DATABASE", &"RESTORING"])),
        (State::Recovering, _) => return Err(raise(5052, &[&"ALTER DATABASE", &"RECOVERING"])),
        (State::Offline, "ONLINE" | "OFFLINE") => {}
        (State::Offline, _) => return Err(raise(5052, &[&"ALTER DATABASE", &"OFFLINE"])),
        _ if db.standby.is_some() && option != "OFFLINE" => return Err(raise(5063, &[&name])),
        _ => {}
    }
    if db.held_by.is_some_and(|h| h != spid) {
        return Err(raise(5061, &[&name]));
    }
    let exclusive = matches!(option, "OFFLINE" | "SINGLE_USER" | "READ_ONLY" | "READ_WRITE");
    let others = w.servers[key.server].users_of(key.database, spid);
    if db.access == Access::Single && !others.is_empty() {
        return Err(raise(5064, &[&name]));
    }
    if exclusive && !others.is_empty() {
        match termination {
            Termination::Rollback(_) => w.end_sessions_but(key, spid),
            Termination::NoWait => return Err(raise(5070, &[&name])),
            Termination::Wait => return Err(SqlError::custom(WOULD_WAIT, 16, 1, "waiting")),
        }
    }
    let db = w.existing_mut(key)?;
    match (option, word) {
        ("ONLINE", None) => {
            if db.state == State::Offline {
                db.state = State::Online;
            }
        }
        ("OFFLINE", None) => db.state = State::Offline,
        ("MULTI_USER", None) => db.access = Access::Multi,
        ("SINGLE_USER", None) => db.access = Access::Single,
        ("RESTRICTED_USER", None) => db.access = Access::Restricted,
        ("READ_ONLY", None) => db.read_only = true,
        ("READ_WRITE", None) => db.read_only = false,
        ("RECOVERY", Some("FULL")) => db.model = RecoveryModel::Full,
        ("RECOVERY", Some("BULK_LOGGED")) => db.model = RecoveryModel::BulkLogged,
        ("RECOVERY", Some("SIMPLE")) => {
            db.model = RecoveryModel::Simple;
            db.base = None;
        }
        _ => return Err(unsupported(&format!("SET {option} {}", word.unwrap_or("")))),
    }
    Ok(())
}

/// DROP DATABASE.
pub async fn drop_database(host: &mut LabHost, database: &str) -> Result<(), Failure> {
    let missing = || vec![raise(3701, &[&"drop", &"database", &database])];
    if !host.is_sysadmin() {
        return Err(missing());
    }
    host.effect(format!("DROP DATABASE {database}")).await?;
    let mut w = host.world.lock();
    let key = w.key(host.server, database).map_err(|_| missing())?;
    let db = w.existing(key).map_err(|e| vec![e])?;
    let name = db.name.clone();
    if db.mirroring.is_some() {
        // 3743 is in no list read for the reference (general knowledge).
        let text = format!(
            "The database '{name}' is enabled for database mirroring. Database mirroring must be removed before you drop the database."
        );
        return Err(vec![SqlError::custom(3743, 16, 1, text)]);
    }
    if db.held_by.is_some() || !w.servers[key.server].users_of(key.database, 0).is_empty() {
        // 3702, likewise.
        let text = format!("Cannot drop database \"{name}\" because it is currently in use.");
        return Err(vec![SqlError::custom(3702, 16, 3, text)]);
    }
    w.servers[key.server].databases.retain(|d| d.id != key.database);
    Ok(())
}
