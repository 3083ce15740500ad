//! Control of a running lab: orders, trouble made on command, reports, files for clients.
//!
//! Answers for everything that a person or a test asks of a lab that runs. It changes the world only by what could
//! happen to real servers.

pub mod manifest;
pub mod media;
pub mod nulls;
pub mod orders;
pub mod runbook;
pub mod socket;
pub mod status;
pub mod trouble;
