//! The client against a server that is not ours: codec and transport bugs that client and lab share show
//! up nowhere else. The server is a Python program (psrpcore, pyspnego) kept outside this repository:
//!
//! ```text
//! PSRP_SERVER=.../psrp_server.py PSRP_PYTHON=.../bin/python \
//!     cargo test -p pchat-psrp --test outsider -- --include-ignored
//! ```

mod commands;
mod endings;
mod entry;
#[cfg(feature = "kerberos")]
mod kerberos;
mod server;
