//! The printed runbook's steps, done by hand.
//!
//! Answers for each numbered step of "Failing over Persistent Chat Server" as an administrator would do it at
//! the servers, without the operator. It uses the world's statements only; what fails for an administrator fails here.

use crate::world::error::Failure;
use crate::world::files::{Files, join};
use crate::world::instance::Side;
use crate::world::restore::{End, Restore};
use crate::world::store::PoolState;
use crate::world::{Key, World};

fn told(f: Failure) -> String {
    f.first().map_or_else(String::new, |e| format!("Msg {}: {}", e.number, e.text))
}

impl World {
    /// Does step 1 to 7 and says what it did.
    pub fn runbook_step(&mut self, step: u8) -> Result<String, String> {
        let (_, backup) = self.roles()?;
        let key = self.chat_key(backup).ok_or("the backup instance has no chat database")?;
        match step {
            1 => self.drop_log_shipping(backup),
            2 => self.copy_by_hand(backup),
            3 => self.apply_by_hand(key),
            4 => self.recover_by_hand(key),
            5 => self.store_by_hand(|s| s.state = PoolState::FailedOver),
            6 => {
                let mirror = self.mirror_of(Side::Backup).ok_or("the backup site has no mirror")?;
                let share = self.scenario.log_shipping.seed_share.clone();
                self.mirror_up(key, mirror, &share).map_err(told)?;
                Ok("mirroring established".into())
            }
            7 => {
                let servers = self.scenario.backup.chat_servers.clone();
                self.store_by_hand(|s| s.active = servers)
            }
            other => Err(format!("the runbook has steps 1 to 7, not {other}")),
        }
    }

    /// Step 1, or an administrator who tidies up too early.
    pub fn drop_log_shipping(&mut self, server: usize) -> Result<String, String> {
        let name = self.scenario.database.clone();
        let jobs = self.servers[server].shipping.drop_database(&name);
        let jobs =
            jobs.ok_or(format!("Msg 32014: Database {name} does not exist as log shipping secondary."))?;
        jobs.into_iter().for_each(|j| self.servers[server].agent.remove(j));
        Ok(format!("log shipping of {name} dropped"))
    }

    fn copy_by_hand(&mut self, server: usize) -> Result<String, String> {
        let l = self.scenario.log_shipping.clone();
        let place =
            |w: &World, path: &str| w.look(server, path).map(|p| p.0).map_err(|e| format!("{path}: {e}"));
        let (share, folder) = (place(self, &l.share)?, place(self, &l.folder)?);
        let mut copied = 0;
        for (name, is_file) in Files::list(&share) {
            let to = folder.join(&name);
            if is_file && name.ends_with(".trn") && !to.exists() {
                std::fs::copy(share.join(&name), to).map_err(|e| format!("{name}: {e}"))?;
                copied += 1;
            }
        }
        Ok(format!("{copied} files copied"))
    }

    fn apply_by_hand(&mut self, key: Key) -> Result<String, String> {
        let folder = self.scenario.log_shipping.folder.clone();
        let (real, _) = self.look(key.server, &folder).map_err(|e| format!("{folder}: {e}"))?;
        let mut applied = 0;
        for (name, _) in Files::list(&real).into_iter().filter(|(n, file)| *file && n.ends_with(".trn")) {
            match self.restore_now(key.server, 0, self.log_from(&join(&folder, &name))) {
                Ok(()) => applied += 1,
                // Already applied, or not readable: the administrator goes on to the next.
                Err(f) if matches!(f.first().map(|e| e.number), Some(4326 | 3256 | 3241 | 3254)) => {}
                Err(f) => return Err(format!("{name}: {}", told(f))),
            }
        }
        Ok(format!("{applied} log backups applied"))
    }

    /// RESTORE LOG of the chat database from a file, WITH NORECOVERY.
    pub fn log_from(&self, path: &str) -> Restore {
        Restore {
            log: true,
            database: self.scenario.database.clone(),
            path: Some(path.to_owned()),
            position: 1,
            end: End::NoRecovery,
            replace: false,
        }
    }

    fn recover_by_hand(&mut self, key: Key) -> Result<String, String> {
        self.end_sessions_in(key);
        let database = self.scenario.database.clone();
        let recovery =
            Restore { log: false, database, path: None, position: 1, end: End::Recovery, replace: false };
        self.restore_now(key.server, 0, recovery).map_err(told)?;
        Ok("recovered".into())
    }

    fn store_by_hand(
        &mut self,
        f: impl FnOnce(&mut crate::world::store::Settings),
    ) -> Result<String, String> {
        let now = self.now();
        if !self.store.change(now, f) {
            return Err("the Central Management Store cannot be written".into());
        }
        Ok("set".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::database::State;
    use crate::world::mirroring::MirrorState;
    use crate::world::scenario::Scenario;

    #[test]
    fn the_printed_runbook_brings_the_pool_up_without_loss_of_shipped_messages() {
        let dir = tempfile::tempdir().expect("a folder");
        let scenario =
            Scenario::from_yaml("logShipping: {backups: 6, copied: 4, restored: 2}").expect("valid");
        let mut w = World::build(scenario, dir.path()).expect("a world");
        w.set_dead("sql-tp1.contoso.com", true);
        w.set_dead("sql-tp2.contoso.com", true);
        for step in 1..=7 {
            w.runbook_step(step).unwrap_or_else(|e| panic!("step {step}: {e}"));
        }
        let (_, backup) = w.roles().expect("servers");
        let key = w.chat_key(backup).expect("mgc");
        assert_eq!(w.existing(key).expect("there").state, State::Online);
        assert_eq!(w.mirror_state(key), Some(MirrorState::Synchronized));
        assert_eq!(w.ledger.against("ks", &w.messages_in(key)).lost, 0);
        assert!(w.servers[backup].agent.jobs.is_empty(), "copy and restore job went with log shipping");
    }

    #[test]
    fn a_database_with_a_hostile_name_goes_through_the_whole_runbook() {
        let dir = tempfile::tempdir().expect("a folder");
        let yaml = "{database: \"m]g'c ü x\", version: 10.50.6000, logShipping: {backups: 3, copied: 2, restored: 1}}";
        let mut w = World::build(Scenario::from_yaml(yaml).expect("valid"), dir.path()).expect("a world");
        w.set_dead("sql-tp1.contoso.com", true);
        w.set_dead("sql-tp2.contoso.com", true);
        for step in 1..=7 {
            w.runbook_step(step).unwrap_or_else(|e| panic!("step {step}: {e}"));
        }
        let key = w.key(w.roles().expect("servers").1, "M]G'C Ü X").expect("found in another case");
        assert_eq!(w.ledger.against("ks", &w.messages_in(key)).lost, 0);
    }
}
