use pchat_crds::manifest::{Source, load};

use super::*;
use crate::powershell::Shell;

/// A run from the command line.
fn run() -> Installation {
    Installation::of_a_run(Hosts::default())
}

fn example(files: &[&str]) -> Manifest {
    let sources: Vec<Source> = files
        .iter()
        .map(|file| Source::Path(format!("{}/../examples/{file}", env!("CARGO_MANIFEST_DIR")).into()))
        .collect();
    load(&sources).expect("an example is a good manifest")
}

fn text(manifest: &str, edit: impl Fn(String) -> String) -> Manifest {
    let path = |file: &str| format!("{}/../examples/{file}", env!("CARGO_MANIFEST_DIR"));
    let pool = edit(std::fs::read_to_string(path(manifest)).expect("an example"));
    let secrets = std::fs::read_to_string(path("pool-secrets.yaml")).expect("an example");
    load(&[
        Source::Text { name: "chat.yaml".into(), text: pool },
        Source::Text { name: "secrets.yaml".into(), text: secrets },
    ])
    .expect("a good manifest")
}

#[test]
fn an_example_becomes_the_planners_pool_and_four_targets() {
    let hosts = Hosts::parse("h", "10.2.0.1 sql-ks1.contoso.com fe-ks1.contoso.com").expect("a good file");
    let ends = validate(&text("failover.yaml", |text| text), &Installation::of_a_run(hosts)).expect("valid");
    assert_eq!(ends.pool.active, Side::Backup);
    assert_eq!(ends.pool.mode, planner::Mode::Enforce);
    assert_eq!(ends.pool.database, "mgc");
    assert_eq!(ends.pool.max_data_loss, Some(SignedDuration::from_mins(15)));
    assert_eq!(ends.pool.backup.active_servers, ["pc-ks1.contoso.com", "pc-ks2.contoso.com"]);
    assert_eq!(ends.pool.seed_share.as_deref(), Some(r"\\files-ks.contoso.com\pchat-seed"));
    assert_eq!(ends.targets.len(), 4);
    let backup = &ends.targets[&InstanceId::new(Side::Backup, Partner::Database)];
    assert_eq!(backup.display, r"sql-ks1.contoso.com\PCHAT");
    assert_eq!(backup.endpoint, Endpoint::Instance("PCHAT".into()));
    assert_eq!(backup.encryption, Encryption::Required);
    assert_eq!(backup.address, "10.2.0.1".parse().ok());
    let mirror = &ends.targets[&InstanceId::new(Side::Backup, Partner::Mirror)];
    assert_eq!(mirror.address, None);
    let Shell { host, port, path, configuration, address, .. } = &ends.shell;
    assert_eq!(
        (host.as_str(), *port, path.as_str(), configuration.as_str()),
        ("fe-ks1.contoso.com", 443, "/OcsPowerShell", "Microsoft.PowerShell")
    );
    assert_eq!(*address, "10.2.0.1".parse().ok());
}

#[test]
fn nothing_out_of_a_secret_is_in_what_is_printed_of_the_ends() {
    let manifest = example(&["pool.yaml", "pool-secrets.yaml"]);
    let ends = validate(&manifest, &run()).expect("valid");
    let password =
        ends.targets[&InstanceId::new(Side::Backup, Partner::Database)].credentials.password.clone();
    assert!(password.reveal().len() > 3);
    assert!(!format!("{ends:?}").contains(password.reveal()));
}

#[test]
fn every_example_is_ready_to_work_with() {
    for files in [
        &["pool.yaml", "pool-secrets.yaml"][..],
        &["failover.yaml", "pool-secrets.yaml"],
        &["observe-only.yaml", "pool-secrets.yaml"],
        &["low-latency.yaml", "pool-secrets.yaml"],
    ] {
        let manifest = example(files);
        assert!(validate(&manifest, &run()).is_ok(), "{files:?}");
    }
}

#[test]
fn a_certificate_that_is_none_is_told_with_its_field_for_every_server() {
    let edit = |text: String| {
        text.replace(
            "    encryption: Required",
            "    ca: {secretRef: {name: broken}}\n    encryption: Required",
        )
    };
    let path = |file: &str| format!("{}/../examples/{file}", env!("CARGO_MANIFEST_DIR"));
    let pool = edit(std::fs::read_to_string(path("pool.yaml")).expect("an example"));
    let secrets = std::fs::read_to_string(path("pool-secrets.yaml")).expect("an example");
    let broken = "apiVersion: v1\nkind: Secret\nmetadata: {name: broken, namespace: lync}\nstringData:\n  ca.crt: |\n    -----BEGIN CERTIFICATE-----\n    bm90IGEgY2VydGlmaWNhdGU=\n    -----END CERTIFICATE-----\n";
    let manifest = load(&[
        Source::Text { name: "chat.yaml".into(), text: pool },
        Source::Text { name: "secrets.yaml".into(), text: secrets },
        Source::Text { name: "broken.yaml".into(), text: broken.into() },
    ])
    .expect("a good manifest");
    let problems = validate(&manifest, &run()).expect_err("no certificate").0;
    let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.primary.database.ca",
            "spec.primary.mirror.ca",
            "spec.backup.database.ca",
            "spec.backup.mirror.ca"
        ]
    );
    // None of them names an authority of its own: the line is that of the server.
    let lines = problems.iter().map(|problem| problem.place.line);
    assert_eq!(lines.collect::<Vec<_>>(), [15, 16, 20, 21]);
    assert!(
        problems[0].to_string().starts_with("chat.yaml:15: spec.primary.database.ca: expected certificates")
    );
}

#[cfg(not(feature = "kerberos"))]
#[test]
fn a_form_of_authentication_that_this_build_lacks_is_bad_input() {
    let manifest = text("pool.yaml", |text| {
        text.replace("authentication: Negotiate", "authentication: Kerberos")
            .replace("    credentials: {secretRef: {name: pchat-shell}}", "")
    });
    let problems = validate(&manifest, &run()).expect_err("no Kerberos").0;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].expected.contains("--features kerberos"), "{}", problems[0]);
    let line = problems[0].place.line;
    let declared = std::fs::read_to_string(format!("{}/../examples/pool.yaml", env!("CARGO_MANIFEST_DIR")));
    let declared = declared.expect("an example").lines().position(|l| l.contains("authentication:"));
    assert_eq!(Some(line - 1), declared, "the field's own line");
}

/// The sentences that are said of a pool in an installation.
fn refused(manifest: &Manifest, here: &Installation) -> String {
    validate(manifest, here).expect_err("it is refused").to_string()
}

#[test]
fn a_secret_goes_to_the_hosts_that_it_names_and_to_no_other() {
    let elsewhere =
        text("pool.yaml", |text| text.replace("host: sql-ks2.contoso.com", "host: sql-ks2.evil.example"));
    let told = refused(&elsewhere, &run());
    for word in ["spec.backup.mirror.host", "pchat-sql", "sql-ks2.evil.example", "persistentchat.io/hosts"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(!told.contains("*.contoso.com"), "what the Secret allows is not told: {told}");
    let shell =
        text("pool.yaml", |text| text.replace("https://fe-ks1.contoso.com/", "https://fe-ks1.evil.example/"));
    let told = refused(&shell, &run());
    assert!(told.contains("spec.managementShell.uri") && told.contains("pchat-shell"), "{told}");
}

#[test]
fn whoever_starts_the_operator_may_demand_that_secrets_name_their_hosts() {
    let mut manifest = text("pool.yaml", |text| text);
    let demanding = Installation { demands_hosts: true, ..run() };
    assert!(validate(&manifest, &demanding).is_ok());
    let secret = manifest.secrets.get("pchat-sql").expect("it is there").clone().for_hosts(None);
    manifest.secrets.insert("pchat-sql".into(), secret);
    assert!(validate(&manifest, &run()).is_ok());
    let told = refused(&manifest, &demanding);
    assert!(told.contains("--demand-secret-hosts") && told.contains("persistentchat.io/hosts"), "{told}");
    let secret = manifest.secrets.get("pchat-sql").expect("it is there").clone().for_hosts(Some("*".into()));
    manifest.secrets.insert("pchat-sql".into(), secret);
    assert!(
        refused(&manifest, &run()).contains("can't be read"),
        "an annotation of all hosts is no permission"
    );
}

#[test]
fn encryption_is_weakened_only_where_whoever_starts_the_operator_allows_it_and_is_warned_of() {
    let manifest = example(&["overrides.yaml", "pool-secrets.yaml", "overrides-secrets.yaml"]);
    let with = |least_encryption| Installation { least_encryption, ..run() };
    for (least, allowed) in [
        (crds::Encryption::Required, [false, false]),
        (crds::Encryption::LoginOnly, [true, false]),
        (crds::Encryption::Plaintext, [true, true]),
    ] {
        let told =
            validate(&manifest, &with(least)).err().map(|problems| problems.to_string()).unwrap_or_default();
        for (flag, allowed) in ["LoginOnly", "Plaintext"].iter().zip(allowed) {
            assert_eq!(
                told.contains(&format!("--least-encryption {flag}")),
                !allowed,
                "{least:?} {flag}: {told}"
            );
        }
    }
    let weakened = pool(&manifest.pool.spec).weakened.expect("a warning");
    for word in
        ["2 servers", "sql-tp1.contoso.com", "LoginOnly", "sql-ks2.contoso.com", "Plaintext", "password"]
    {
        assert!(weakened.contains(word), "{weakened}");
    }
    assert_eq!(pool(&example(&["pool.yaml", "pool-secrets.yaml"]).pool.spec).weakened, None);
}
