//! Every statement that the operator can send to a SQL Server, or tells a person to type, held against what SQL Server 2008 R2 does
//! not know. With `PCHAT_STATEMENTS_DIR` set the texts are also written there, one file each, so that Microsoft's
//! parser can be run over them.

mod advised;
#[path = "../planner/tests/common/mod.rs"]
mod common;
mod shapes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pchat_operator::sql::batches::guard::{LONGEST_TRANSITION, Warrant, transition_text};
use pchat_operator::sql::batches::{Batch, Param, files, ownership, sessions, state};
use pchat_planner::journal::{Epoch, Life, Phase, Shipping, Silence, Transition};
use pchat_planner::lsn::{Fork, Lsn, Position};
use pchat_planner::pool::{LogSource, Side};
use uuid::Uuid;

use shapes::Parts;

/// Names that break out of careless quoting.
const HOSTILE: [&str; 5] =
    ["mgc", "m]g'c", "mgc'; DROP DATABASE master; --", "Näme mit Leerzeichen", "聊天\"|%s%d{0}\u{202e}"];

/// What the grammar of 2008 wrongly lets through, or knows only later.
const LATER_THAN_2008: [&str; 16] = [
    "THROW",
    "CONCAT(",
    "IIF(",
    "CHOOSE(",
    "TRY_CONVERT",
    "TRY_CAST",
    "TRY_PARSE",
    "FORMAT(",
    "STRING_AGG",
    "STRING_SPLIT",
    " IF EXISTS ",
    "OFFSET ",
    "OPENJSON",
    "JSON_VALUE",
    "DATEFROMPARTS",
    "CREATE OR ALTER",
];

fn warrant(name: &str) -> Warrant {
    Warrant {
        database: name.to_owned(),
        epoch: Epoch("6f1c2a30-0000-4000-8000-00000000000a".into()),
        executor: format!("{name}, process 7"),
        not_after: Timestamp::UNIX_EPOCH,
    }
}

fn transition(name: &str) -> Transition {
    Transition {
        rev: 3,
        id: Uuid::from_u128(1),
        intent: Side::Backup,
        phase: Phase::Open,
        back: false,
        opened: Timestamp::UNIX_EPOCH,
        evidence: Some(Shipping {
            source: LogSource { share: format!(r"\\files\{name}"), folder: format!(r"D:\{name}") },
            secondary_id: Uuid::from_u128(2),
            primary_server: name.to_owned(),
            copy_job: Some(Uuid::from_u128(3)),
            restore_job: Some(Uuid::from_u128(4)),
            last_copied: None,
            last_restored: Some(format!(r"D:\{name}\x.trn")),
            redo: None,
            fork: None,
        }),
        approval: None,
        accepted: None,
        recovery: None,
    }
}

fn seen(name: &str) -> Silence {
    let at = Timestamp::UNIX_EPOCH;
    let sign = Life { file: name.to_owned(), server: name.to_owned(), began: None, seen: at };
    Silence { rev: 1, since: at, until: at, found: Vec::new(), signs: vec![sign] }
}

/// What the guarded batches are made of, for one name.
fn parts(name: &str) -> Parts {
    let known: Vec<String> = (0..3).map(|k| format!("{name}_{k}.trn")).collect();
    Parts {
        warrant: warrant(name),
        transition: transition_text(&transition(name)).unwrap(),
        secondary: Uuid::from_u128(5),
        copy_job: Uuid::from_u128(5),
        last_restored: Some(format!(r"D:\{name}\x.trn")),
        at: Position { lsn: Lsn(9_999_999_999_999_999_999_999_999), fork: Fork(Uuid::from_u128(6)) },
        source: LogSource { share: format!(r"\\files\{name}"), folder: format!(r"D:\{name}") },
        must: known.first().cloned(),
        known,
        file: format!(r"D:\{name}\x.trn"),
        silence: seen(name),
    }
}

fn numbered(shapes: impl IntoIterator<Item = (&'static str, Batch)>) -> Vec<(String, Batch)> {
    shapes.into_iter().map(|(k, b)| (format!("{k}-{}", b.params().len()), b)).collect()
}

/// Every shape of every batch with a guard, for one name.
fn guarded(name: &str) -> Vec<(String, Batch)> {
    numbered(shapes::guarded(&parts(name)).into_iter().map(|(shape, _, batch)| (shape, batch)))
}

/// Every shape of every batch without one, for one name.
fn unguarded(name: &str) -> Vec<(String, Batch)> {
    let path = format!(r"D:\{name}\x.trn");
    let mut all = vec![
        ("state", state::state(name)),
        ("free", ownership::free(&warrant(name))),
        ("identity", sessions::identity()),
        ("kill-own", sessions::kill_own(77, "2026-11-22T23:41:07.123", name)),
        ("progress", sessions::progress(name, 77)),
        ("verify", files::verify(&path, 1)),
        ("list", files::list(&path)),
    ];
    for count in [1, files::MOST_HEADERS] {
        all.push(("headers", files::headers(&vec![path.as_str(); count])));
    }
    numbered(all)
}

/// Every shape of every batch, for one name.
fn all(name: &str) -> Vec<(String, Batch)> {
    [guarded(name), unguarded(name)].concat()
}

/// The texts that a batch makes and executes, as the far end will see them: literals as they stand, `QUOTENAME` as a quoted
/// name, other values as a number. A parser that reads the batch does not look into them.
fn dynamic(text: &str) -> Vec<String> {
    let executed = text.split("EXEC").skip(1).filter_map(|behind| {
        let behind = behind.trim_start();
        let statement = behind.split(';').next().unwrap_or_default();
        let inner = match behind.strip_prefix('(') {
            Some(inner) => inner,
            None if statement.contains("sp_executesql") => behind.split_once("sp_executesql")?.1,
            None => return None,
        };
        Some(inner.trim_start())
    });
    executed
        .flat_map(|inner| match inner.strip_prefix('@') {
            Some(variable) => {
                let name: String = variable.chars().take_while(|c| c.is_alphanumeric()).collect();
                let made = format!("SET @{name} = ");
                let made: Vec<String> = text.split(&made).skip(1).map(|e| evaluated(e, ';')).collect();
                assert!(!made.is_empty(), "@{name} is executed and nowhere set");
                made
            }
            None => vec![evaluated(inner, ')')],
        })
        .collect()
}

/// A concatenation up to `end`, which stands outside of literals and brackets.
fn evaluated(expression: &str, end: char) -> String {
    let (mut out, mut term, mut depth) = (String::new(), String::new(), 0usize);
    let mut rest = expression.chars().peekable();
    let value = |term: &mut String, out: &mut String| {
        let said = term.trim().to_uppercase();
        if said.starts_with("QUOTENAME(") {
            out.push_str("[m]]g'c]");
        } else if said.starts_with("CONVERT(") {
            out.push('7');
        } else {
            assert!(
                said.is_empty() || said == "N",
                "what becomes of {term:?} in a dynamic text is not known"
            );
        }
        term.clear();
    };
    while let Some(c) = rest.next() {
        match c {
            '\'' if depth == 0 => {
                value(&mut term, &mut out);
                loop {
                    match rest.next().expect("the literal ends") {
                        '\'' if rest.peek() == Some(&'\'') => out.extend(rest.next()),
                        '\'' => break,
                        inside => out.push(inside),
                    }
                }
            }
            '+' if depth == 0 => value(&mut term, &mut out),
            c if c == end && depth == 0 => break,
            c => {
                depth = depth + usize::from(c == '(') - usize::from(c == ')');
                term.push(c);
            }
        }
    }
    value(&mut term, &mut out);
    out
}

/// A word that only later servers know.
fn later_than_2008(code: &str) -> Option<&'static str> {
    let code = code.to_uppercase();
    LATER_THAN_2008.into_iter().find(|word| match *word {
        // `IF EXISTS (` is an old condition; `DROP .. IF EXISTS` is new.
        " IF EXISTS " => code.contains("DROP") && code.contains("IF EXISTS") && !code.contains("IF EXISTS ("),
        word => code.contains(word),
    })
}

#[test]
fn dynamic_texts_are_taken_out_as_the_far_end_will_see_them() {
    let text = "SET @a = N'KILL ' + CONVERT(nvarchar(11), @spid);\nEXEC (@a);\n\
                EXEC (N'PRINT ''x; y''' + QUOTENAME(@db));\n\
                EXEC master.sys.sp_executesql @a; EXEC msdb.dbo.sp_start_job @job_id = @a;";
    assert_eq!(dynamic(text), ["KILL 7", "PRINT 'x; y'[m]]g'c]", "KILL 7"]);
    let texts: Vec<String> = all("mgc").iter().flat_map(|(_, batch)| dynamic(&batch.text())).collect();
    for made in ["KILL 7", "ALTER DATABASE [m]]g'c] SET MULTI_USER WITH NO_WAIT"] {
        assert!(texts.iter().any(|text| text == made), "{made} in {texts:?}");
    }
    let bad = dynamic("SET @sql = N'BEGIN TRY SELECT 1 END TRY BEGIN CATCH THROW; END CATCH';\nEXEC (@sql);");
    assert_eq!(later_than_2008(&bad[0]), Some("THROW"));
}

#[test]
fn no_statement_uses_what_sql_server_2008_r2_does_not_know() {
    for (kind, line) in advised::statements("mgc") {
        assert_eq!(later_than_2008(&line), None, "{kind:?}: {line}");
    }
    for (shape, batch) in all("mgc") {
        for text in dynamic(&batch.text()) {
            assert_eq!(later_than_2008(&text), None, "{shape}: {text}");
        }
        // Text constants are ours and no syntax, unless they are executed.
        let code: String = batch.text().split('\'').step_by(2).collect::<Vec<_>>().join(" ").to_uppercase();
        assert_eq!(later_than_2008(&code), None, "{shape}");
        assert!(
            !code.contains("U.DATABASE_ID") && !code.contains("S.DATABASE_ID"),
            "{shape}: dm_exec_sessions.database_id is of 2012"
        );
        assert!(
            !code.contains("MIN(F.REDO_START_FORK_GUID)"),
            "{shape}: MIN of a uniqueidentifier is of 2012"
        );
    }
}

#[test]
fn nothing_that_came_from_outside_becomes_text() {
    let plain: BTreeMap<String, Batch> = all("mgc").into_iter().collect();
    for name in HOSTILE {
        for (shape, batch) in all(name) {
            assert_eq!(batch.text(), plain[&shape].text(), "{shape} with {name:?}");
            let used = batch.text().matches("@P").count();
            assert_eq!(used, batch.params().len(), "{shape}: each parameter is bound once");
            assert!(batch.params().len() <= 2_000, "{shape}: sp_executesql takes 2,100 parameters");
        }
    }
}

/// The lists are what everything else is held against: a maker that stands in neither would be held against nothing, and one of a
/// guarded batch among the unguarded would never be tried late, by a stranger, or with what is missing.
#[test]
fn every_maker_of_a_batch_stands_in_the_list_where_it_belongs() {
    let lists = concat!(include_str!("shapes/mod.rs"), include_str!("statements.rs"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sql/batches");
    let mut makers = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let module = file.file_stem().unwrap().to_str().unwrap().to_owned();
        // They hold what the makers are made of.
        if ["mod", "guard"].contains(&module.as_str()) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for head in text.split("\npub fn ").skip(1).map(|behind| behind.split('{').next().unwrap()) {
            let Some((name, _)) = head.split_once('(').filter(|_| head.contains("Batch")) else { continue };
            assert!(lists.contains(&format!("{module}::{name}(")), "{module}::{name} is in no list");
            makers += 1;
        }
    }
    assert!(makers > 20, "{makers}");
    for (shape, batch) in unguarded("mgc") {
        assert!(!batch.text().contains("PCHAT|EXPIRED|"), "{shape} is guarded");
    }
}

#[test]
fn every_mutating_batch_is_guarded_in_the_right_order() {
    for (shape, batch) in guarded("mgc") {
        let text = batch.text();
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{shape}: {what} is missing"));
        // What is seen of a silent side belongs to nobody; it is compared with what stood there.
        let whose = if shape.starts_with("silence-") { "PCHAT|STATE|" } else { "PCHAT|FENCED|" };
        let order = [at("PCHAT|CONTEXT|"), at("sp_getapplock"), at("PCHAT|EXPIRED|"), at(whose)];
        assert!(order.is_sorted(), "{shape}: lock, expiry, owner");
        let effects = [
            "sp_addextendedproperty",
            "sp_updateextendedproperty",
            "sp_dropextendedproperty",
            "sp_update_job",
            "sp_start_job",
            "sp_delete_log_shipping",
            "RESTORE LOG",
            "RESTORE DATABASE",
            "EXEC (@kill)",
            "EXEC (@sql)",
        ];
        for effect in effects.iter().filter_map(|e| text.find(e)) {
            assert!(order[3] < effect, "{shape}: an effect before the guard");
        }
        // What is checked must come before the first effect, and every refusal ends the batch.
        assert_eq!(text.matches("RAISERROR(").count(), text.matches("RETURN; END;").count(), "{shape}");
        assert!(!text.contains("BEGIN TRAN"), "{shape}: RESTORE and KILL refuse to run in a transaction");
        let restore = text.find("RESTORE LOG").or(text.find("RESTORE DATABASE"));
        if let Some(restore) = restore {
            assert!(!text[restore..].contains("BEGIN TRY"), "{shape}: RESTORE within TRY loses its cause");
        }
    }
}

#[test]
fn evidence_is_written_and_read_back_before_what_it_records_is_touched() {
    for (shape, batch) in all("mgc") {
        let text = batch.text();
        for effect in ["sp_update_job", "sp_delete_log_shipping", "RESTORE DATABASE @db WITH RECOVERY"] {
            if let Some(effect) = text.find(effect) {
                let read_back = text.find("PCHAT|EVIDENCE|the transition").unwrap_or(usize::MAX);
                assert!(read_back < effect, "{shape}");
            }
        }
    }
}

#[test]
fn a_record_that_would_not_fit_is_refused_and_never_cut() {
    let long = "x".repeat(LONGEST_TRANSITION);
    assert!(transition_text(&transition(&long)).unwrap_err().contains("characters"));
    assert!(transition_text(&transition("mgc")).is_ok());
}

#[test]
fn an_executors_name_can_not_break_the_owners_json() {
    for name in HOSTILE {
        let batch = ownership::take(&warrant(name), None, "{}");
        let Some(Param::Text(Some(executor))) = batch.params().get(2) else {
            panic!("the executor is the third")
        };
        let owner = format!(r#"{{"epoch":"e","executor":"{executor}","mark":"2026-11-22T23:41:07.123Z"}}"#);
        let read: pchat_planner::journal::Owner = serde_json::from_str(&owner).unwrap();
        assert_eq!(read.executor, format!("{name}, process 7"));
    }
}

#[test]
fn the_texts_are_written_where_they_are_asked_for() {
    let Some(directory) = std::env::var_os("PCHAT_STATEMENTS_DIR").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&directory).unwrap();
    for (n, (kind, line)) in advised::statements(HOSTILE[1]).iter().enumerate() {
        std::fs::write(directory.join(format!("advice-{kind:?}-{n}.sql")), line).unwrap();
    }
    for (shape, batch) in all(HOSTILE[1]) {
        let text = batch.text();
        std::fs::write(directory.join(format!("{shape}.sql")), &text).unwrap();
        for (k, made) in dynamic(&text).iter().enumerate() {
            std::fs::write(directory.join(format!("{shape}-dynamic-{k}.sql")), made).unwrap();
        }
    }
}
