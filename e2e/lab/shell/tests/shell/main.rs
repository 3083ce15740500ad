//! The lab's server, driven by our own client and by pypsrp, which shares no code with it:
//!
//! ```text
//! PSRP_PYTHON=.../bin/python cargo test -p pchat-lab-shell --test shell -- --include-ignored
//! ```

mod host;
mod ours;
mod outsider;
