//! Runs the batches of `corpus/*.sql` and compares what a client would see.
//!
//! A case is `-- @ name [version]`, the batch, and its expected lines as `--> ...`; `GO` ends it. An expected
//! line is the beginning of the line seen; `--> ...` skips any number of lines. Without expectations the
//! batch must run without an error. `PCHAT_CORPUS=name` prints one case.

mod support;

use pchat_tsql::Version;
use support::run;

struct Case {
    name: String,
    version: Version,
    text: String,
    expected: Vec<String>,
}

fn cases() -> Vec<Case> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut out = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for block in text.split("\nGO\n") {
            let Some(head) = block.lines().find_map(|l| l.strip_prefix("-- @ ")) else {
                assert!(block.trim().is_empty(), "{}: a batch without a name: {block}", file.display());
                continue;
            };
            let (name, version) = head.split_once(' ').unwrap_or((head, "2019"));
            let version = match version {
                "2008" => Version::V2008R2,
                "2012" => Version::V2012,
                "2014" => Version::V2014,
                "2016" => Version::V2016,
                "2017" => Version::V2017,
                _ => Version::V2019,
            };
            let is_head = |l: &str| l.starts_with("-- @ ") || l.starts_with("-->");
            let body: Vec<&str> = block.trim_start_matches('\n').lines().filter(|l| !is_head(l)).collect();
            out.push(Case {
                name: name.to_owned(),
                version,
                text: body.join("\n"),
                expected: block.lines().filter_map(|l| l.strip_prefix("--> ")).map(str::to_owned).collect(),
            });
        }
    }
    out
}

fn matches(expected: &[String], seen: &[String]) -> bool {
    match expected.split_first() {
        None => seen.is_empty(),
        Some((first, rest)) if first == "..." => (0..=seen.len()).any(|i| matches(rest, &seen[i..])),
        Some((first, rest)) => match seen.split_first() {
            Some((line, others)) => line.starts_with(first.as_str()) && matches(rest, others),
            None => false,
        },
    }
}

#[test]
fn every_batch_of_the_corpus_answers_as_documented() {
    let one = std::env::var("PCHAT_CORPUS").ok();
    let (mut failures, mut count) = (Vec::new(), 0);
    for case in cases() {
        if one.as_ref().is_some_and(|n| *n != case.name) {
            continue;
        }
        count += 1;
        let (events, did) = run(&case.text, case.version);
        let mut seen = events.clone();
        seen.extend(did.iter().map(|d| format!("did {d}")));
        let plain = case.expected.is_empty();
        // Column types are checked where a case asks for them.
        if !case.expected.iter().any(|e| e.starts_with("cols")) {
            seen.retain(|l| !l.starts_with("cols"));
        }
        if !case.expected.iter().any(|e| e.starts_with("done")) {
            seen.retain(|l| !l.starts_with("done"));
        }
        let fine = if plain {
            !events.iter().any(|l| l.starts_with("error"))
        } else {
            matches(&case.expected, &seen)
        };
        if !fine || one.is_some() {
            failures.push(format!("{}\n  wanted {:#?}\n  saw {seen:#?}", case.name, case.expected));
        }
    }
    assert!(failures.is_empty() && count > 0, "{} of {count}:\n{}", failures.len(), failures.join("\n\n"));
}
