//! Control of a running lab: orders, trouble, reports.

pub mod runbook;
pub mod trouble;
