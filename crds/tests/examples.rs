//! The examples are what a user copies: each must load, and mean what it says.

mod support;

use pchat_crds::{Encryption, Mode, Side};
use serde::Deserialize as _;
use support::{example, load_pool};

#[test]
fn every_example_is_valid() {
    let mut pools = 0;
    for name in examples() {
        let text = example(&name);
        if !text.lines().any(|line| line == "kind: PersistentChatPool") {
            continue;
        }
        pools += 1;
        match load_pool(&text) {
            Ok(manifest) => {
                manifest.pool.validate_cel().unwrap_or_else(|errors| panic!("{name}: {errors:?}"))
            }
            Err(error) => panic!("{name}:\n{error}"),
        }
    }
    assert!(pools >= 7, "only {pools} examples of a pool were found");
}

#[test]
fn every_example_can_be_applied() {
    let mut objects = 0;
    for name in examples() {
        let text = example(&name);
        for document in serde_yaml::Deserializer::from_str(&text) {
            let object = serde_yaml::Value::deserialize(document).unwrap_or_else(|e| panic!("{name}: {e}"));
            for path in [&["apiVersion"][..], &["kind"], &["metadata", "name"], &["metadata", "namespace"]] {
                let field = path.iter().try_fold(&object, |value, field| value.get(field));
                assert!(field.is_some_and(serde_yaml::Value::is_string), "{name} has no {}", path.join("."));
            }
            objects += 1;
        }
    }
    assert!(objects >= 15, "only {objects} objects were found");
}

/// What is applied to a cluster, in all folders. The tests of Argo CD's script are for Argo CD.
fn examples() -> Vec<String> {
    let root = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let (mut folders, mut names) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("persistentchat.io") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                names.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    names.sort();
    names
}

#[test]
fn a_failover_differs_from_the_calm_pool_by_what_its_head_says() {
    let calm = load_pool(&example("pool.yaml")).unwrap().pool.spec;
    let failover = load_pool(&example("failover.yaml")).unwrap().pool.spec;
    assert_eq!((calm.active_database, calm.mode), (Side::Primary, Mode::Plan));
    let mut turned = calm;
    turned.active_database = Side::Backup;
    turned.mode = Mode::Enforce;
    turned.max_data_loss_minutes = Some(15);
    assert_eq!(turned, failover);
}

#[test]
fn an_approval_is_an_annotation_and_changes_nothing_that_is_declared() {
    let (failover, approved) = (example("failover.yaml"), example("approval.yaml"));
    let approved = load_pool(&approved).unwrap().pool;
    assert_eq!(load_pool(&failover).unwrap().pool.spec, approved.spec);
    let annotations = approved.metadata.annotations.unwrap();
    assert_eq!(annotations.keys().collect::<Vec<_>>(), ["persistentchat.io/approve"]);
}

#[test]
fn a_pool_in_git_keeps_what_others_annotate() {
    let pool = load_pool(&example("gitops/pools/chat.yaml")).unwrap().pool;
    assert_eq!(pool.spec.mode, Mode::Enforce);
    assert_eq!(pool.metadata.annotations.unwrap()["kustomize.toolkit.fluxcd.io/ssa"], "Merge");
}

#[test]
fn what_is_left_out_has_the_careful_default() {
    let spec = load_pool(&example("pool.yaml")).unwrap().pool.spec;
    assert_eq!(spec.database_name.as_str(), "mgc");
    assert_eq!(spec.silent_for.to_string(), "5m");
    assert_eq!(spec.max_data_loss_minutes, None);
    assert!(!spec.low_latency_between_sites);
    assert_eq!(spec.sql_server.encryption, Encryption::Required);
    assert_eq!(spec.management_shell.configuration_name.as_str(), "Microsoft.PowerShell");
    assert_eq!(spec.deadlines, pchat_crds::Deadlines::default());
    assert_eq!(spec.backup.declared_active_servers(), spec.backup.chat_servers);
}

#[test]
fn what_a_server_says_for_itself_wins() {
    let manifest = load_pool(&example("overrides.yaml")).unwrap();
    let spec = &manifest.pool.spec;
    let primary = spec.sql_access(&spec.primary.database);
    assert_eq!((primary.encryption, primary.credentials.as_str()), (Encryption::LoginOnly, "pchat-sql"));
    let backup = spec.sql_access(&spec.backup.database);
    assert_eq!((backup.encryption, backup.credentials.as_str()), (Encryption::Required, "pchat-sql-ks"));
    let authority = manifest.secrets.authority(backup.ca.as_ref(), Some(&backup.credentials)).unwrap();
    assert!(authority.unwrap().starts_with(b"-----BEGIN CERTIFICATE-----"));
    assert_eq!(spec.primary.mirror.server(), None);
    let mirror = spec.backup.mirror.server().unwrap();
    assert_eq!((mirror.port, spec.sql_access(&mirror).encryption), (Some(14330), Encryption::Plaintext));
    assert_eq!(manifest.secrets.login(&"pchat-sql".into()).unwrap().password, "change-me");
}

#[test]
fn the_definition_in_the_tree_is_up_to_date() {
    let path = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("persistentchatpools.yaml");
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == pchat_crds::crd::yaml().unwrap(),
        "crds/persistentchatpools.yaml is stale; write it again with:\n  \
         cargo run -p pchat-crds --bin crdgen > crds/persistentchatpools.yaml"
    );
}

#[test]
fn every_text_and_list_is_bounded_so_that_the_api_server_can_price_the_rules() {
    fn walk(schema: &serde_json::Value, path: &str, unbounded: &mut Vec<String>) {
        let bound = match schema["type"].as_str() {
            Some("string") if schema["enum"].is_array() || schema["format"].is_string() => None,
            Some("string") => Some("maxLength"),
            Some("array") => Some("maxItems"),
            _ => None,
        };
        unbounded
            .extend(bound.filter(|bound| schema[*bound].is_null()).map(|bound| format!("{path}: {bound}")));
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(field, &format!("{path}.{name}"), unbounded);
        }
        if schema["items"].is_object() {
            walk(&schema["items"], &format!("{path}[]"), unbounded);
        }
    }
    let mut unbounded = Vec::new();
    walk(&pchat_crds::crd::schema().unwrap(), "", &mut unbounded);
    assert_eq!(unbounded, Vec::<String>::new());
}
