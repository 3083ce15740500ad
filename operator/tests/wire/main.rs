//! Looking and acting over the wire, against the lab: what a failure proves, what a guard refuses, what an
//! unanswered order leaves open.

mod acting;
mod bench;
mod guards;
mod logins;
mod looking;
mod nulls;
#[path = "../shapes/mod.rs"]
mod shapes;
mod slow;
