//! The Persistent Chat failover operator: observe, plan, act, report, with validation in front.
//!
//! The stages are modules that know only what stands to their left; `reconcile` calls them in turn.

pub mod act;
pub mod brake;
pub mod cli;
pub mod controller;
pub mod far_end;
pub mod observe;
pub mod outside;
pub mod powershell;
pub mod real;
pub mod reconcile;
pub mod report;
pub mod sql;
pub mod validate;
