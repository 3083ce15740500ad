//! Every Secret that a pool names must be there, with the keys that its use needs.

use super::problem::{Complaint, Problem};
use super::yaml::Document;
use crate::access::{Authentication, CaRef, Credentials};
use crate::pool::{PersistentChatPool, Side};
use crate::secrets::{SecretError, Secrets};
use crate::text::ObjectName;

/// Checks all references. Without `complete` a Secret that is absent may stand in a part that could not be read, and
/// is not called missing.
pub(super) fn check(
    pool: &PersistentChatPool,
    document: &Document,
    secrets: &Secrets,
    complete: bool,
    problems: &mut Vec<Problem>,
) {
    let mut references =
        References { namespace: pool.metadata.namespace.as_deref(), document, secrets, complete, problems };
    let spec = &pool.spec;
    let common = &spec.sql_server;
    references.login("spec.sqlServer", Some(&common.credentials));
    references.authority("spec.sqlServer", common.ca.as_ref(), Some(&common.credentials));
    for side in [Side::Primary, Side::Backup] {
        let site = spec.site(side);
        for (role, server) in [("database", Some(site.database.clone())), ("mirror", site.mirror.server())] {
            let Some(server) = server else { continue };
            let path = format!("spec.{side}.{role}");
            references.login(&path, server.credentials.as_ref());
            references.authority(&path, server.ca.as_ref(), server.credentials.as_ref());
        }
    }
    let shell = &spec.management_shell;
    let credentials = shell.credentials.as_ref();
    match shell.authentication {
        Authentication::Negotiate | Authentication::Basic => {
            references.login("spec.managementShell", credentials)
        }
        Authentication::Certificate => {
            references.credentials("spec.managementShell", credentials, |secrets, name| {
                secrets.client_certificate(name).map(drop)
            });
        }
        Authentication::Kerberos => {
            references.credentials("spec.managementShell", credentials, |secrets, name| {
                secrets.keytab(name).map(drop)
            });
        }
    }
    references.authority("spec.managementShell", shell.ca.as_ref(), credentials);
}

struct References<'a> {
    namespace: Option<&'a str>,
    document: &'a Document,
    secrets: &'a Secrets,
    complete: bool,
    problems: &'a mut Vec<Problem>,
}

impl References<'_> {
    fn login(&mut self, owner: &str, credentials: Option<&Credentials>) {
        self.credentials(owner, credentials, |secrets, name| secrets.login(name).map(drop));
    }

    fn credentials(
        &mut self,
        owner: &str,
        credentials: Option<&Credentials>,
        take: impl Fn(&Secrets, &ObjectName) -> Result<(), SecretError>,
    ) {
        let Some(credentials) = credentials else { return };
        let name = &credentials.secret_ref.name;
        self.judge(&format!("{owner}.credentials.secretRef.name"), name, take(self.secrets, name));
    }

    fn authority(&mut self, owner: &str, declared: Option<&CaRef>, credentials: Option<&Credentials>) {
        let beside = credentials.map(|credentials| &credentials.secret_ref.name);
        let outcome = self.secrets.authority(declared, beside).map(drop);
        match (declared, beside) {
            (Some(declared), _) => {
                self.judge(&format!("{owner}.ca.secretRef.name"), &declared.secret_ref.name, outcome);
            }
            (None, Some(beside)) => {
                self.judge(&format!("{owner}.credentials.secretRef.name"), beside, outcome);
            }
            (None, None) => {}
        }
    }

    fn judge(&mut self, path: &str, name: &ObjectName, outcome: Result<(), SecretError>) {
        let namespace = self.secrets.get(name.as_str()).and_then(|secret| secret.namespace.as_deref());
        let complaint = match (outcome, namespace, self.namespace) {
            (Err(SecretError::Missing { .. }), ..) if !self.complete => return,
            (Err(error), ..) => Complaint::Secret(error),
            (Ok(()), Some(found), Some(expected)) if found != expected => Complaint::SecretNamespace {
                secret: name.to_string(),
                found: found.to_owned(),
                expected: expected.to_owned(),
            },
            (Ok(()), ..) => return,
        };
        let problem = self.document.marks.problem(path, complaint);
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
