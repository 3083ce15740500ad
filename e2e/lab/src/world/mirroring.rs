//! Database mirroring: one session, two ends.
//!
//! Answers for the roles and states of both ends and for what SET PARTNER may do to them (ALTER DATABASE
//! Database Mirroring; sys.database_mirroring). Each end keeps its own view, as the real ones do: what is
//! done while the other is unreachable holds on one end only. It must never make two principals by itself;
//! FORCE_SERVICE and OFF can, as documented.

use super::error::{SqlError, raise};
use super::lsn::Lsn;
use super::{Key, World};
use crate::world::database::{Access, RecoveryModel, State};
use pchat_tsql::host::EndpointRole;
use serde::Serialize;
use uuid::Uuid;

/// `mirroring_role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    Principal = 1,
    Mirror = 2,
}

/// `mirroring_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MirrorState {
    Suspended = 0,
    Disconnected = 1,
    Synchronizing = 2,
    PendingFailover = 3,
    Synchronized = 4,
}

impl MirrorState {
    /// The text of `mirroring_state_desc`.
    pub fn name(self) -> &'static str {
        match self {
            MirrorState::Suspended => "SUSPENDED",
            MirrorState::Disconnected => "DISCONNECTED",
            MirrorState::Synchronizing => "SYNCHRONIZING",
            MirrorState::PendingFailover => "PENDING_FAILOVER",
            MirrorState::Synchronized => "SYNCHRONIZED",
        }
    }
}

/// One end's view of its session.
#[derive(Clone, Debug, Serialize)]
pub struct Mirroring {
    /// `mirroring_guid`, equal on both ends.
    pub guid: Uuid,
    pub role: Role,
    pub role_sequence: i32,
    /// `TCP://host:port` of the other end.
    pub partner: String,
    /// The other end, where the address names a server of the lab.
    pub partner_key: Option<Key>,
    pub suspended: bool,
    /// SET PARTNER was run on the mirror only, so far.
    pub waiting: bool,
    /// Principal: log up to here is on the mirror.
    pub sent_to: Option<Lsn>,
    /// Principal: the mirror has caught up (SYNCHRONIZED as long as it is connected). Mirror: it had all that the
    /// principal acknowledged when it last heard of it, so that it may take over without loss.
    pub caught_up: bool,
    /// It became principal with a witness's consent, who will tell the old principal when that comes back alone.
    pub witnessed: bool,
    pub failover_lsn: Lsn,
}

/// A database mirroring endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub name: String,
    pub port: u16,
    pub started: bool,
    pub role: EndpointRole,
}

impl World {
    /// The state that an end shows now: what it stored, and whether the other end can be reached.
    pub fn mirror_state(&self, key: Key) -> Option<MirrorState> {
        let m = self.database(key)?.mirroring.as_ref()?;
        let connected = !m.waiting
            && m.partner_key.is_some_and(|p| {
                self.reaches(key.server, p.server)
                    && self.database(p).and_then(|d| d.mirroring.as_ref()).is_some_and(|o| o.guid == m.guid)
            });
        Some(match (m.suspended, connected) {
            (_, false) => MirrorState::Disconnected,
            (true, true) => MirrorState::Suspended,
            (false, true) => {
                let caught_up = if m.role == Role::Principal {
                    m.caught_up
                } else {
                    let other = m.partner_key.and_then(|p| self.database(p)?.mirroring.as_ref());
                    other.is_some_and(|o| o.caught_up)
                };
                if caught_up { MirrorState::Synchronized } else { MirrorState::Synchronizing }
            }
        })
    }

    /// `ALTER DATABASE .. SET PARTNER = 'address'` on `key`.
    pub fn set_partner(&mut self, key: Key, address: &str) -> Result<(), SqlError> {
        let db = self.existing(key)?;
        let name = db.name.clone();
        if db.mirroring.is_some() {
            return Err(raise(1405, &[&name]));
        }
        let Some((server, port)) = self.endpoint_at(address) else {
            return Err(raise(1449, &[]));
        };
        if server == Some(key.server) {
            return Err(raise(1452, &[]));
        }
        let db = self.existing(key)?;
        if db.model != RecoveryModel::Full {
            return Err(raise(1465, &[&name]));
        }
        let partner_key = server.and_then(|s| Some(Key { server: s, database: self.find(s, &name)?.id }));
        let end = |guid, role| Mirroring {
            guid,
            role,
            role_sequence: 1,
            partner: address.to_owned(),
            partner_key,
            suspended: false,
            waiting: false,
            sent_to: None,
            caught_up: false,
            witnessed: false,
            failover_lsn: Lsn::default(),
        };
        // On the future mirror the statement only prepares its end.
        if db.state == State::Restoring {
            let mut m = end(self.new_guid(), Role::Mirror);
            m.waiting = true;
            self.existing_mut(key)?.mirroring = Some(m);
            return Ok(());
        }
        if db.state != State::Online || db.standby.is_some() {
            return Err(raise(1467, &[&name]));
        }
        if db.access == Access::Single {
            return Err(raise(1488, &[&name]));
        }
        let unreachable = || raise(1418, &[&address]);
        let server = server.filter(|s| self.reaches(key.server, *s)).ok_or_else(unreachable)?;
        let listening = |s: usize, p: Option<u16>| {
            self.servers[s].endpoint.as_ref().is_some_and(|e| {
                e.started && e.role != EndpointRole::Witness && p.is_none_or(|p| p == e.port)
            })
        };
        if !listening(key.server, None) || !listening(server, Some(port)) {
            return Err(unreachable());
        }
        let other = partner_key.ok_or_else(|| raise(1448, &[&name]))?;
        let mirror = self.existing(other)?;
        let principal = self.existing(key)?;
        if mirror.state != State::Restoring {
            return Err(raise(1464, &[&name]));
        }
        if mirror.family != principal.family {
            return Err(raise(1407, &[&name]));
        }
        match &mirror.mirroring {
            None => return Err(unreachable()),
            Some(m) if !m.waiting => return Err(raise(1460, &[&name])),
            Some(m) if m.partner_key.map(|k| k.server) != Some(key.server) => {
                return Err(raise(1460, &[&name]));
            }
            Some(_) => {}
        }
        if mirror.fork != principal.fork || mirror.next > principal.next {
            return Err(raise(1412, &[&name]));
        }
        if mirror.next < principal.backed_up_to {
            return Err(raise(1478, &[&name]));
        }
        let sent_to = mirror.next;
        let guid = self.new_guid();
        let mut mine = end(guid, Role::Principal);
        mine.sent_to = Some(sent_to);
        self.existing_mut(key)?.mirroring = Some(mine);
        if let Some(m) = self.existing_mut(other)?.mirroring.as_mut() {
            m.guid = guid;
            m.waiting = false;
        }
        self.ship_log(key);
        Ok(())
    }

    /// `SET PARTNER OFF` on either end; an unreachable other end keeps its own view.
    pub fn partner_off(&mut self, key: Key) -> Result<(), SqlError> {
        let db = self.existing_mut(key)?;
        let Some(m) = db.mirroring.take() else { return Err(raise(1416, &[&db.name])) };
        db.backed_up_to = db.backed_up_to.min(db.next);
        if let Some(other) = m.partner_key.filter(|p| self.reaches(key.server, p.server))
            && let Ok(db) = self.existing_mut(other)
            && db.mirroring.as_ref().is_some_and(|o| o.guid == m.guid)
        {
            db.mirroring = None;
        }
        Ok(())
    }

    /// `SET PARTNER SUSPEND` or `RESUME`.
    pub fn partner_suspend(&mut self, key: Key, suspend: bool) -> Result<(), SqlError> {
        let db = self.existing_mut(key)?;
        let name = db.name.clone();
        let Some(m) = db.mirroring.as_mut() else { return Err(raise(1416, &[&name])) };
        m.suspended = suspend;
        m.caught_up = false;
        let (guid, other) = (m.guid, m.partner_key);
        if let Some(other) = other.filter(|p| self.reaches(key.server, p.server))
            && let Ok(db) = self.existing_mut(other)
            && let Some(o) = db.mirroring.as_mut().filter(|o| o.guid == guid)
        {
            o.suspended = suspend;
        }
        self.ship_log(key);
        Ok(())
    }

    /// `SET PARTNER FAILOVER`, run on the principal: the roles change, no commit is lost, no new fork.
    pub fn partner_failover(&mut self, key: Key) -> Result<(), SqlError> {
        let db = self.existing(key)?;
        let name = db.name.clone();
        let Some(m) = db.mirroring.clone() else { return Err(raise(1416, &[&name])) };
        if m.role != Role::Principal {
            return Err(raise(1470, &[&name]));
        }
        match self.mirror_state(key) {
            Some(MirrorState::Synchronized) => {}
            Some(MirrorState::Disconnected) => return Err(raise(1447, &[&name])),
            _ => return Err(raise(1422, &[&name])),
        }
        let other = m.partner_key.ok_or_else(|| raise(1447, &[&name]))?;
        self.ship_log(key);
        self.swap_roles(key, other)
    }

    /// The mirror takes over because the principal is gone, with everything that it had acknowledged: what
    /// a witness, or an administrator's SET PARTNER FAILOVER a moment earlier, brings about.
    pub fn promote_mirror(&mut self, mirror: Key) -> Result<(), SqlError> {
        let db = self.existing(mirror)?;
        let name = db.name.clone();
        let Some(m) = db.mirroring.clone().filter(|m| m.role == Role::Mirror) else {
            return Err(raise(1416, &[&name]));
        };
        match m.partner_key {
            Some(principal) if self.reaches(mirror.server, principal.server) => {
                self.partner_failover(principal)
            }
            // One that missed commits takes over by FORCE_SERVICE only.
            _ if !m.caught_up => Err(raise(1422, &[&name])),
            _ => {
                let db = self.existing_mut(mirror)?;
                db.state = State::Online;
                if let Some(m) = db.mirroring.as_mut() {
                    m.role = Role::Principal;
                    m.role_sequence += 1;
                    m.sent_to = Some(db.next);
                    m.caught_up = false;
                    m.witnessed = true;
                }
                Ok(())
            }
        }
    }

    fn swap_roles(&mut self, principal: Key, mirror: Key) -> Result<(), SqlError> {
        // Both ends count role changes alike, or a returning one could take the older role for the newer.
        let count = |k| self.database(k).and_then(|d| d.mirroring.as_ref()).map_or(0, |m| m.role_sequence);
        let sequence = count(principal).max(count(mirror)) + 1;
        let (mark, base, next) = {
            let p = self.existing_mut(principal)?;
            p.state = State::Restoring;
            let mark = (p.backed_up_to, p.base, p.next);
            if let Some(m) = p.mirroring.as_mut() {
                m.role = Role::Mirror;
                m.role_sequence = sequence;
                m.sent_to = None;
                m.failover_lsn = mark.2;
            }
            mark
        };
        let db = self.existing_mut(mirror)?;
        db.state = State::Online;
        db.backed_up_to = mark;
        db.base = base;
        db.next = db.next.max(next);
        if let Some(m) = db.mirroring.as_mut() {
            m.role = Role::Principal;
            m.role_sequence = sequence;
            m.sent_to = Some(next);
            m.caught_up = true;
            m.failover_lsn = next;
        }
        self.end_sessions_in(principal);
        Ok(())
    }

    /// `SET PARTNER FORCE_SERVICE_ALLOW_DATA_LOSS`, run on a mirror whose principal is gone: a new fork.
    pub fn force_service(&mut self, key: Key) -> Result<(), SqlError> {
        let fork = self.new_guid();
        let db = self.existing(key)?;
        let name = db.name.clone();
        let Some(m) = &db.mirroring else { return Err(raise(1416, &[&name])) };
        let connected = self.mirror_state(key).is_some_and(|s| s != MirrorState::Disconnected);
        if m.role != Role::Mirror || connected || m.waiting {
            return Err(raise(1455, &[&name]));
        }
        let db = self.existing_mut(key)?;
        db.recover(fork);
        if let Some(m) = db.mirroring.as_mut() {
            m.role = Role::Principal;
            m.role_sequence += 1;
            m.suspended = true;
            m.sent_to = Some(db.next);
        }
        Ok(())
    }

    /// Sends the principal's log to its mirror as far as it is reachable (synchronous once caught up).
    pub fn ship_log(&mut self, key: Key) {
        let Some(m) = self.database(key).and_then(|d| d.mirroring.clone()) else { return };
        if m.role != Role::Principal || m.suspended || m.waiting {
            return;
        }
        let Some(other) = m.partner_key.filter(|p| self.reaches(key.server, p.server)) else {
            if let Some(m) = self.database_mut(key).and_then(|d| d.mirroring.as_mut()) {
                m.caught_up = false;
            }
            return;
        };
        let same = |d: &super::database::Database| d.mirroring.as_ref().is_some_and(|o| o.guid == m.guid);
        if !self.database(other).is_some_and(same) {
            return;
        }
        let Some(db) = self.database(key) else { return };
        let from = m.sent_to.unwrap_or(db.next);
        // The tail only: a log that nobody backs up grows long.
        let mut records: Vec<_> = db.log.iter().rev().take_while(|r| r.lsn >= from).cloned().collect();
        records.reverse();
        let (next, mark, base, fork) = (db.next, db.backed_up_to, db.base, db.fork);
        let forks = db.forks.clone();
        if let Some(mirror) = self.database_mut(other) {
            let at = mirror.next;
            records.iter().filter(|r| r.lsn >= at).for_each(|r| mirror.replay(r));
            mirror.next = next;
            mirror.fork = fork;
            mirror.forks = forks;
            mirror.backed_up_to = mark;
            mirror.base = base;
            mirror.truncate_log(mark);
            if let Some(o) = mirror.mirroring.as_mut() {
                o.caught_up = true;
            }
        }
        if let Some(m) = self.database_mut(key).and_then(|d| d.mirroring.as_mut()) {
            m.sent_to = Some(next);
            m.caught_up = true;
        }
    }
}

#[cfg(test)]
#[path = "mirroring_tests.rs"]
mod tests;
