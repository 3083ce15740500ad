//! A lab with the operator beside it.
//!
//! Answers for what a person would do at the stage: edit the manifest, give orders to the lab, run the operator, and
//! compare the ledger with what it reported.

use crate::operator::Operator;
use crate::verdict::{Interval, Lost};
use pchat_lab::{Lab, Scenario};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What went wrong on the stage itself.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The lab did not start or refused an order.
    #[error("the lab: {0}")]
    Lab(String),
    /// A file of the stage.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The manifest does not have what was to be edited.
    #[error("the manifest has no {0:?}")]
    Edit(String),
}

/// A running lab and the operator with its files.
#[derive(Debug)]
pub struct Stage {
    /// The simulated data centres.
    pub lab: Lab,
    /// The operator.
    pub operator: Operator,
}

impl Stage {
    /// Starts a scenario in `folder`. `binary` is one that calls [`crate::operator::as_operator`].
    pub async fn start(scenario: Scenario, folder: &Path, binary: &Path) -> Result<Self, StageError> {
        let lab = Lab::start(scenario, folder).await.map_err(|error| StageError::Lab(error.to_string()))?;
        let operator = Operator { binary: binary.to_owned(), folder: folder.to_owned() };
        Ok(Self { lab, operator })
    }

    /// The manifest's path.
    pub fn manifest(&self) -> PathBuf {
        self.operator.folder.join("pool.yaml")
    }

    /// Replaces `from` in the manifest by `to`, once.
    pub fn edit(&self, from: &str, to: &str) -> Result<(), StageError> {
        let path = self.manifest();
        let broken =
            |cause: std::io::Error| StageError::File { path: path.clone(), cause: cause.to_string() };
        let text = std::fs::read_to_string(&path).map_err(broken)?;
        if !text.contains(from) {
            return Err(StageError::Edit(from.to_owned()));
        }
        std::fs::write(&path, text.replacen(from, to, 1)).map_err(broken)
    }

    /// Gives the lab an order.
    pub async fn order(&self, line: &str) -> Result<Value, StageError> {
        self.lab.order(line).await.map_err(|error| StageError::Lab(format!("{line}: {error}")))
    }

    /// The last report, out of the operator's state file.
    pub fn report(&self) -> Result<Value, StageError> {
        let path = self.manifest().with_extension("state.yaml");
        let broken = |cause: String| StageError::File { path: path.clone(), cause };
        let text = std::fs::read_to_string(&path).map_err(|error| broken(error.to_string()))?;
        let stored: Value = serde_yaml::from_str(&text).map_err(|error| broken(error.to_string()))?;
        stored.get("report").cloned().ok_or_else(|| broken("it has no report".to_owned()))
    }

    /// The loss interval of the last report.
    pub fn interval(&self) -> Result<Interval, StageError> {
        let path = self.manifest().with_extension("state.yaml");
        Interval::of(&self.report()?).map_err(|cause| StageError::File { path, cause })
    }

    /// What the database on this SQL Server lacks of all that chat servers were told is stored.
    pub fn lost(&self, server: &str) -> Result<Lost, StageError> {
        let ledger = self.lab.ledger();
        let copies = ledger["copies"].as_array().map(Vec::as_slice).unwrap_or_default();
        let loss = copies
            .iter()
            .map(|copy| &copy["loss"])
            .find(|loss| loss["database"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(server)))
            .ok_or_else(|| StageError::Lab(format!("the ledger knows no copy on {server}: {ledger}")))?;
        let time = |field: &str| loss[field].as_str().and_then(|text| text.parse().ok());
        let count = |field: &str| {
            loss[field]
                .as_u64()
                .ok_or_else(|| StageError::Lab(format!("the ledger's {field} is no number: {loss}")))
        };
        Ok(Lost {
            acknowledged: count("acknowledged")?,
            count: count("lost")?,
            first: time("first_lost"),
            last: time("last_lost"),
        })
    }
}
