//! The files that a client of the lab needs: manifest, Secrets, hosts file, CA, addresses.
//!
//! Answers for a manifest that fits the scenario word for word. It must never hold more than an administrator would
//! write.

use crate::lab::Lab;
use crate::world::scenario::{Encryption, Scenario, Site};
use std::fmt::Write;

/// Writes `pool.yaml`, `hosts`, `ca.pem` and `lab.json` into the lab's folder.
pub fn write(lab: &Lab) -> std::io::Result<()> {
    let dir = lab.dir();
    let scenario = lab.inner.world.lock().scenario.clone();
    std::fs::write(dir.join("pool.yaml"), pool(&scenario, &lab.inner.ca, lab.inner.shell_port))?;
    std::fs::write(dir.join("hosts"), lab.inner.net.hosts_file())?;
    std::fs::write(dir.join("ca.pem"), &lab.inner.ca)?;
    let about = serde_json::json!({
        "seed": scenario.seed,
        "network": lab.inner.net.block(),
        "pool": scenario.pool,
        "database": scenario.database,
        "sqlLogin": scenario.sql_login.name,
        "shell": format!("https://{}:{}/OcsPowerShell", scenario.shell.host, lab.inner.shell_port),
        "hosts": scenario.sql_hosts().into_iter().map(|(h, side)| {
            serde_json::json!({"host": h, "side": side, "address": lab.address(&h)})
        }).collect::<Vec<_>>(),
    });
    std::fs::write(dir.join("lab.json"), format!("{about:#}\n"))
}

/// A YAML text in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn site(out: &mut String, key: &str, s: &Site) {
    let server = |host: &str| {
        let instance = match s.instance.as_str() {
            "" => String::new(),
            name => format!(", instance: {}", quoted(name)),
        };
        format!("{{host: {}{instance}}}", quoted(host))
    };
    let mirror = if s.mirror.is_empty() { "{none: true}".to_owned() } else { server(&s.mirror) };
    let servers: Vec<String> = s.chat_servers.iter().map(|c| quoted(c)).collect();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "  {key}:\n    site: {}\n    database: {}\n    mirror: {mirror}\n    chatServers: [{}]\n",
        quoted(&s.name),
        server(&s.database),
        servers.join(", ")
    );
}

/// The manifest with its Secrets.
pub fn pool(s: &Scenario, ca: &str, shell_port: u16) -> String {
    let ca: String = ca.lines().map(|l| format!("    {l}\n")).collect();
    let port = if shell_port == 443 { String::new() } else { format!(":{shell_port}") };
    let mut out = String::from(
        "apiVersion: persistentchat.io/v1alpha1\nkind: PersistentChatPool\nmetadata: {name: chat, namespace: lync}\nspec:\n",
    );
    out.push_str("  activeDatabase: primary            # a failover changes this word and nothing else\n  mode: Enforce\n");
    let _ = writeln!(out, "  pool: {{fqdn: {}}}", quoted(&s.pool));
    let _ = writeln!(out, "  silentFor: {}", s.silent_for);
    if s.database != "mgc" {
        let _ = writeln!(out, "  databaseName: {}", quoted(&s.database));
    }
    site(&mut out, "primary", &s.primary);
    site(&mut out, "backup", &s.backup);
    let _ = write!(
        out,
        "  mirroring:\n    seedShare: {}\n  sqlServer:\n    credentials: {{secretRef: {{name: pchat-sql}}}}\n    encryption: {}\n",
        quoted(&s.log_shipping.seed_share),
        if s.encryption == Encryption::None { "Plaintext" } else { "Required" }
    );
    let _ = write!(
        out,
        "  managementShell:\n    uri: https://{}{port}/OcsPowerShell\n    authentication: Negotiate\n    credentials: {{secretRef: {{name: pchat-shell}}}}\n",
        s.shell.host
    );
    let sql_hosts: Vec<String> = s.sql_hosts().into_iter().map(|(host, _)| host).collect();
    for (name, hosts, user, password) in [
        ("pchat-sql", sql_hosts.join(", "), &s.sql_login.name, &s.sql_login.password),
        ("pchat-shell", s.shell.host.clone(), &s.shell.user, &s.shell.password),
    ] {
        let _ = write!(
            out,
            "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: lync\n  annotations: {{persistentchat.io/hosts: {}}}\ntype: Opaque\nstringData:\n  username: {}\n  password: {}\n  ca.crt: |\n{ca}",
            quoted(&hosts),
            quoted(user),
            quoted(password)
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_and_its_secrets_are_yaml_with_the_scenarios_names() {
        let s = Scenario { database: "m'gc ü".into(), ..Scenario::default() };
        let text = pool(&s, "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n", 5986);
        let docs: Vec<serde_json::Value> = serde_yaml::Deserializer::from_str(&text)
            .map(|d| serde::Deserialize::deserialize(d).expect("YAML"))
            .collect();
        assert_eq!(docs.len(), 3);
        assert_eq!(docs[0]["spec"]["databaseName"], "m'gc ü");
        assert_eq!(docs[0]["spec"]["backup"]["mirror"]["host"], "sql-ks2.contoso.com");
        assert_eq!(docs[1]["stringData"]["username"], s.sql_login.name.as_str());
        assert!(docs[2]["stringData"]["ca.crt"].as_str().expect("CA").starts_with("-----BEGIN"));
    }
}
