//! Decides what a Persistent Chat pool still needs, and why.
//!
//! [`plan`] is one total, pure function from a pool's declaration, what was observed of it (the journal at the far end
//! included), what the run brings along and the time, to a [`Plan`](plan::Plan). It never does I/O, never reads a
//! clock, and never remembers: every executor that sees the same facts gets the same plan.
//!
//! Read [`table`] beside the decision table of the documentation: it is the same table.

mod judge;
mod model;
mod say;
mod transition;
pub mod words;

pub use judge::life::LIFE_SLACK;
pub use judge::looking::looking;
pub use judge::other_side::FRESH;
pub use judge::ownership::LAPSE;
pub use judge::service::MIRROR_GRACE;
pub use judge::{chain, files, identity, looking, ownership, readiness, times};
pub use model::{advice, facts, journal, lsn, plan, pool, run};
pub use transition::actions::{BATCH_BYTES, BATCH_FILES};
pub use transition::next::{deciding_row, plan};
pub use transition::outlook::outlook;
pub use transition::{outlook, table};
