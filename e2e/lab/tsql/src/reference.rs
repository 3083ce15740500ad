//! Holds the data files of this crate against the reference tables that they were taken from.
//!
//! `PCHAT_REFERENCE` names the folder of `catalog.tsv`, `messages.tsv`, `procedures.tsv`, `result-sets.tsv`
//! and `functions.tsv`; run with `--ignored`.

use std::collections::{HashMap, HashSet};

/// Rows of a reference table, by column name.
fn table(file: &str) -> Vec<HashMap<String, String>> {
    let folder = std::env::var("PCHAT_REFERENCE").expect("PCHAT_REFERENCE names the reference folder");
    let text = std::fs::read_to_string(format!("{folder}/{file}")).expect("the reference file can be read");
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().expect("a header line").split('\t').collect();
    lines
        .map(|l| head.iter().map(|h| (*h).to_owned()).zip(l.split('\t').map(str::to_owned)).collect())
        .collect()
}

fn same(ours: &str, file: &str, columns: &[&str]) {
    let wanted: Vec<String> = table(file)
        .iter()
        .map(|r| columns.iter().map(|c| r[*c].as_str()).collect::<Vec<_>>().join("\t"))
        .collect();
    let ours: Vec<&str> = ours.lines().skip(1).collect();
    assert_eq!(ours, wanted, "{file}");
}

#[test]
#[ignore = "needs PCHAT_REFERENCE"]
fn the_schema_is_that_of_the_reference() {
    let columns = ["object", "ordinal", "column", "type", "nullable", "since"];
    same(include_str!("../data/catalog.tsv"), "catalog.tsv", &columns);
    let columns = ["procedure", "kind", "ordinal", "parameter", "type", "default", "direction", "value"];
    same(include_str!("../data/procedures.tsv"), "procedures.tsv", &columns);
    let columns = ["statement", "set", "ordinal", "column", "type", "nullable", "since"];
    same(include_str!("../data/result-sets.tsv"), "result-sets.tsv", &columns);
}

#[test]
#[ignore = "needs PCHAT_REFERENCE"]
fn the_messages_are_those_of_the_reference() {
    let mut seen = HashSet::new();
    let wanted: Vec<String> = table("messages.tsv")
        .iter()
        // A number with two texts keeps the later one, which stands first.
        .filter(|r| seen.insert(r["number"].clone()))
        .map(|r| format!("{}\t{}\t{}", r["number"], r["severity"], r["text"]))
        .collect();
    let ours: Vec<&str> = include_str!("../data/messages.tsv").lines().skip(1).collect();
    assert_eq!(ours, wanted);
    for line in include_str!("../data/own-messages.tsv").lines().skip(1) {
        let number = line.split('\t').next().unwrap_or_default();
        assert!(!seen.contains(number), "{number} has a documented text");
    }
}

#[test]
#[ignore = "needs PCHAT_REFERENCE"]
fn functions_exist_since_their_documented_version_with_their_arity() {
    let rows = table("functions.tsv");
    // Not in the table, but as old as the product.
    let old = [
        "ABS",
        "FLOOR",
        "CEILING",
        "ROUND",
        "SIGN",
        "YEAR",
        "MONTH",
        "DAY",
        "GETDATE",
        "CURRENT_TIMESTAMP",
        "USER",
        "SYSTEM_USER",
        "CURRENT_USER",
        "SESSION_USER",
        "USER_NAME",
        "@@LANGUAGE",
        "@@MICROSOFTVERSION",
        "@@OPTIONS",
        "@@MAX_PRECISION",
        ".VALUE",
    ];
    for function in crate::eval::functions::all() {
        let Some(row) = rows.iter().find(|r| r["function"] == function.name) else {
            assert!(old.contains(&function.name), "{} is in no reference", function.name);
            continue;
        };
        let since = row["since"].parse::<u16>().unwrap_or(2008);
        assert_eq!(function.since.year(), since.max(2008), "{}", function.name);
        if let (Ok(min), Ok(max)) = (row["args_min"].parse::<usize>(), row["args_max"].parse::<usize>()) {
            assert!(function.min >= min && function.max <= max, "{}: {min} to {max}", function.name);
        }
    }
}
