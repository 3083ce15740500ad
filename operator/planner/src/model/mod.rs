//! What is said and never judged: the declaration, the facts, the journal, the plan.

pub mod advice;
pub mod facts;
pub mod journal;
pub mod lsn;
pub mod plan;
pub mod pool;
pub mod run;
