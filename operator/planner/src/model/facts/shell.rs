//! What the management shell tells.

use std::collections::BTreeMap;

use super::{Contact, Fact};

/// `Get-CsPersistentChatState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display)]
pub enum PoolState {
    /// The primary side's database is used.
    Normal,
    /// The backup side's database is used.
    FailedOver,
}

/// The pool's entry in the topology (`Get-CsService -PersistentChatServer`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Servers {
    /// Identity to be used in Set cmdlets, verbatim.
    pub identity: String,
    /// Active servers, lower case.
    pub active: Vec<String>,
    /// Inactive ones, lower case.
    pub inactive: Vec<String>,
}

/// What the Lync Management Shell tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShellFacts {
    /// Whether its host answers.
    pub contact: Contact,
    /// Identity and state of the pool.
    pub pool_state: Fact<(String, PoolState)>,
    /// Active and inactive servers.
    pub servers: Fact<Servers>,
    /// For each declared chat server, lower case: whether the store has been replicated to it.
    pub replicated: Fact<BTreeMap<String, bool>>,
    /// Whether the Central Management Store can be written; `Err` says why not.
    pub store_writable: Fact<Result<(), String>>,
    /// Whether the endpoint offers a cmdlet; one that is not in it was not asked about, or the answer proved nothing.
    pub cmdlets: BTreeMap<String, bool>,
    /// The pools that the shell knows, if it was asked and the declared one is not among them.
    pub other_pools: Option<Vec<String>>,
}
