//! The page of the decision table, made from the table itself.

use std::fmt::Write as _;

use pchat_planner::LIFE_SLACK;
use pchat_planner::table::{Decision, Stage, TABLE};

use super::words::meaning;

/// The decision table of a forced failover as a page of the documentation.
pub fn decision_table() -> String {
    let mut page = String::from(
        "# The decision table of a forced failover\n\n\
         This page is made from the table that the planner reads (`operator/planner/src/transition/table.rs`), and a test holds it against \
         that. The first row that applies decides. A stop that a person may accept shows a digest, which covers every danger of \
         the whole failover at once; a row whose danger was accepted does not apply. [reasons.md](reasons.md) has all reasons, \
         [safety.md](safety.md) the rules behind the table.\n",
    );
    for (stage, title) in [
        (Stage::Start, "Before anything is touched, and again before each step up to the point of no return"),
        (Stage::Recovery, "When nothing more can be applied, before the point of no return"),
        (Stage::Always, "At any time"),
    ] {
        let _ = write!(page, "\n## {title}\n\n| row | evidence | decision |\n|---|---|---|\n");
        for row in TABLE.iter().filter(|row| row.stage == stage) {
            let decision = match row.decision {
                Decision::Stop(reason) => format!("stop `{reason}`: {}", meaning(reason)),
                Decision::Wait(reason) => format!("wait `{reason}`: {}", meaning(reason)),
                Decision::Warn(reason) => format!("go on, and warn `{reason}`: {}", meaning(reason)),
                Decision::Go => "go".to_owned(),
            };
            let _ = writeln!(page, "| `{}` | {} | {decision} |", row.id, row.evidence);
        }
    }
    let _ = write!(
        page,
        "\nA backup that began less than {} s after the first silent look is no sign of life.\n",
        LIFE_SLACK.as_secs()
    );
    page
}
