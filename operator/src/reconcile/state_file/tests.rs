use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const POOL: &str = "chat.contoso.com";

fn now() -> Timestamp {
    "2026-11-22T23:44:10Z".parse().expect("a timestamp")
}

fn stored(executor: &str) -> Stored {
    Stored::new(POOL, "mgc", executor, now())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_saved_is_found_again_and_nothing_else_is_left_in_the_folder() {
    let folder = folder();
    let file = StateFile::new(folder.path().join("chat.state.yaml"));
    assert!(file.load(POOL, "mgc", now()).stored.is_none());
    let mut first = stored("a");
    first.approvals.push(Approval { digest: "7f3a-9c21".into(), transition: Some(Uuid::nil()) });
    file.save(&first).expect("saved");
    let found = file.load("CHAT.contoso.com", "mgc", now());
    assert_eq!((found.stored, found.notice), (Some(first), None));
    assert_eq!(names(folder.path()), ["chat.state.yaml"]);
}

#[test]
fn a_damaged_or_foreign_file_is_set_aside_and_told() {
    let other_pool =
        serde_yaml::to_string(&Stored::new("other.contoso.com", "mgc", "a", now())).expect("yaml");
    let other_version = serde_yaml::to_string(&stored("a")).expect("yaml").replace("v1alpha1", "v9");
    let cases = [
        ("executor: [", "it is damaged"),
        ("kind: x\nsurprise: 1\n", "it is damaged"),
        (other_pool.as_str(), "it belongs to mgc of pool other.contoso.com"),
        (other_version.as_str(), "it is of another version"),
    ];
    for (text, cause) in cases {
        let folder = folder();
        let file = StateFile::new(folder.path().join("chat.state.yaml"));
        fs::write(file.path(), text).expect("written");
        let found = file.load(POOL, "mgc", now());
        assert_eq!(found.stored, None);
        let notice = found.notice.expect("a notice");
        assert!(notice.contains(cause), "{notice}");
        assert_eq!(names(folder.path()), ["chat.state.yaml.aside-20261122T234410.000Z"], "{notice}");
        let aside = folder.path().join("chat.state.yaml.aside-20261122T234410.000Z");
        assert_eq!(fs::read_to_string(aside).expect("kept"), text);
        file.save(&stored("b")).expect("saved");
        assert!(file.load(POOL, "mgc", now()).stored.is_some());
    }
}

#[test]
fn a_folder_in_its_place_is_told_and_never_fatal() {
    let folder = folder();
    let gone = StateFile::new(folder.path().join("no/such/chat.state.yaml"));
    assert!(gone.load(POOL, "mgc", now()).stored.is_none());
    let error = gone.save(&stored("a")).expect_err("there is no such folder");
    assert!(error.contains("chat.state.yaml") && error.contains("--state"), "{error}");
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_reader_at_any_moment_finds_a_whole_file() {
    let folder = folder();
    let path = folder.path().join("chat.state.yaml");
    let file = StateFile::new(path.clone());
    file.save(&stored("first")).expect("saved");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0_u32;
            while !over.load(Ordering::Relaxed) || reads == 0 {
                let text = fs::read_to_string(&path).expect("always there");
                let read: Stored = serde_yaml::from_str(&text).expect("always whole");
                assert!(read.executor == "first" || read.executor.starts_with("writer"));
                reads += 1;
            }
            reads
        });
        for n in 0..50 {
            file.save(&stored(&format!("writer {}", "x".repeat(n * 100)))).expect("saved");
        }
        over.store(true, Ordering::Relaxed);
        assert!(reader.join().expect("no panic") > 0);
    });
    assert_eq!(names(folder.path()), ["chat.state.yaml"]);
}

#[cfg(unix)]
#[test]
fn only_its_owner_reads_and_writes_it_whatever_stood_there_before() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let file = StateFile::new(folder.path().join("chat.state.yaml"));
    fs::write(file.path(), "kind: x").expect("written");
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).expect("set");
    file.save(&stored("a")).expect("saved");
    let mode = fs::metadata(file.path()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
