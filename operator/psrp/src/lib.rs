//! PowerShell Remoting: a WS-Management and PSRP client, and the codec that both ends of the wire share.
//!
//! The client runs cmdlets with typed parameters on a Windows session configuration, be it a full one,
//! a no-language one or a constrained one. It never sends script text, never sends a password or a
//! message in clear, never turns certificate checks off, and knows nothing of what the cmdlets do.

mod client;
pub mod codec;

pub use client::{Auth, Command, Endpoint, Error, Outcome, STOP_GRACE, Security, Session, tls_words};
pub use codec::records::{ErrorCategory, ErrorRecord, PipelineState};
pub use codec::value::{Content, ListKind, Object, Value};
