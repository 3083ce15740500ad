//! Makes the world of a scenario: a primary that has been log-shipped for a while.
//!
//! Answers for a start that real operations could have led to: it is made by the same commits, backups,
//! restores and mirroring statements that clients use, at pretended times. It must never write state that
//! those could not.

use super::backup::Backup;
use super::database::{Cell, Change, Database, RecoveryModel, Row};
use super::files::{Files, join};
use super::instance::{Instance, Login, Side};
use super::lsn::Lsn;
use super::mirroring::Endpoint;
use super::reach::Reach;
use super::restore::{End, Restore};
use super::scenario::Scenario;
use super::shipping_jobs::backup_file_name;
use super::store::Store;
use super::{Key, World};
use jiff::{SignedDuration, Timestamp};
use pchat_tsql::host::EndpointRole;
use std::path::Path;
use std::time::Duration;

/// Port of the mirroring endpoints (deploying-sql-mirroring: 5022).
pub const MIRRORING_PORT: u16 = 5022;

impl World {
    /// Builds the world of a scenario with its files under `dir`.
    pub fn build(scenario: Scenario, dir: &Path) -> Result<World, String> {
        let real_now = Timestamp::now();
        let l = &scenario.log_shipping;
        let back = i64::from(l.backups + 1) * i64::from(l.backup_every_min.max(1));
        let start = real_now.checked_sub(SignedDuration::from_mins(back)).map_err(|e| e.to_string())?;
        let members: Vec<String> =
            scenario.primary.chat_servers.iter().chain(&scenario.backup.chat_servers).cloned().collect();
        let active = scenario.primary.chat_servers.iter().take(4).cloned().collect();
        let delay = Duration::from_millis(scenario.replication_delay_ms);
        let mut store = Store::new(members, active, delay, start);
        // The Front End has a replica too, though it is no member of the chat pool.
        if let Some(any) = store.replicas.values().next().cloned() {
            store.replicas.insert(scenario.shell.host.clone(), any);
        }
        store.writable = scenario.store_writable;
        let mut world = World {
            servers: vec![],
            files: Files::new(dir),
            reach: Reach::default(),
            store,
            ledger: super::ledger::Ledger::default(),
            timeline: super::timeline::Timeline::default(),
            store_faults: vec![],
            store_nulls: vec![],
            withheld: std::collections::BTreeSet::new(),
            gate: super::gate::Gate::default(),
            hanging: vec![],
            hanging_cmdlets: vec![],
            taints: Vec::new(),
            pretended_now: Some(start),
            random: scenario.seed,
            scenario,
        };
        world.make_servers(start)?;
        world.make_files().map_err(|e| format!("the lab's folders under {}: {e}", dir.display()))?;
        world.make_history(start, real_now)?;
        world.pretended_now = None;
        world.timeline.mark();
        Ok(world)
    }

    fn make_servers(&mut self, start: Timestamp) -> Result<(), String> {
        let version = self.scenario.version_numbers()?;
        for (host, side) in self.scenario.sql_hosts() {
            let mut system = vec![];
            for (id, name) in [(1, "master"), (2, "tempdb"), (3, "model"), (4, "msdb")] {
                let ids = [self.new_guid(), self.new_guid(), self.new_guid()];
                let mut db = Database::new(id, name, Lsn::new(30, 1), start, ids);
                db.model = RecoveryModel::Simple;
                system.push(db);
            }
            let instance = Some(self.scenario.site(side).instance.clone()).filter(|i| !i.is_empty());
            let mut server = Instance::new(&host, instance.as_deref(), side, version, system, start);
            server.clock = self.scenario.clocks.get(&host).copied().unwrap_or_default();
            let login = |name: &str, password: &str, sysadmin| Login {
                name: name.to_owned(),
                password: password.to_owned(),
                sysadmin,
                disabled: false,
                refused_with: None,
            };
            let l = &self.scenario.sql_login;
            server.logins = vec![
                login("sa", &l.password, true),
                login(&l.name, &l.password, true),
                login("pchat_reader", &l.password, false),
                login(CHAT_LOGIN, CHAT_PASSWORD, false),
            ];
            server.endpoint = Some(Endpoint {
                name: "mirroring_endpoint".into(),
                port: MIRRORING_PORT,
                started: true,
                role: EndpointRole::Partner,
            });
            self.servers.push(server);
        }
        Ok(())
    }

    fn make_files(&mut self) -> std::io::Result<()> {
        let l = self.scenario.log_shipping.clone();
        self.files.share(&l.share, &l.share_host)?;
        self.files.share(&l.seed_share, &l.share_host)?;
        for server in &self.servers {
            self.files.make_folder(&server.host, &l.folder)?;
            self.files.make_folder(&server.host, r"D:\Data")?;
        }
        Ok(())
    }

    fn make_history(&mut self, start: Timestamp, end: Timestamp) -> Result<(), String> {
        let told = |f: super::error::Failure| f.first().map_or_else(String::new, |e| e.text.clone());
        let l = self.scenario.log_shipping.clone();
        let name = self.scenario.database.clone();
        let (principal, backup) = self.roles()?;
        let ids = [self.new_guid(), self.new_guid(), self.new_guid()];
        let mut db = Database::new(5, &name, Lsn::new(41, 230), start, ids);
        let pool_id = Cell::Guid(ids[1]);
        db.commit(Change::Put(Row("tblConfig".into(), 1, vec![pool_id])), start);
        self.servers[principal].databases.push(db);
        let key = Key { server: principal, database: 5 };

        // The first full backup initialises the secondary, as the wizard's "Yes, generate a full backup" does.
        let full = join(&l.seed_share, &format!("{name}_initial.bak"));
        self.backup_now(principal, 0, full_to(&name, &full)).map_err(told)?;
        self.restore_now(backup, 0, from_full(&name, &full)).map_err(told)?;
        if let Some(mirror) = self.mirror_of(Side::Primary) {
            self.mirror_up(key, mirror, &l.seed_share).map_err(told)?;
        }
        let id = self.register_log_shipping(start)?;

        let primary_id = self.servers[principal].shipping.primary(&name).map(|p| p.id).unwrap_or_default();
        let step = SignedDuration::from_mins(i64::from(l.backup_every_min.max(1)));
        let gap = step / i32::try_from(l.messages_per_backup + 1).unwrap_or(i32::MAX);
        for n in 0..l.backups {
            let begin = start + step * i32::try_from(n).unwrap_or(i32::MAX);
            for m in 0..l.messages_per_backup {
                self.pretended_now = Some(begin + gap * i32::try_from(m + 1).unwrap_or(1));
                self.seed_message(key, m as usize);
            }
            let at = begin + step;
            self.pretended_now = Some(at.min(end));
            let path = join(&l.share, &backup_file_name(&name, at));
            let log =
                Backup { log: true, database: name.clone(), path, overwrite: true, ..Backup::default() };
            self.backup_now(principal, 0, log.clone()).map_err(told)?;
            self.backup_job_done(principal, primary_id, &log.path);
        }
        for copy in self.copy_job(backup, id)?.iter().take(l.copied as usize) {
            self.copy_finish(backup, id, copy)?;
        }
        for path in self.restore_job(backup, id)?.iter().take(l.restored as usize) {
            if let Some(restore) = self.restore_job_step(backup, id, path)? {
                self.restore_now(backup, 0, restore).map_err(told)?;
                self.restore_job_done(backup, id, path);
            }
        }
        Ok(())
    }

    /// The servers of primary and backup database.
    pub fn roles(&self) -> Result<(usize, usize), String> {
        let at = |host: &str| self.server_at(host).ok_or(format!("no server {host}"));
        Ok((at(&self.scenario.primary.database)?, at(&self.scenario.backup.database)?))
    }

    /// The mirror server of a side.
    pub fn mirror_of(&self, side: Side) -> Option<usize> {
        let host = &self.scenario.site(side).mirror;
        if host.is_empty() { None } else { self.server_at(host) }
    }

    fn seed_message(&mut self, key: Key, n: usize) {
        let servers = &self.scenario.primary.chat_servers;
        let author = servers.get(n % servers.len().max(1)).cloned().unwrap_or_default();
        let (id, now) = (self.new_guid(), self.now());
        let cells = vec![
            Cell::Guid(id),
            Cell::Text(author.clone()),
            Cell::Text("lobby".into()),
            Cell::Text(format!("message {n} of {now}")),
            Cell::Time(now),
        ];
        let row = self.database(key).map_or(1, |d| d.next_row);
        let database = self.servers[key.server].name();
        if self.commit(key, Change::Put(Row("tblChat".into(), row, cells))).is_ok() {
            self.ledger.acknowledge(super::ledger::Message { id, server: author, database, at: now });
        }
    }

    /// Seeds and starts a mirror of a principal: full and log backup, restore, SET PARTNER on both ends.
    pub fn mirror_up(
        &mut self,
        principal: Key,
        mirror: usize,
        share: &str,
    ) -> Result<(), super::error::Failure> {
        let name = self.existing(principal).map_err(|e| vec![e])?.name.clone();
        let tag = self.new_guid().simple().to_string();
        let full = join(share, &format!("{name}_{tag}.bak"));
        self.backup_now(principal.server, 0, full_to(&name, &full))?;
        let mut restore = from_full(&name, &full);
        restore.replace = true;
        self.restore_now(mirror, 0, restore)?;
        let ends = [(mirror, principal.server), (principal.server, mirror)];
        for (at, other) in ends {
            let address = format!("TCP://{}:{MIRRORING_PORT}", self.servers[other].host);
            let key = self.key(at, &name).map_err(|e| vec![e])?;
            self.set_partner(key, &address).map_err(|e| vec![e])?;
        }
        Ok(())
    }
}

/// Login of the chat servers, whose changes are not counted as anybody's mutations.
pub const CHAT_LOGIN: &str = "pchat_service";

/// Password of the chat servers' login.
pub const CHAT_PASSWORD: &str = "Chat-Pa55w.rd";

fn full_to(name: &str, path: &str) -> Backup {
    Backup { database: name.to_owned(), path: path.to_owned(), overwrite: true, ..Backup::default() }
}

pub(crate) fn from_full(name: &str, path: &str) -> Restore {
    Restore {
        log: false,
        database: name.to_owned(),
        path: Some(path.to_owned()),
        position: 1,
        end: End::NoRecovery,
        replace: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::database::State;
    use crate::world::mirroring::MirrorState;

    fn world(yaml: &str) -> (World, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a folder");
        let scenario = Scenario::from_yaml(yaml).expect("a scenario");
        (World::build(scenario, dir.path()).expect("a world"), dir)
    }

    #[test]
    fn a_forced_failover_by_hand_brings_every_shipped_message() {
        let (mut w, _dir) = world("logShipping: {backups: 9, copied: 6, restored: 4}");
        let (primary, backup) = w.roles().expect("two servers");
        assert_eq!(w.mirror_state(w.chat_key(primary).expect("mgc")), Some(MirrorState::Synchronized));
        w.set_dead("sql-tp1.contoso.com", true);
        w.set_dead("sql-tp2.contoso.com", true);
        let share = w.scenario.log_shipping.share.clone();
        let (folder, _) = w.look(backup, &share).expect("the share is elsewhere");
        let mut applied = 0;
        for (name, _) in Files::list(&folder) {
            let restore = Restore {
                log: true,
                database: "mgc".into(),
                path: Some(join(&share, &name)),
                position: 1,
                end: End::NoRecovery,
                replace: false,
            };
            match w.restore_now(backup, 0, restore) {
                Ok(()) => applied += 1,
                Err(f) => assert_eq!(f[0].number, 4326, "{f:?}"),
            }
        }
        assert_eq!(applied, 5);
        let end = Restore {
            log: false,
            database: "mgc".into(),
            path: None,
            position: 1,
            end: End::Recovery,
            replace: false,
        };
        w.restore_now(backup, 0, end.clone()).expect("recovered");
        assert_eq!(w.restore_now(backup, 0, end).unwrap_err()[0].number, 3153);
        let key = w.chat_key(backup).expect("mgc");
        assert_eq!(w.existing(key).expect("there").state, State::Online);
        assert_eq!(w.ledger.against("ks", &w.messages_in(key)).lost, 0);
        assert_eq!(w.ledger.messages().len(), 90);
    }

    #[test]
    fn one_seed_makes_one_world() {
        let guid = |seed: u64| {
            let (w, _dir) =
                world(&format!("{{seed: {seed}, logShipping: {{backups: 1, copied: 0, restored: 0}}}}"));
            w.servers[0].databases.last().expect("mgc").family
        };
        assert_eq!(guid(7), guid(7));
        assert_ne!(guid(7), guid(8));
    }
}
