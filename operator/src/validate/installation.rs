//! What holds for every pool of this process: whoever starts it says so, not whoever declares a pool.

use pchat_crds::Encryption;
use pchat_crds::audience::HOSTS;
use pchat_crds::text::ObjectName;

use super::{Found, Hosts};
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
    /// The weakest encryption that a pool may ask for.
    pub least_encryption: Encryption,
    /// Whether a Secret must name the hosts that it is for.
    pub demands_hosts: bool,
}

impl Installation {
    /// Of a run from the command line: who starts it holds the Secrets in his hands.
    pub fn of_a_run(hosts: Hosts) -> Self {
        Installation {
            hosts,
            brakes: Brakes::of_a_run(),
            tells_users: true,
            least_encryption: Encryption::Required,
            demands_hosts: false,
        }
    }

    /// Of the operator in a cluster: a status is read by more people than a Secret.
    pub fn of_a_cluster(hosts: Hosts) -> Self {
        Installation { brakes: Brakes::of_a_cluster(), tells_users: false, ..Installation::of_a_run(hosts) }
    }

    /// How sentences name the user of a Secret.
    pub fn shown(&self, user: &str, secret: &ObjectName) -> String {
        if self.tells_users { user.to_owned() } else { format!("<user of Secret {secret}>") }
    }
}

/// Whether what a Secret holds may be shown to a host; a problem of `field` if not.
pub(super) fn admit(found: &mut Found<'_>, field: &str, secret: &ObjectName, host: &str) -> Option<()> {
    let complaint = match found.manifest.secrets.audience(secret) {
        Err(wrong) => format!("the annotation {HOSTS} of Secret {secret} can't be read: {wrong}"),
        Ok(Some(audience)) if audience.includes(host) => return Some(()),
        Ok(Some(_)) => format!(
            "Secret {secret} is not for {host}, by its annotation {HOSTS}: correct the host, or let somebody who may write \
             the Secret add it there"
        ),
        Ok(None) if found.here.demands_hosts => format!(
            "Secret {secret} does not say which hosts it is for, and this operator demands that (--demand-secret-hosts): \
             whoever may write the Secret adds the annotation {HOSTS}, for example '*.contoso.com'"
        ),
        Ok(None) => return Some(()),
    };
    found.say(field, complaint);
    None
}

/// Whether a server may be reached like this; a problem of `field` if not.
pub(super) fn encrypted_enough(found: &mut Found<'_>, field: &str, wanted: Encryption) -> Option<()> {
    let least = found.here.least_encryption;
    if wanted <= least {
        return Some(());
    }
    found.say(
        field,
        format!(
            "encryption {wanted} is weaker than what is allowed here ({least}). If that server can do no better, whoever \
             starts the operator allows it with --least-encryption {wanted} (in the chart: leastEncryption)"
        ),
    );
    None
}
