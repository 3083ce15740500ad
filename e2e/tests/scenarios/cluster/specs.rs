//! What may be declared: the API server's schema against the reader of manifests, and changes in mid-failover.

use std::path::Path;
use std::time::{Duration, Instant};

use pchat_crds::manifest::{Source, load};
use serde_json::{Value, json};

use super::{PATIENCE, Site, condition, is, own};

/// What stands in place of a field's value, one at a time.
fn replacements(value: &Value) -> Vec<Value> {
    let mut all = vec![Value::Null, json!(""), json!("x"), json!("a b"), json!(" x"), json!("x\ny")];
    all.extend([
        json!("x".repeat(400)),
        json!(0),
        json!(-1),
        json!(70_000),
        json!(true),
        json!([]),
        json!({}),
    ]);
    all.extend([json!(["x", "x"]), json!("1s"), json!("0s"), json!("5x"), json!("host.example.com")]);
    all.extend([json!("\\\\files\\share"), json!("C:\\folder"), json!("https://example.com/x")]);
    if let Value::Array(list) = value {
        all.push(json!(vec![list.first().cloned().unwrap_or_default(); 9]));
    }
    all
}

/// The pointers of everything in `value`, the groups too.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let Value::Object(fields) = value else { return };
    for (name, value) in fields {
        let place = format!("{at}/{name}");
        pointers(value, &place, found);
        found.push(place);
    }
}

/// Every variant of `spec` in which one field is gone or has another value, with what was done.
fn variants(spec: &Value) -> Vec<(String, Value)> {
    let mut places = Vec::new();
    pointers(spec, "", &mut places);
    let mut all = Vec::new();
    for place in places {
        let (group, name) = place.rsplit_once('/').unwrap();
        let mut without = spec.clone();
        without.pointer_mut(group).and_then(Value::as_object_mut).unwrap().remove(name);
        all.push((format!("{place} removed"), without));
        for value in replacements(spec.pointer(&place).unwrap()) {
            let mut with = spec.clone();
            let told = format!("{place} = {value:.60}");
            *with.pointer_mut(&place).unwrap() = value;
            all.push((told, with));
        }
    }
    all
}

fn object(site: &Site, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "persistentchat.io/v1alpha1",
        "kind": "PersistentChatPool",
        "metadata": {"name": name, "namespace": site.namespace},
        "spec": spec,
    })
}

/// The fields that were declared, without what the API server adds.
fn declared(site: &Site) -> Value {
    let manifest = site.manifest();
    let pool = manifest.split("\n---\n").find(|text| text.contains("kind: PersistentChatPool")).unwrap();
    let pool: Value = serde_yaml::from_str(pool).unwrap();
    pool["spec"].clone()
}

/// Puts this in place of what is declared.
fn declare(site: &Site, spec: &Value) {
    let patch = json!([{"op": "replace", "path": "/spec", "value": spec}]).to_string();
    site.kubectl(&["patch", "pchat", "chat", "--type=json", "-p", &patch]);
}

/// Which of the variants the API server takes, and what it says of all.
fn taken(site: &Site, variants: &[(String, Value)]) -> (Vec<bool>, String) {
    let named = |(n, (_, spec)): (usize, &(String, Value))| object(site, &format!("variant-{n}"), spec);
    let items: Vec<Value> = variants.iter().enumerate().map(named).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    // kubectl's own check would refuse all for one of them.
    let create = ["create", "--validate=ignore", "--dry-run=server", "-n", &site.namespace, "-f", "-"];
    let told = match site.plane.kubectl(&create, &list) {
        Ok(text) => text,
        Err(error) => error.to_string(),
    };
    let created = |n: usize| {
        told.contains(&format!("persistentchatpool.persistentchat.io/variant-{n} created (server dry run)"))
    };
    ((0..variants.len()).map(created).collect(), told)
}

/// What the API server takes the command line takes, too: the same manifest serves when the cluster is gone.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn what_the_api_server_takes_the_command_line_takes_too() {
    let site = Site::start("").await;
    let manifest = site.manifest();
    let secrets: Vec<&str> = manifest.split("\n---\n").filter(|text| text.contains("kind: Secret")).collect();
    let secrets = secrets.join("\n---\n");
    let variants = variants(&declared(&site));
    let (taken, told) = taken(&site, &variants);
    let good = taken.iter().filter(|taken| **taken).count();
    println!("{good} of {} variants are taken", taken.len());
    assert!(good >= 20 && taken.len() - good >= 200, "{told}");
    for ((what, spec), taken) in variants.iter().zip(taken) {
        let text = format!("{}\n---\n{secrets}", object(&site, "chat", spec));
        let read = load(&[Source::Text { name: "m.yaml".into(), text }]);
        match (taken, read) {
            // The API server takes a field without a value for one that is not there; the reader asks what was meant.
            (true, Err(_)) if what.ends_with("= null") => {}
            // The reader reads the Secrets along, the API server does not.
            (true, Err(error)) if error.to_string().contains("there is no Secret") => {}
            (true, Err(error)) => panic!("the API server takes {what}, and the reader says: {error}"),
            (false, Ok(_)) => panic!("the reader takes {what}, and the API server does not:\n{told:.4000}"),
            _ => {}
        }
    }
}

/// While a failover stands at a gap, every field is changed to whatever the API server takes: the status always names the
/// state for that generation, and with the old declaration the failover ends as it should.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_declaration_that_changes_in_mid_failover_never_leaves_the_pool_without_a_named_state() {
    let (site, replica) = Site::calm("").await;
    site.trial.order("hide last-2").await;
    site.disaster().await;
    site.until("the gap", |pool| is(pool, "ApprovalRequired", "True")).await;
    let spec = declared(&site);
    let variants = variants(&spec);
    let (taken, _) = taken(&site, &variants);
    let mut last = "";
    for ((what, spec), _) in variants.iter().zip(taken).filter(|(_, taken)| *taken) {
        // One for each field: each costs a look at servers that may not be there.
        let field = what.split(' ').next().unwrap();
        if std::mem::replace(&mut last, field) == field {
            continue;
        }
        declare(&site, spec);
        let told = site.until(what, |pool| {
            let ready = condition(pool, "Ready");
            ready["observedGeneration"] == pool["metadata"]["generation"] && ready["reason"].is_string()
        });
        let told = told.await;
        assert_ne!(site.trial.database(crate::common::BACKUP), "online", "{what}: {told:#}");
    }
    declare(&site, &spec);
    site.until("the gap again", |pool| is(pool, "ApprovalRequired", "True")).await;
    site.trial.order("show").await;
    site.moved().await;
    assert_eq!(replica.stop().await, 0);
}

/// Every example can be applied as it stands, all of them together, where its kinds are known.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn every_example_is_taken_by_the_api_server() {
    let plane = own("examples");
    let flux = pchat_controlplane::Flux::start(&plane).unwrap();
    for name in ["lync", "argocd"] {
        plane.kubectl(&["create", "namespace", name], "").unwrap();
    }
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")];
    let mut applied = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            // Argo CD's own kind is not known here, and the tests of its script are for Argo CD.
            let foreign = ["persistentchat.io", "application.yaml"].iter().any(|name| path.ends_with(name));
            if path.is_dir() && !foreign {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "yaml") && !foreign {
                let apply = ["apply", "--server-side", "--force-conflicts", "-f", &path.to_string_lossy()];
                // The kinds of Flux were installed a moment ago.
                let begin = Instant::now();
                while let Err(error) = plane.kubectl(&apply, "") {
                    assert!(begin.elapsed() < PATIENCE, "{}: {error}", path.display());
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                applied += 1;
            }
        }
    }
    assert!(applied >= 10, "only {applied} files were found");
    drop(flux);
}
