//! Decides what a Persistent Chat pool still needs, and why.
//!
//! [`plan`] is one total, pure function from a pool's declaration, what was observed of it (the journal at the far end
//! included), what the run brings along and the time, to a [`Plan`](plan::Plan). It never does I/O, never reads a
//! clock, and never remembers: every executor that sees the same facts gets the same plan.
//!
//! Read [`policy`] beside the decision table of the documentation: it is the same table.

mod actions;
pub mod advice;
pub mod chain;
mod copy;
pub mod facts;
pub mod files;
mod hazards;
pub mod identity;
pub mod journal;
mod life;
pub mod looking;
mod loss;
pub mod lsn;
mod next;
mod other_side;
pub mod outlook;
pub mod ownership;
pub mod plan;
pub mod policy;
pub mod pool;
pub mod readiness;
mod service;
mod silence;
mod steps;
mod stops;
mod telling;
pub mod times;
pub mod words;

pub use actions::{BATCH_BYTES, BATCH_FILES};
pub use looking::looking;
pub use next::{deciding_row, plan};
pub use other_side::FRESH;
pub use outlook::outlook;
pub use ownership::LAPSE;
pub use service::MIRROR_GRACE;
