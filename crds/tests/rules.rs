//! Every rule of the schema refuses what it is there to refuse, with its sentence, at the field it speaks of.

mod support;

use pchat_crds::crd;
use serde_json::Value;
use std::collections::BTreeSet;
use support::{edit, example, lines, load_pool};

/// (example, from, to, field of the refusal, beginning of its sentence)
const REFUSED: &[(&str, &str, &str, &str, &str)] = &[
    // Texts.
    (
        "pool",
        "host: sql-tp1.contoso.com,",
        r"host: sql-tp1\PCHAT,",
        "spec.primary.database.host",
        "expected a host name",
    ),
    (
        "pool",
        "host: sql-ks2.contoso.com,",
        "host: 'sql-ks2,1433',",
        "spec.backup.mirror.host",
        "expected a host name",
    ),
    (
        "pool",
        "fqdn: chat.contoso.com",
        "fqdn: chat",
        "spec.pool.fqdn",
        "expected a fully qualified domain name",
    ),
    (
        "pool",
        "[pc-tp1.contoso.com, pc-tp2",
        "[pc-tp1, pc-tp2",
        "spec.primary.chatServers[0]",
        "expected a fully qualified",
    ),
    (
        "pool",
        "site: Taipei",
        "site: ' Taipei'",
        "spec.primary.site",
        "expected a name that begins with a visible",
    ),
    (
        "pool",
        "instance: PCHAT",
        r"instance: sql-tp1\PCHAT",
        "spec.primary.database.instance",
        "expected the name of an instance alone",
    ),
    (
        "pool",
        "instance: PCHAT",
        "instance: mssqlserver",
        "spec.primary.database.instance",
        "MSSQLSERVER is what setup calls",
    ),
    (
        "overrides",
        "databaseName: mgc",
        "databaseName: 'mgc '",
        "spec.databaseName",
        "expected the name of a database",
    ),
    (
        "overrides",
        "databaseName: mgc",
        "databaseName: MASTER",
        "spec.databaseName",
        "expected the chat database",
    ),
    (
        "overrides",
        r"share: \\files-tp.contoso.com\pchat-logs",
        r"share: D:\pchat-logs",
        "spec.logShipping.share",
        "expected an absolute UNC path",
    ),
    (
        "overrides",
        r"share: \\files-tp.contoso.com\pchat-logs",
        r"share: \\files-tp.contoso.com",
        "spec.logShipping.share",
        "expected an absolute UNC path",
    ),
    (
        "overrides",
        r"share: \\files-tp.contoso.com\pchat-logs",
        r"share: \\files\logs\..\other",
        "spec.logShipping.share",
        "expected a UNC path without",
    ),
    (
        "overrides",
        r"share: \\files-tp.contoso.com\pchat-logs",
        r"share: \\?\C:\logs",
        "spec.logShipping.share",
        "expected an absolute UNC path",
    ),
    (
        "pool",
        r"seedShare: \\files-ks.contoso.com\pchat-seed",
        r"seedShare: //files-ks/pchat-seed",
        "spec.mirroring.seedShare",
        "expected an absolute UNC path",
    ),
    (
        "overrides",
        r"folder: D:\LogShip",
        "folder: LogShip",
        "spec.logShipping.folder",
        "expected an absolute path",
    ),
    (
        "overrides",
        r"folder: D:\LogShip",
        "folder: 'D:'",
        "spec.logShipping.folder",
        "expected an absolute path",
    ),
    (
        "overrides",
        r"folder: D:\LogShip",
        r"folder: D:\a\..\b",
        "spec.logShipping.folder",
        "expected a path without",
    ),
    (
        "pool",
        "https://fe-ks1.contoso.com/OcsPowerShell",
        "fe-ks1.contoso.com",
        "spec.managementShell.uri",
        "expected an address",
    ),
    (
        "pool",
        "https://fe-ks1.contoso.com/OcsPowerShell",
        "https://u:p@fe-ks1.contoso.com/",
        "spec.managementShell.uri",
        "expected an address",
    ),
    (
        "overrides",
        "configurationName: PersistentChat.Failover",
        "configurationName: 'a b'",
        "spec.managementShell.configurationName",
        "expected the name of a session",
    ),
    (
        "pool",
        "name: pchat-sql}",
        "name: PCHAT_SQL}",
        "spec.sqlServer.credentials.secretRef.name",
        "expected the name of a Kubernetes object",
    ),
    (
        "overrides",
        "key: root.pem",
        "key: 'root pem'",
        "spec.backup.database.ca.secretRef.key",
        "expected a key of a Secret",
    ),
    ("overrides", "silentFor: 10m", "silentFor: ten minutes", "spec.silentFor", "expected a length of time"),
    ("overrides", "silentFor: 10m", "silentFor: 0s", "spec.silentFor", "expected a length of time"),
    (
        "overrides",
        "replication: 20m",
        "replication: 2d",
        "spec.deadlines.replication",
        "expected a length of time",
    ),
    // One server.
    (
        "pool",
        "instance: PCHAT",
        "instance: PCHAT, port: 1433",
        "spec.primary.database.port",
        "expected either instance or port",
    ),
    (
        "overrides",
        "port: 14330, encryption",
        "instance: P, port: 14330, encryption",
        "spec.backup.mirror.port",
        "expected either instance or port",
    ),
    (
        "overrides",
        "port: 14330\n",
        "port: 14330\n      encryption: Plaintext\n",
        "spec.backup.database.ca",
        "a certificate authority has no use with encryption",
    ),
    (
        "overrides",
        "encryption: Plaintext}",
        "encryption: Plaintext, ca: {secretRef: {name: kaohsiung-ca, key: root.pem}}}",
        "spec.backup.mirror.ca",
        "a certificate authority has no use with encryption",
    ),
    (
        "pool",
        "encryption: Required",
        "encryption: Plaintext\n    ca: {secretRef: {name: kaohsiung-ca, key: root.pem}}",
        "spec.sqlServer.ca",
        "a certificate authority has no use with encryption",
    ),
    (
        "pool",
        "mirror:      {host: sql-tp2.contoso.com, instance: PCHAT}",
        "mirror: {}",
        "spec.primary.mirror",
        "expected either the host of the mirror or none",
    ),
    (
        "pool",
        "mirror:      {host: sql-tp2",
        "mirror:      {none: true, host: sql-tp2",
        "spec.primary.mirror",
        "expected either the host of the mirror or none",
    ),
    (
        "pool",
        "mirror:      {host: sql-tp2.contoso.com, instance: PCHAT}",
        "mirror: {none: false}",
        "spec.primary.mirror",
        "expected either the host of the mirror or none",
    ),
    (
        "overrides",
        "{none: true}",
        "{none: true, port: 1433}",
        "spec.primary.mirror",
        "expected host beside these fields",
    ),
    // The four instances.
    (
        "pool",
        "{host: sql-tp2.contoso.com, instance: PCHAT}",
        "{host: SQL-TP1.contoso.com, instance: pchat}",
        "spec.primary.mirror",
        "expected a SQL Server instance other than",
    ),
    (
        "pool",
        "{host: sql-tp2.contoso.com, instance: PCHAT}",
        "{host: sql-ks1.contoso.com, instance: PCHAT}",
        "spec.backup.database",
        "expected four different SQL Server instances",
    ),
    (
        "pool",
        "{host: sql-ks1.contoso.com, instance: PCHAT}",
        "{host: sql-tp1.contoso.com, instance: PCHAT}",
        "spec.backup.database",
        "expected four different SQL Server instances",
    ),
    (
        "pool",
        "{host: sql-ks2.contoso.com, instance: PCHAT}",
        "{host: sql-tp2.contoso.com, instance: PCHAT}",
        "spec.backup.mirror",
        "expected four different SQL Server instances",
    ),
    (
        "pool",
        "{host: sql-ks2.contoso.com, instance: PCHAT}",
        "{host: sql-tp1.contoso.com, instance: PCHAT}",
        "spec.backup.mirror",
        "expected four different SQL Server instances",
    ),
    // Sites and chat servers.
    ("pool", "site: Kaohsiung", "site: TAIPEI", "spec.backup.site", "expected two different data centres"),
    (
        "pool",
        "pc-tp2.contoso.com]",
        "PC-TP1.contoso.com]",
        "spec.primary.chatServers",
        "expected each chat server once",
    ),
    (
        "low-latency",
        "activeServers: [pc-n1.contoso.com, pc-n2",
        "activeServers: [pc-n1.contoso.com, pc-n1",
        "spec.primary.activeServers",
        "expected each active server once",
    ),
    (
        "pool",
        "[pc-ks1.contoso.com",
        "[PC-tp1.contoso.com",
        "spec.backup.chatServers",
        "expected each chat server in one site only",
    ),
    (
        "pool",
        "[pc-tp1.contoso.com, pc-tp2.contoso.com]",
        "[a.x.com, b.x.com, c.x.com, d.x.com, e.x.com]",
        "spec.primary.chatServers",
        "at most four chat servers can be active",
    ),
    (
        "low-latency",
        "lowLatencyBetweenSites: true",
        "lowLatencyBetweenSites: false",
        "spec.primary.activeServers",
        "expected servers out of this side's chatServers",
    ),
    (
        "low-latency",
        "[pc-s1.contoso.com, pc-s2.contoso.com, pc-n1",
        "[pc-s1.contoso.com, pc-s2.contoso.com, pc-x1",
        "spec.backup.activeServers",
        "expected servers out of this side's chatServers",
    ),
    // The management shell.
    (
        "failover",
        "uri: https://fe-ks1.contoso.com/OcsPowerShell\n    authentication: Negotiate",
        "uri: http://fe/x\n    authentication: Basic",
        "spec.managementShell.uri",
        "authentication Basic and Certificate are used over https",
    ),
    (
        "failover",
        "\n    credentials: {secretRef: {name: pchat-shell}}",
        "",
        "spec.managementShell",
        "expected credentials with the Secret",
    ),
    (
        "overrides",
        "uri: https://admin-ks.contoso.com:5986/wsman",
        "uri: http://admin-ks.contoso.com:5985/wsman",
        "spec.managementShell.ca",
        "a certificate authority has no use over http",
    ),
];

#[test]
fn each_rule_refuses_with_its_sentence_at_its_field() {
    let mut seen = BTreeSet::new();
    for (name, from, to, field, sentence) in REFUSED {
        let text = edit(&example(&format!("{name}.yaml")), from, to);
        let lines = lines(load_pool(&text));
        let wanted = format!(": {field}: {sentence}");
        assert!(
            lines.iter().any(|line| line.contains(&wanted)),
            "{from} -> {to}\nwanted {wanted}\nfound {lines:#?}"
        );
        seen.extend(lines);
    }
    let schema = crd::schema().unwrap();
    let mut rules = BTreeSet::new();
    collect(&schema["properties"]["spec"], &mut rules);
    assert!(rules.len() > 25, "only {} rules were found in the schema", rules.len());
    let untested: Vec<_> =
        rules.iter().filter(|rule| !seen.iter().any(|line| line.contains(*rule))).collect();
    assert!(untested.is_empty(), "no test refuses by these rules: {untested:#?}");
}

#[test]
fn what_looks_unusual_and_is_right_is_let_through() {
    let accepted = [
        ("overrides", "databaseName: mgc", "databaseName: \"m]g'c ö 数据库\""),
        ("overrides", "databaseName: mgc", "databaseName: mgc_comp"),
        (
            "overrides",
            r"share: \\files-tp.contoso.com\pchat-logs",
            r"share: \\files-tp\log shipping$\Zürich's [1]\",
        ),
        ("overrides", r"folder: D:\LogShip", r"folder: 'D:\'"),
        ("overrides", r"folder: D:\LogShip", r"folder: \\files\x"),
        ("overrides", "site: Taipei", "site: 台北"),
        ("pool", "instance: PCHAT", "instance: Ünï_1$#"),
        ("pool", "{host: sql-tp1.contoso.com, instance: PCHAT}", "{host: 10.0.0.1, port: 65535}"),
        // Two instances of one host are two instances.
        (
            "pool",
            "{host: sql-tp2.contoso.com, instance: PCHAT}",
            "{host: sql-tp1.contoso.com, instance: OTHER}",
        ),
        ("pool", "{host: sql-tp2.contoso.com, instance: PCHAT}", "{host: sql-tp1.contoso.com, port: 14330}"),
        ("pool", "https://fe-ks1.contoso.com/OcsPowerShell", "http://fe-ks1.contoso.com:5985/wsman"),
        (
            "pool",
            "authentication: Negotiate\n    credentials: {secretRef: {name: pchat-shell}}",
            "authentication: Kerberos",
        ),
        ("overrides", "silentFor: 10m", "silentFor: 1s"),
        ("overrides", "maxDataLossMinutes: 30", "maxDataLossMinutes: 0"),
    ];
    for (name, from, to) in accepted {
        let text = edit(&example(&format!("{name}.yaml")), from, to);
        assert_eq!(lines(load_pool(&text)), Vec::<String>::new(), "{from} -> {to}");
    }
}

#[test]
fn the_default_instance_is_the_one_on_port_1433() {
    let text = example("pool.yaml")
        .replace("{host: sql-tp1.contoso.com, instance: PCHAT}", "{host: sql-tp1.contoso.com}")
        .replace("{host: sql-tp2.contoso.com, instance: PCHAT}", "{host: sql-tp1.contoso.com, port: 1433}");
    let lines = lines(load_pool(&text));
    assert!(
        lines.len() == 1 && lines[0].contains("spec.primary.mirror: expected a SQL Server instance other"),
        "{lines:?}"
    );
}

fn collect(schema: &Value, rules: &mut BTreeSet<String>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        rules.insert(
            rule["message"]
                .as_str()
                .unwrap_or_else(|| panic!("a rule without a sentence: {rule}"))
                .to_owned(),
        );
    }
    match schema {
        Value::Object(fields) => fields.values().for_each(|schema| collect(schema, rules)),
        Value::Array(items) => items.iter().for_each(|schema| collect(schema, rules)),
        _ => {}
    }
}
