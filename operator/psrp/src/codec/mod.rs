//! The formats of PowerShell Remoting, for either end of the wire: CLIXML values, PSRP messages and
//! fragments, the records inside them, SOAP envelopes, and the sealed bodies of HTTP.
//!
//! Nothing here does I/O. Everything that reads takes the bytes of a stranger: it must never panic,
//! and never hold more than a small multiple of what came in.

pub mod clixml;
pub mod command;
pub mod fragment;
pub mod message;
pub mod records;
pub mod sealed;
pub mod soap;
pub mod value;
pub mod xml;
