//! Decides what a Persistent Chat pool still needs, and why.
//!
//! [`plan`] is one total, pure function from a pool's declaration, what was observed of it, the journal
//! at the far end and the time, to a [`Plan`]. It never does I/O, never reads a clock, and never
//! remembers: every executor that sees the same facts gets the same plan.
//!
//! Read [`policy`] beside the decision table of the documentation: it is the same table.

pub mod facts;
pub mod journal;
pub mod lsn;
pub mod plan;
pub mod pool;
