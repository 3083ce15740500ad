//! Text from outside is shown, never obeyed: whatever a server, a share or the management shell puts into a text, a person sees
//! it and a terminal does not.

use crate::common::{BACKUP, BACKUP_MIRROR, PRIMARY, Run, Trial, exit};
use pchat_operator::outside::is_hidden;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Output;

/// A name that a terminal would obey and would write backwards.
const EVIL: &str = "mgc_\u{202e}nrt\u{1b}[2J\u{9b}2J.trn";
/// The same, as it is told.
const SHOWN: &str = r"mgc_\u{202e}nrt\u{1b}[2J\u{9b}2J.trn";

fn share(trial: &Trial) -> PathBuf {
    trial.stage.lab.dir().join("world/shares/files/pchat-logs")
}

/// Nothing but line ends is there that can't be seen. Gives it as text.
#[track_caller]
fn plain(what: &str, bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let hidden: Vec<char> = text.chars().filter(|c| is_hidden(*c) && *c != '\n').collect();
    assert!(hidden.is_empty(), "{what} holds {hidden:?}:\n{}", text.escape_debug());
    assert!(
        !text.lines().any(|line| line.trim() == "Loss: none."),
        "{what} has a line of somebody else:\n{text}"
    );
    text
}

#[track_caller]
fn both(what: &str, output: &Output) -> String {
    plain(what, &output.stdout) + &plain(what, &output.stderr)
}

/// A document of values that hold nothing hidden, but for the line ends and the tab around what it says is to be typed.
#[track_caller]
fn visible(document: &Value) {
    let mut typed = Vec::new();
    texts(document, false, &mut |text, line| typed.extend(line.then(|| text.to_owned())));
    texts(document, false, &mut |text, _| {
        let lines =
            typed.iter().fold(text.to_owned(), |text, line| text.replace(&format!("\n\t{line}"), "\n"));
        let plain = if lines == text { lines } else { lines.replace('\n', "") };
        assert!(!plain.chars().any(is_hidden), "{text:?}");
    });
}

/// Shows each text of a document, and whether it is a line to be typed.
fn texts(value: &Value, line: bool, show: &mut dyn FnMut(&str, bool)) {
    match value {
        Value::String(text) => show(text, line),
        Value::Array(items) => items.iter().for_each(|item| texts(item, line, show)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| texts(field, name == "lines", show)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_far_end_says_reaches_a_person_unseen() {
    let trial = Trial::start("").await;
    for (host, column) in [
        (BACKUP, "name"),
        (BACKUP, "hostname"),
        (BACKUP, "program_name"),
        (BACKUP, "monitor_server"),
        (PRIMARY, "mirroring_partner_instance"),
        (PRIMARY, "errors"),
        (BACKUP_MIRROR, "errors"),
        ("shell", "errors"),
        ("shell", "ActiveServers"),
    ] {
        trial.order(&format!("taint {host} {column}")).await;
    }
    std::fs::write(share(&trial).join(EVIL), "no backup").unwrap();
    trial.order("store unwritable").await;
    let run =
        |verb: &'static str, more: &'static [&'static str]| trial.stage.operator.run(verb, more).unwrap();

    trial.order(&format!("fault-look {BACKUP_MIRROR} 823")).await;
    let observed = both("observe", &run("observe", &["-v"]));
    let said = observed.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(r"Loss: none.\u{202e}\u{2066}\u{200b}\u{e0041}"), "{observed}");
    assert!(said.contains("823"), "an error of SQL Server: {observed}");
    for verb in ["observe", "plan"] {
        trial.order(&format!("fault-look {BACKUP_MIRROR} 823")).await;
        let json = run(verb, &["-o", "json"]);
        let document: Value = serde_json::from_str(&plain("json", &json.stdout)).unwrap();
        visible(&document);
        trial.order(&format!("fault-look {BACKUP_MIRROR} 823")).await;
        let yaml = run(verb, &["-o", "yaml"]);
        visible(&serde_yaml::from_str(&plain("yaml", &yaml.stdout)).unwrap());
    }

    // The names of files are taken for what they are from here on.
    trial.order("untaint").await;
    trial.write(4).await;
    trial.order("kill site primary").await;
    trial.turn("backup");
    let asked = run("converge", &["-v"]);
    let text = both("converge", &asked);
    assert!(text.contains(SHOWN), "the file is named where an approval is asked for: {text}");
    let state = std::fs::read(trial.stage.operator.folder.join("pool.state.yaml")).unwrap();
    visible(&serde_yaml::from_str(&plain("the state file", &state)).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_name_is_no_name_is_told_and_never_opened() {
    let trial = Trial::disaster("").await;
    // On Linux a name can hold what separates paths on Windows, and what once separated names here.
    let last = trial.files("share").pop().unwrap();
    let names = [EVIL.to_owned(), format!("{last}|{last}"), r"..\..\mgc.trn".into(), "mgc:a.trn".into()];
    for name in &names {
        std::fs::copy(share(&trial).join(&last), share(&trial).join(name)).unwrap();
    }
    let stopped = trial.converge(&[]).await;
    stopped.stopped("BackupsUnknown", exit::APPROVAL);
    let whole = stopped.document.to_string();
    for shown in [SHOWN, "|", r"..\..\mgc.trn", "mgc:a.trn"] {
        let quoted = serde_json::to_string(shown).unwrap();
        assert!(whole.contains(quoted.trim_matches('"')), "{shown} is not told: {stopped}");
    }
    assert!(stopped.told().contains("never opened"), "{stopped}");
    let opened = trial.batches(BACKUP).await;
    let opened = opened.iter().filter(|batch| batch.to_string().contains("HEADERONLY"));
    assert!(opened.clone().count() > 0);

    let digest = stopped.digest().to_owned();
    let run: Run = trial.converge(&["--approve", &digest]).await;
    trial.delivered(&run).await;
}
