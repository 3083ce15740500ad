//! Facts in, judgement out. Knows no step and no transition.

pub mod chain;
pub(crate) mod copy;
pub(crate) mod evidence;
pub mod files;
pub(crate) mod hazards;
pub(crate) mod home;
pub mod identity;
pub(crate) mod life;
pub mod looking;
pub(crate) mod loss;
pub(crate) mod other_side;
pub mod ownership;
pub mod readiness;
pub(crate) mod service;
pub(crate) mod silence;
pub mod times;
