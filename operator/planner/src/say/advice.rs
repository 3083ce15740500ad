//! Advice: what a person is told to type, complete and in order, with the host to type it on.
//!
//! Every statement and cmdlet that a stop or a warning prints is made here and nowhere else, so that a test can take each kind out
//! of a run's document and type it. Names no instance that serves the pool, and nothing that was not seen. Decides nothing.

use jiff::civil::DateTime;
use jiff::{SignedDuration, fmt::strtime};

use crate::judge::evidence::Evidence;
use crate::judge::identity;
use crate::model::advice::{Advice, AdviceKind, STORE_BACKUP, Tool};
use crate::model::facts::{
    Contact, Database, DatabaseState, Facts, InstanceState, MirroringState, PoolState, Role,
};
use crate::model::pool::{BACKUP, BACKUP_MIRROR, InstanceId, Partner, Pool, Side};
use crate::say::stops::{bracketed, quoted};
use crate::words::instance;

impl Advice {
    fn sql(kind: AdviceKind, host: &str, lines: Vec<String>) -> Self {
        Advice { kind, tool: Tool::QueryWindow, host: host.to_owned(), lines }
    }

    fn shell(kind: AdviceKind, line: String) -> Self {
        let host = "a Front End, in the management shell".to_owned();
        Advice { kind, tool: Tool::ManagementShell, host, lines: vec![line] }
    }

    /// The host, and each line on a line of its own behind a tab: reports show such lines as they are, never wrapped.
    fn block(&self) -> String {
        let lines: String = self.lines.iter().map(|line| format!("\n\t{line}")).collect();
        format!(" On {}:{lines}\n", self.host)
    }
}

/// A remedy with its advice: what to do, the lines, what follows.
pub(crate) fn remedy(before: &str, advice: &[Advice], after: &str) -> String {
    debug_assert!(advice.is_empty() || !after.is_empty(), "a full stop would end up in the last line");
    let blocks: String = advice.iter().map(Advice::block).collect();
    let gap = if blocks.is_empty() { " " } else { "" };
    format!("{before}{blocks}{gap}{after}").trim().to_owned()
}

/// On each instance of the side that the pool would live on whose login may not act, as far as was seen. `sp_addsrvrolemember` is
/// understood by every version; ALTER SERVER ROLE only from 2012 on, and who is denied is not told the version.
pub(crate) fn grant_sysadmin(pool: &Pool, facts: &Facts) -> Vec<Advice> {
    let lacks = |id: &InstanceId| {
        let found = facts.instances.get(id)?;
        let denied = match (&found.contact, found.state.value()) {
            (Contact::Denied { .. }, _) => true,
            (Contact::Answers, Some(state)) => !state.sysadmin,
            _ => false,
        };
        let line = format!("EXEC sp_addsrvrolemember {}, N'sysadmin';", quoted(&found.login));
        denied.then(|| Advice::sql(AdviceKind::GrantSysadmin, &instance(pool, *id), vec![line]))
    };
    let declared = [BACKUP, BACKUP_MIRROR];
    declared.iter().filter(|id| pool.instance(**id).is_some()).filter_map(lacks).collect()
}

/// Shows all that stands there, and takes away what `damage` names: beside a damaged record another one may be whole and in use.
pub(crate) fn remove_journal(here: &str, database: &str, damage: &str) -> Advice {
    let damage = damage.to_lowercase();
    let like = quoted(&format!("persistentchat.io/{database}/%"));
    let drop = |what: &str| {
        let name = format!("persistentchat.io/{database}/{what}");
        let line = format!("EXEC master.sys.sp_dropextendedproperty @name = {};", quoted(&name));
        damage.contains(&format!("{} ", name.to_lowercase())).then_some(line)
    };
    let show = format!(
        "SELECT name, value FROM master.sys.extended_properties WHERE class = 0 AND name LIKE {like};"
    );
    let drops = ["owner", "journal", "silence"].into_iter().filter_map(drop);
    Advice::sql(AdviceKind::RemoveJournal, here, [show].into_iter().chain(drops).collect())
}

/// An instance of the other side that answered, if it is certain that it is none of those that the pool is to live on.
fn other<'a>(e: &'a Evidence<'_>, id: InstanceId) -> Option<(&'a InstanceState, &'a Database)> {
    let found = e.facts.instances.get(&id).filter(|f| f.contact == Contact::Answers)?;
    let state = found.state.value()?;
    let same = |name: &str| !name.is_empty() && name.eq_ignore_ascii_case(&e.state.server_name);
    let named = identity::says(&state.names).is_some() || !state.server_name.is_empty();
    (named && !same(&state.server_name) && !identity::same(e.facts, id, BACKUP)).then_some(())?;
    Some((state, state.database.as_ref()?))
}

fn partners(e: &Evidence<'_>, side: Side) -> impl Iterator<Item = InstanceId> {
    let declared: Vec<InstanceId> = [Partner::Database, Partner::Mirror]
        .map(|partner| InstanceId::new(side, partner))
        .into_iter()
        .filter(|id| e.pool.instance(*id).is_some())
        .collect();
    declared.into_iter()
}

/// The tail of each damaged database of the other side. NO_TRUNCATE reads the log whatever the state of the database, but for
/// OFFLINE and EMERGENCY, in which BACKUP is not allowed (BACKUP, Transact-SQL). While a database is mirrored, BACKUP LOG WITH NORECOVERY is
/// refused (1468), and a damaged one may not show that it is mirrored.
pub(crate) fn save_tail(e: &Evidence<'_>) -> Vec<Advice> {
    let Some(source) = &e.source else { return Vec::new() };
    // The session is the way to a partner that may hold everything: it is not ended while that one lives and was not asked.
    if unasked(e).is_some_and(|(_, silent)| !silent) {
        return Vec::new();
    }
    partners(e, Side::Primary)
        .enumerate()
        .filter_map(|(n, id)| {
            let name =
                quoted(&format!("{}\\{}", source.share.trim_end_matches('\\'), tail_name(e, n as i64 + 1)));
            let (_, db) = other(e, id)?;
            let damaged = matches!(db.state, DatabaseState::Suspect | DatabaseState::RecoveryPending);
            damaged.then_some(())?;
            let mirrored = db.mirroring.is_some() || e.pool.primary.mirror.is_some();
            let database = bracketed(&db.name);
            let off = format!("ALTER DATABASE {database} SET PARTNER OFF;");
            let backup = format!("BACKUP LOG {database} TO DISK = {name} WITH NO_TRUNCATE, NORECOVERY;");
            let lines = mirrored.then_some(off).into_iter().chain([backup]).collect();
            Some(Advice::sql(AdviceKind::SaveTail, &instance(e.pool, id), lines))
        })
        .collect()
}

/// A partner of the other side of which nothing is known, and whether it is silent: as the mirror it may hold everything.
pub(crate) fn unasked(e: &Evidence<'_>) -> Option<(InstanceId, bool)> {
    let id = partners(e, Side::Primary).find(|id| other(e, *id).is_none())?;
    let silent = e.facts.instances.get(&id).is_some_and(|f| matches!(f.contact, Contact::Silent { .. }));
    Some((id, silent))
}

/// A new name as log shipping forms them, some seconds behind the newest that is there. Not of the present time: the same state is told
/// in the same words.
fn tail_name(e: &Evidence<'_>, seconds: i64) -> String {
    let listed = e.facts.backups.value().into_iter().flat_map(|b| [&b.share, &b.folder]);
    let newest =
        listed.filter_map(|names| names.value()).flatten().filter_map(|n| time_in(n, &e.db.name)).max();
    let next = newest.and_then(|t| t.checked_add(SignedDuration::from_secs(seconds)).ok());
    let stamp = next
        .and_then(|t| strtime::format("%Y%m%d%H%M%S", t).ok())
        .unwrap_or_else(|| format!("tail{seconds}"));
    format!("{}_{stamp}.trn", e.db.name)
}

fn time_in(name: &str, database: &str) -> Option<DateTime> {
    let (stem, ending) = name.rsplit_once('.')?;
    let (of, digits) = stem.rsplit_once('_')?;
    let ours = ending.eq_ignore_ascii_case("trn") && of.to_lowercase() == database.to_lowercase();
    let plain = digits.len() == 14 && digits.bytes().all(|b| b.is_ascii_digit());
    if ours && plain { DateTime::strptime("%Y%m%d%H%M%S", digits).ok() } else { None }
}

/// The other side's mirror takes over. Without its principal it does so only when forced to.
pub(crate) fn fail_over_within_site(e: &Evidence<'_>) -> Vec<Advice> {
    partners(e, Side::Primary)
        .filter_map(|id| {
            let (_, db) = other(e, id)?;
            let session = db.mirroring.as_ref().filter(|m| m.role == Role::Mirror)?;
            let role = if id.partner == Partner::Mirror { "Mirror" } else { "Primary" };
            let force = if session.state.is_connected() { "" } else { " -Force" };
            let line = format!(
                "Invoke-CsDatabaseFailover -PoolFqdn {} -DatabaseType PersistentChat -NewPrincipal {role}{force}",
                e.pool.fqdn
            );
            Some(Advice::shell(AdviceKind::FailOverWithinSite, line))
        })
        .collect()
}

/// Nothing unless the management shell says that the pool uses the other database: what serves the pool is never taken out of service.
pub(crate) fn fence_old_primary(e: &Evidence<'_>, id: InstanceId) -> Vec<Advice> {
    let Some((state, db)) = other(e, id) else { return Vec::new() };
    if e.pool_state() != Some(PoolState::FailedOver) || !e.copy.is_recovered() {
        return Vec::new();
    }
    let database = bracketed(&db.name);
    let mut lines = Vec::new();
    if state.ships_logs {
        lines.push(format!(
            "DECLARE @job uniqueidentifier; SELECT @job = backup_job_id FROM msdb.dbo.log_shipping_primary_databases WHERE \
             primary_database = {}; EXEC msdb.dbo.sp_update_job @job_id = @job, @enabled = 0;",
            quoted(&db.name)
        ));
    }
    if db.mirroring.is_some() {
        lines.push(format!("ALTER DATABASE {database} SET PARTNER OFF;"));
    }
    lines.push(format!("ALTER DATABASE {database} SET OFFLINE WITH ROLLBACK IMMEDIATE;"));
    vec![Advice::sql(AdviceKind::FenceOldPrimary, &instance(e.pool, id), lines)]
}

/// What brings a copy back that no step goes on from, where a statement does.
pub(crate) fn mend_copy(e: &Evidence<'_>) -> Vec<Advice> {
    let here = instance(e.pool, BACKUP);
    let database = bracketed(&e.db.name);
    match e.db.state {
        // Its partner must be seen not to serve: a session in which it does is worth more than the copy.
        DatabaseState::Restoring if e.db.mirroring.is_some() && partner_is_idle(e) => vec![Advice::sql(
            AdviceKind::RemoveMirroring,
            &here,
            vec![format!("ALTER DATABASE {database} SET PARTNER OFF;")],
        )],
        DatabaseState::Offline if e.other.serves.is_none() => {
            vec![Advice::sql(
                AdviceKind::SetOnline,
                &here,
                vec![format!("ALTER DATABASE {database} SET ONLINE;")],
            )]
        }
        _ => Vec::new(),
    }
}

pub(crate) fn leave_standby(e: &Evidence<'_>) -> Vec<Advice> {
    let line = || vec![format!("RESTORE DATABASE {} WITH NORECOVERY;", bracketed(&e.db.name))];
    let advice = || Advice::sql(AdviceKind::LeaveStandby, &instance(e.pool, BACKUP), line());
    e.db.in_standby().then(advice).into_iter().collect()
}

fn partner_is_idle(e: &Evidence<'_>) -> bool {
    let mirror = e.facts.instances.get(&BACKUP_MIRROR).filter(|f| f.contact == Contact::Answers);
    let state = mirror.and_then(|f| f.state.value());
    // What is mirrored, or on its way to another state, may serve in a moment.
    let at_rest = |db: &Database| db.takes_no_writes() && db.mirroring.is_none();
    state.is_some_and(|s| s.database.as_ref().is_none_or(at_rest))
}

pub(crate) fn resume_mirroring(e: &Evidence<'_>) -> Vec<Advice> {
    let suspended = e.db.mirroring.as_ref().is_some_and(|m| m.state == MirroringState::Suspended);
    let line = || vec![format!("ALTER DATABASE {} SET PARTNER RESUME;", bracketed(&e.db.name))];
    let advice = || Advice::sql(AdviceKind::ResumeMirroring, &instance(e.pool, BACKUP), line());
    suspended.then(advice).into_iter().collect()
}

pub(crate) fn move_management_store() -> Advice {
    let line = format!("Invoke-CsManagementServerFailover -BackupSqlServerFqdn {STORE_BACKUP} -Force");
    Advice::shell(AdviceKind::MoveManagementStore, line)
}

/// Nothing unless the pool is to live on the backup side and its database is recovered there.
pub(crate) fn set_pool_state(e: &Evidence<'_>) -> Vec<Advice> {
    let line =
        || format!("Set-CsPersistentChatState -Identity \"service:{}\" -PoolState FailedOver", e.pool.fqdn);
    let due = e.pool.active == Side::Backup && e.copy.is_recovered();
    due.then(|| Advice::shell(AdviceKind::SetPoolState, line())).into_iter().collect()
}

pub(crate) fn show_replication() -> Advice {
    Advice::shell(AdviceKind::ShowReplication, "Get-CsManagementStoreReplicationStatus".into())
}

pub(crate) fn stop_job(here: &str, job: &str) -> Advice {
    let line = format!("EXEC msdb.dbo.sp_stop_job @job_name = {};", quoted(job));
    Advice::sql(AdviceKind::StopJob, here, vec![line])
}

pub(crate) fn enable_job(here: &str, job: &str) -> Advice {
    let line = format!("EXEC msdb.dbo.sp_update_job @job_name = {}, @enabled = 1;", quoted(job));
    Advice::sql(AdviceKind::EnableJob, here, vec![line])
}

pub(crate) fn drop_leftover(there: &str, database: &str) -> Advice {
    Advice::sql(AdviceKind::DropLeftover, there, vec![format!("DROP DATABASE {};", bracketed(database))])
}

/// The port is the one that a topology proposes. Windows accounts and AES, which every version knows; the algorithm is named because
/// the default was RC4 up to SQL Server 2014 (CREATE ENDPOINT, Transact-SQL).
pub(crate) fn create_endpoint(there: &str) -> Advice {
    let line = "CREATE ENDPOINT [mirroring_endpoint] STATE = STARTED AS TCP (LISTENER_PORT = 5022) FOR DATABASE_MIRRORING \
                (AUTHENTICATION = WINDOWS NEGOTIATE, ENCRYPTION = REQUIRED ALGORITHM AES, ROLE = PARTNER);";
    Advice::sql(AdviceKind::CreateEndpoint, there, vec![line.into()])
}

pub(crate) fn start_endpoint(there: &str, endpoint: &str) -> Advice {
    let line = format!("ALTER ENDPOINT {} STATE = STARTED;", bracketed(endpoint));
    Advice::sql(AdviceKind::StartEndpoint, there, vec![line])
}

/// Only what is named is changed (ALTER ENDPOINT, Transact-SQL): it stays a witness's too.
pub(crate) fn open_endpoint_to_partners(there: &str, endpoint: &str) -> Advice {
    let line = format!("ALTER ENDPOINT {} FOR DATABASE_MIRRORING (ROLE = ALL);", bracketed(endpoint));
    Advice::sql(AdviceKind::OpenEndpointToPartners, there, vec![line])
}

/// `old`: the name under which it is registered, where it is.
pub(crate) fn register_server_name(there: &str, old: Option<&str>, current: &str) -> Advice {
    let drop = old.map(|old| format!("EXEC sp_dropserver {};", quoted(old)));
    let add = format!("EXEC sp_addserver {}, N'local';", quoted(current));
    Advice::sql(AdviceKind::RegisterServerName, there, drop.into_iter().chain([add]).collect())
}
