//! What holds for every pool of this process: whoever starts it says so, not whoever declares a pool.

use pchat_crds::text::ObjectName;

use super::Hosts;
use crate::brake::Brakes;

/// What whoever starts the operator has decided.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Addresses that are used before name resolution.
    pub hosts: Hosts,
    /// The logins that were refused.
    pub brakes: Brakes,
    /// Whether who reads what is told may read the Secrets as well, and with them the names of users.
    pub tells_users: bool,
}

impl Installation {
    /// Of a run from the command line: who starts it holds the Secrets in his hands.
    pub fn of_a_run(hosts: Hosts) -> Self {
        Installation { hosts, brakes: Brakes::of_a_run(), tells_users: true }
    }

    /// Of the operator in a cluster: a status is read by more people than a Secret.
    pub fn of_a_cluster(hosts: Hosts) -> Self {
        Installation { hosts, brakes: Brakes::of_a_cluster(), tells_users: false }
    }

    /// How sentences name the user of a Secret.
    pub fn shown(&self, user: &str, secret: &ObjectName) -> String {
        if self.tells_users { user.to_owned() } else { format!("<user of Secret {secret}>") }
    }
}
