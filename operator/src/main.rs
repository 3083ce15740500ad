//! `pchat-operator`: the command line of the operator.

use std::process::ExitCode;

fn main() -> ExitCode {
    pchat_operator::cli::main(std::env::args_os())
}
