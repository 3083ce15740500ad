//! What is done about it: the decision table, the steps, and exactly one thing that comes next.

pub(crate) mod actions;
pub(crate) mod next;
pub mod outlook;
pub(crate) mod steps;
pub mod table;
