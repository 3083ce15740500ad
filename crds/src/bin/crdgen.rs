//! Writes the CustomResourceDefinition to standard output, or says whether a file is stale: `crdgen --check FILE`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        [] => pchat_crds::crd::yaml().map(|yaml| print!("{yaml}")).map_err(|error| error.to_string()),
        ["--check", file] => check(file),
        _ => Err("usage: crdgen [--check FILE]".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn check(file: &str) -> Result<(), String> {
    let wanted = pchat_crds::crd::yaml().map_err(|error| error.to_string())?;
    let found = std::fs::read_to_string(file).map_err(|error| format!("{file} cannot be read: {error}"))?;
    if found == wanted {
        return Ok(());
    }
    let line = found.lines().zip(wanted.lines()).take_while(|(found, wanted)| found == wanted).count() + 1;
    Err(format!(
        "{file} is stale from line {line} on; write it again with:\n  cargo run -p pchat-crds --bin crdgen > {file}"
    ))
}
