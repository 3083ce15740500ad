//! Scenarios over the wire: the operator as a process of its own, against the simulated data centres.
//!
//! Each scenario is named by what it protects. Whatever happens in it, three things are held against the lab's truth: no
//! acknowledged message is lost outside the interval that was reported, no two sides are ever written to, and a further
//! run changes nothing.

mod access;
mod backups;
mod calm_remedies;
mod changed;
mod cluster;
mod common;
mod crashes;
mod evidence;
mod executors;
mod far_ends;
mod forced;
mod identity;
mod logins;
mod odd_ends;
mod order;
mod other_side;
mod outside;
mod prefixes;
mod readiness;
mod remedies;
mod times;
mod typist;
