//! The chat servers' view of the world: their replica of the pool's settings, and the ledger.
//!
//! Answers for a server knowing no more than what was replicated to it.

use std::collections::BTreeMap;

use super::{Duty, Place, Pool, Stored};
use crate::world::Shared;
use crate::world::instance::Side;
use crate::world::ledger::Message;
use crate::world::store::PoolState;

/// The world, and on which port of which host its instances are.
#[derive(Debug, Clone)]
pub struct WorldPool {
    world: Shared,
    /// Ports by the full name of the host.
    ports: BTreeMap<String, u16>,
}

impl WorldPool {
    /// A view for chat servers.
    pub fn new(world: &Shared, ports: BTreeMap<String, u16>) -> WorldPool {
        WorldPool { world: world.clone(), ports }
    }
}

impl Pool for WorldPool {
    fn duty(&self, server: &str) -> Duty {
        let world = self.world.lock();
        if !world.reach.alive(server) {
            return Duty::None;
        }
        let Some(replica) = world.store.replicas.get(server) else { return Duty::None };
        if !replica.settings.active.iter().any(|a| a.eq_ignore_ascii_case(server)) {
            return Duty::None;
        }
        let side = match replica.settings.state {
            PoolState::Normal => Side::Primary,
            PoolState::FailedOver => Side::Backup,
        };
        let site = world.scenario.site(side);
        // The connection string names the mirror as failover partner.
        let places = [&site.database, &site.mirror].into_iter().filter_map(|host| {
            let instance = world.servers.get(world.server_at(host)?)?.name();
            Some(Place { host: host.clone(), port: *self.ports.get(host)?, instance })
        });
        Duty::Serve(places.collect())
    }

    fn stored(&self, message: Stored) {
        let Stored { id, server, instance, at } = message;
        self.world.lock().ledger.acknowledge(Message { id, server, database: instance, at });
    }
}
