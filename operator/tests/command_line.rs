//! The program as a user meets it: exit codes, bad input, help. No server is there to be contacted.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn operator(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pchat-operator"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn example(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "examples", name].iter().collect();
    std::fs::read_to_string(path).expect("an example")
}

/// A folder with a manifest, edited, and its Secrets.
fn folder(edit: impl Fn(String) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("chat.yaml"), edit(example("failover.yaml"))).expect("written");
    std::fs::write(folder.path().join("secrets.yaml"), example("pool-secrets.yaml")).expect("written");
    folder
}

const FILES: [&str; 4] = ["-f", "chat.yaml", "-f", "secrets.yaml"];

fn with(command: &'static str, more: &[&'static str]) -> Vec<&'static str> {
    [&[command][..], &FILES, more].concat()
}

#[test]
fn help_teaches_with_an_example_and_the_exit_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = operator(&["--help"], folder.path());
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for part in ["converge -f chat.yaml", "Exit codes:", "  4  stopped: waits for an approval", "NO_COLOR"] {
        assert!(help.contains(part), "{part} is missing in\n{help}");
    }
}

#[test]
fn mistaken_arguments_are_bad_input() {
    let folder = folder(|text| text);
    for arguments in [
        &["converge"][..],
        &["destroy", "-f", "chat.yaml"],
        &["converge", "-f", "chat.yaml", "--approve", "yes"],
        &["converge", "-f", "chat.yaml", "--wait", "soon"],
        &["plan", "-f", "chat.yaml", "-o", "xml"],
    ] {
        let output = operator(arguments, folder.path());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_bad_manifest_is_told_whole_with_lines_and_nothing_is_contacted() {
    let folder = folder(|text| {
        text.replace("activeDatabase: backup ", "activeDatabase: bakup ")
            .replace("chatServers: [pc-ks1", "chatServer: [pc-ks1")
    });
    let output = operator(&with("converge", &["--hosts", "hosts"]), folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let errors = text(&output.stderr);
    assert!(errors.contains("hosts: the hosts file can't be read"), "{errors}");
    assert!(errors.contains("chat.yaml:9: spec.activeDatabase: "), "{errors}");
    assert!(errors.contains("chatServer"), "{errors}");
    assert!(errors.contains("chatServers"), "the nearest known name is named: {errors}");
    assert!(errors.contains("No server was contacted and nothing was changed."), "{errors}");
    assert!(!folder.path().join("chat.state.yaml").exists());
}

#[test]
fn bad_input_is_a_document_too_when_a_document_was_asked_for() {
    let folder = folder(|text| text.replace("mode: Enforce", "mode: Sometimes"));
    let output = operator(&with("plan", &["-o", "json"]), folder.path());
    assert_eq!(output.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&json["outcome"], &json["exitCode"]), (&"BadInput".into(), &2.into()));
    let problem = json["problems"][0].as_str().expect("a problem");
    assert!(problem.starts_with("chat.yaml:10: spec.mode: "), "{problem}");
    let output = operator(&with("plan", &["-o", "yaml"]), folder.path());
    let yaml: serde_yaml::Value = serde_yaml::from_slice(&output.stdout).expect("YAML");
    assert_eq!(yaml["outcome"], "BadInput");
}

/// Every server's name leads to a port of this machine on which nothing listens.
fn nowhere() -> tempfile::TempDir {
    let folder = folder(|text| {
        text.replace("instance: PCHAT", "port: 9").replace("fe-ks1.contoso.com/", "fe-ks1.contoso.com:9/")
    });
    let names =
        "sql-tp1.contoso.com sql-tp2.contoso.com sql-ks1.contoso.com sql-ks2.contoso.com fe-ks1.contoso.com";
    std::fs::write(folder.path().join("hosts"), format!("127.0.0.1 {names}\n")).expect("written");
    folder
}

#[test]
fn a_surviving_side_that_cannot_be_asked_is_a_named_stop_and_observing_it_is_not() {
    let folder = nowhere();
    let output = operator(&with("observe", &["--hosts", "hosts"]), folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let seen = text(&output.stdout);
    assert!(
        seen.contains("sql-ks1.contoso.com") && seen.contains("may be alive and can't be asked"),
        "{seen}"
    );

    let output = operator(&with("converge", &["--hosts", "hosts", "-o", "json"]), folder.path());
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json["outcome"], "Blocked");
    assert_eq!(json["stop"]["name"], "BackupUnreachable");
    assert_eq!(json["run"]["actions"], 0);
    assert!(!text(&output.stdout).contains("change-me"), "a password");

    let output = operator(&with("converge", &["--hosts", "hosts"]), folder.path());
    let told = text(&output.stdout);
    assert!(told.contains("Stopped") && told.contains("BackupUnreachable"), "{told}");
    assert!(told.contains("This run has changed nothing."), "{told}");
    assert!(
        told.trim_end().ends_with("pchat-operator converge -f chat.yaml -f secrets.yaml --hosts hosts"),
        "{told}"
    );
    assert!(!told.contains('\x1b'), "colour in a pipe");
}

#[cfg(unix)]
#[test]
fn ctrl_c_and_sigterm_at_a_stop_end_the_run_at_once_as_interrupted() {
    for signal in ["-INT", "-TERM"] {
        let folder = nowhere();
        let child = Command::new(env!("CARGO_BIN_EXE_pchat-operator"))
            .args(with("converge", &["--hosts", "hosts", "--wait", "1h"]))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut child = child;
        // It is at its stop once it has said so.
        let mut out = std::io::BufReader::new(child.stdout.take().expect("piped"));
        let mut told = String::new();
        while !told.contains("Staying here until") {
            let read = std::io::BufRead::read_line(&mut out, &mut told).expect("readable");
            assert!(read > 0, "it ended: {told}");
        }
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
        std::io::Read::read_to_string(&mut out, &mut told).expect("readable");
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(5), "{told}");
        assert!(told.contains("Interrupted: stopped at a safe point"), "{told}");
        assert!(told.contains("This run has changed nothing."), "{told}");
    }
}
