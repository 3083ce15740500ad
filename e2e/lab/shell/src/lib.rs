//! A remote PowerShell server for a lab: WS-Management and PSRP to whoever connects, with cmdlets that the
//! lab provides.
//!
//! It answers for the protocol, for logging in, and for what PowerShell itself does with a command: finding
//! the cmdlet, binding its parameters, keeping errors apart from output. It knows nothing of what the
//! cmdlets do, and never runs anything but them: script text is refused, or, where the configuration has a
//! language, read as plain command lines.

mod auth;
mod bind;
mod builtin;
mod cmdlets;
mod fault;
mod http;
mod pool;
mod run;
mod script;
mod server;
mod wsman;

pub use auth::Account;
pub use cmdlets::{
    Bound, CmdletInfo, Cmdlets, Invocation, ListChange, Parameter, ParameterSet, ParameterType, Response,
};
pub use server::{Configuration, Options, Server};
