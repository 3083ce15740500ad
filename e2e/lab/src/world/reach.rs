//! Who can reach whom.
//!
//! Answers for the state of hosts and of the links between sites as the servers see each other: mirroring,
//! file shares, a remote monitor. The clients' own network is `net`; orders set both. It must treat a
//! dead host and a cut link alike for those on the other side: silence.

use serde::Serialize;
use std::collections::BTreeSet;

/// Which hosts are dead and which pairs are cut.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Reach {
    dead: BTreeSet<String>,
    cut: BTreeSet<(String, String)>,
}

impl Reach {
    /// Kills or revives a host.
    pub fn set_dead(&mut self, host: &str, dead: bool) {
        if dead {
            self.dead.insert(host.to_owned())
        } else {
            self.dead.remove(host)
        };
    }

    /// Cuts or joins the link between two hosts.
    pub fn set_cut(&mut self, a: &str, b: &str, cut: bool) {
        let key = pair(a, b);
        if cut {
            self.cut.insert(key)
        } else {
            self.cut.remove(&key)
        };
    }

    /// The host runs.
    pub fn alive(&self, host: &str) -> bool {
        !self.dead.contains(host)
    }

    /// `from` gets an answer of `to`.
    pub fn reaches(&self, from: &str, to: &str) -> bool {
        self.alive(from) && self.alive(to) && (from == to || !self.cut.contains(&pair(from, to)))
    }
}

fn pair(a: &str, b: &str) -> (String, String) {
    let (a, b) = (a.to_owned(), b.to_owned());
    if a < b { (a, b) } else { (b, a) }
}
