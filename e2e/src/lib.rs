//! Scenarios: the operator, as a user runs it, against the simulated data centres.
//!
//! The operator is always a process of its own, with its manifest, its files and its exit code; nothing here reaches
//! into it. What it claims is held against what the lab knows ([`verdict`]).

pub mod operator;
pub mod stage;
pub mod verdict;
