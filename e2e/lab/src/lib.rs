//! Two simulated data centres of a Persistent Chat pool, for tests, demonstration and benchmarks.
//!
//! Answers for behaving as SQL Server, SQL Server Agent and the Lync Management Shell are documented to,
//! over their own protocols and to any client. It simulates state, not replies, and what it does not know is
//! an error. It must never be written from what the operator sends.

pub mod chat;
mod control;
mod host;
mod lab;
pub mod net;
mod shell;
mod world;

pub use control::orders::HELP;
pub use control::socket::send;
pub use lab::{Lab, StartError};
pub use world::scenario::{self, Scenario};
