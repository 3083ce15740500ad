//! SQL Server from the client's side: connections, batches, and what errors mean.
//!
//! Answers for what goes over the wire and for what a failure there proves. Must never decide what is
//! needed (the planner does), never send text that came from outside, and never take a missing answer for
//! a no.

pub mod batches;
pub mod bounded;
pub mod browser;
pub mod connect;
pub mod connection;
pub mod explain;
pub mod refusal;
pub mod rows;
pub mod target;
