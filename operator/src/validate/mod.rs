//! From manifests to what the stages work with: the planner's pool, and where and how each far end is reached.
//!
//! What a manifest may say is the business of `pchat-crds`; here it becomes targets, and what only shows then (a
//! certificate that is none, a key that does not fit, a form of authentication that this build lacks) is told, all
//! problems at once. Nothing is connected to, and nothing out of a Secret is ever in a message.

mod hosts;
mod installation;
mod shell;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use pchat_crds as crds;
use pchat_crds::manifest::Place;
use pchat_crds::{Manifest, PersistentChatPoolSpec, SqlServer};
use pchat_planner::pool as planner;
use pchat_planner::pool::{InstanceId, Partner, Pool, Side};

pub use self::hosts::{Hosts, HostsError};
pub use self::installation::Installation;
use self::installation::{admit, encrypted_enough};
use crate::observe::Ends;
use crate::outside;
use crate::sql::target::{Credentials, Deadlines, Encryption, Endpoint, Secret, Target};

/// The port of a default instance, where none is declared.
const DEFAULT_PORT: u16 = 1433;

/// One thing that can't be worked with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {field}: {expected}")]
pub struct Problem {
    /// Where the field stands, or the nearest one above it that the manifest has.
    pub place: Place,
    /// The field that leads there, for example `spec.backup.mirror`.
    pub field: String,
    /// What was expected and what to do.
    pub expected: String,
}

/// Everything that can't be worked with; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}

/// Makes it ready to be worked with by this installation.
pub fn validate(manifest: &Manifest, here: &Installation) -> Result<Ends, Problems> {
    let spec = &manifest.pool.spec;
    let mut found = Found { manifest, here, problems: Vec::new() };
    found.hidden(manifest);
    let mut targets = BTreeMap::new();
    for side in [Side::Primary, Side::Backup] {
        let site = spec.site(crd_side(side));
        let both =
            [(Partner::Database, Some(site.database.clone())), (Partner::Mirror, site.mirror.server())];
        for (partner, server) in both {
            let Some(server) = server else { continue };
            let field =
                format!("spec.{side}.{}", if partner == Partner::Mirror { "mirror" } else { "database" });
            if let Some(target) = target(spec, &server, &field, &mut found) {
                targets.insert(InstanceId { side, partner }, Arc::new(target));
            }
        }
    }
    let shell = shell::target(&spec.management_shell, &mut found);
    match shell {
        Some(shell) if found.problems.is_empty() => {
            Ok(Ends { pool: pool(spec), targets, shell, deadlines: deadlines(&spec.deadlines) })
        }
        _ => Err(Problems(found.problems)),
    }
}

/// What a pool is warned of for as long as it asks for less than the strictest, if it does.
fn weakened(spec: &PersistentChatPoolSpec) -> Option<String> {
    let mut parts = Vec::new();
    for side in [Side::Primary, Side::Backup] {
        let site = spec.site(crd_side(side));
        for server in [Some(site.database.clone()), site.mirror.server()].into_iter().flatten() {
            let what = match spec.sql_access(&server).encryption {
                crds::Encryption::Required => continue,
                crds::Encryption::LoginOnly => "LoginOnly (what is asked and answered travels in clear)",
                crds::Encryption::Plaintext => "Plaintext (nothing is encrypted, not even the password)",
            };
            parts.push(format!("{} with {what}", declared_instance(&server)));
        }
    }
    (!parts.is_empty()).then(|| {
        format!(
            "{} {} reached without full encryption: {}. Let the server offer TLS 1.2 with a certificate and declare encryption: Required.",
            parts.len(),
            if parts.len() == 1 { "server is" } else { "servers are" },
            parts.join("; ")
        )
    })
}

fn declared_instance(server: &SqlServer) -> planner::Instance {
    planner::Instance {
        host: server.host.to_string(),
        instance: server.instance.as_ref().map(ToString::to_string),
    }
}

/// The problems so far.
struct Found<'a> {
    manifest: &'a Manifest,
    here: &'a Installation,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn say(&mut self, field: &str, expected: impl Into<String>) {
        let place = self.manifest.place_of(field);
        let problem = Problem { place, field: field.into(), expected: expected.into() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// A value with a character in it that can't be seen is a problem: a person who approves must read what is used.
    fn hidden(&mut self, manifest: &Manifest) {
        let name = manifest.pool.metadata.name.clone().unwrap_or_default();
        self.hidden_in("metadata.name", &serde_json::Value::String(name));
        match serde_json::to_value(&manifest.pool.spec) {
            Ok(spec) => self.hidden_in("spec", &spec),
            Err(error) => self.say("spec", format!("expected what can be written as JSON ({error})")),
        }
    }

    fn hidden_in(&mut self, field: &str, value: &serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::String(text) => {
                if let Some(c) = text.chars().find(|c| outside::is_hidden(*c)) {
                    let (c, text) = (c.escape_unicode(), outside::value(text));
                    self.say(
                        field,
                        format!(
                            "expected characters that can be seen, found {c} in {text}; write the value anew"
                        ),
                    );
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.hidden_in(field, item)),
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| self.hidden_in(&format!("{field}.{name}"), value));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// `result`, or its error as a problem of `field`.
    fn take<T, E: fmt::Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.say(field, error.to_string())).ok()
    }

    /// Certificates in PEM that can be read, or a problem of `field`.
    fn authorities(&mut self, field: &str, pem: Option<Vec<u8>>) -> Option<Option<Vec<u8>>> {
        let Some(pem) = pem else { return Some(None) };
        match native_tls::Certificate::stack_from_pem(&pem) {
            Ok(certificates) if !certificates.is_empty() => Some(Some(pem)),
            _ => {
                self.say(
                    field,
                    "expected certificates of authorities in PEM in the Secret's key (ca.crt unless another is \
                     named), found none that can be read; export the authority's certificate again, Base-64 encoded",
                );
                None
            }
        }
    }
}

fn target(
    spec: &PersistentChatPoolSpec,
    server: &SqlServer,
    field: &str,
    found: &mut Found<'_>,
) -> Option<Target> {
    let Found { manifest: Manifest { secrets, .. }, here, .. } = *found;
    let access = spec.sql_access(server);
    let admitted = admit(found, &format!("{field}.host"), &access.credentials, server.host.as_str());
    let encrypted = encrypted_enough(found, &format!("{field}.encryption"), access.encryption);
    let login = found.take(&format!("{field}.credentials"), secrets.login(&access.credentials));
    let authority = secrets.authority(access.ca.as_ref(), Some(&access.credentials));
    let authority = found.take(&format!("{field}.ca"), authority)?;
    let ca_pem = found.authorities(&format!("{field}.ca"), authority);
    let host = server.host.to_string();
    let instance = declared_instance(server);
    let (login, ca_pem, (), ()) = (login?, ca_pem?, admitted?, encrypted?);
    let endpoint = match (&server.instance, server.port) {
        (Some(name), _) => Endpoint::Instance(name.to_string()),
        (None, port) => Endpoint::Port(port.unwrap_or(DEFAULT_PORT)),
    };
    let place = format!("sql {host} {endpoint:?}");
    Some(Target {
        display: instance.to_string(),
        address: here.hosts.address(&host),
        host,
        endpoint,
        credentials: Credentials {
            brake: here.brakes.of(&place, &login.username, login.password.as_bytes()),
            shown: here.shown(&login.username, &access.credentials),
            user: login.username,
            password: Secret::new(login.password),
        },
        encryption: match access.encryption {
            crds::Encryption::Required => Encryption::Required,
            crds::Encryption::LoginOnly => Encryption::LoginOnly,
            crds::Encryption::Plaintext => Encryption::Plaintext,
        },
        ca_pem,
    })
}

/// The planner's pool of a spec.
pub fn pool(spec: &PersistentChatPoolSpec) -> Pool {
    let instance = declared_instance;
    let site = |side: Side| {
        let site = spec.site(crd_side(side));
        planner::Site {
            name: site.site.to_string(),
            database: instance(&site.database),
            mirror: site.mirror.server().as_ref().map(instance),
            active_servers: site.declared_active_servers().iter().map(ToString::to_string).collect(),
        }
    };
    Pool {
        fqdn: spec.pool.fqdn.to_string(),
        database: spec.database_name.to_string(),
        active: match spec.active_database {
            crds::Side::Primary => Side::Primary,
            crds::Side::Backup => Side::Backup,
        },
        mode: match spec.mode {
            crds::Mode::Observe => planner::Mode::Observe,
            crds::Mode::Plan => planner::Mode::Plan,
            crds::Mode::Enforce => planner::Mode::Enforce,
        },
        primary: site(Side::Primary),
        backup: site(Side::Backup),
        log_source: spec.log_shipping.as_ref().map(|source| planner::LogSource {
            share: source.share.to_string(),
            folder: source.folder.to_string(),
        }),
        seed_share: spec.mirroring.as_ref().map(|mirroring| mirroring.seed_share.to_string()),
        replication: SignedDuration::try_from(spec.deadlines.replication.duration())
            .unwrap_or(SignedDuration::MAX),
        weakened: weakened(spec),
        silent_for: SignedDuration::try_from(spec.silent_for.duration()).unwrap_or(SignedDuration::MAX),
        max_data_loss: spec.max_data_loss_minutes.map(|minutes| SignedDuration::from_mins(minutes.into())),
    }
}

fn crd_side(side: Side) -> crds::Side {
    match side {
        Side::Primary => crds::Side::Primary,
        Side::Backup => crds::Side::Backup,
    }
}

fn deadlines(declared: &crds::span::Deadlines) -> Deadlines {
    Deadlines {
        connect: declared.connect.duration(),
        login: declared.connect.duration(),
        look: declared.statement.duration(),
        files: declared.listing.duration(),
        batch: declared.statement.duration(),
        restore: declared.restore.duration(),
        cmdlet: declared.cmdlet.duration(),
        mirror: declared.mirror_seeding.duration(),
    }
}

#[cfg(test)]
mod tests;
