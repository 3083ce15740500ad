//! Words for what the others return: stops, advice, times, counts.

pub(crate) mod advice;
pub(crate) mod stops;
pub(crate) mod telling;
