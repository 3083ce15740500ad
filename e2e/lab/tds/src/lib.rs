//! The server's side of TDS, the protocol of SQL Server, for the lab's simulated instances.
//!
//! TDS 7.2 to 7.4 as clients since 2005 speak it: PRELOGIN, TLS in its three kinds, SQL logins, batches, remote procedure calls,
//! attention, and the tokens of their answers. Everything behind the wire is an [`Engine`] with its [`Session`]s. This crate must never
//! know a statement: what it cannot read is an error to the client, never an empty success.
//!
//! Sections cited are those of Microsoft's open specification MS-TDS.

mod codepage;
mod conversation;
mod decode;
mod encode;
mod login;
mod packet;
mod prelogin;
mod request;
mod respond;
mod server;
mod tls;
mod types;

pub use encode::EncodeError;
pub use login::{Login, Refusal};
pub use prelogin::Encryption;
pub use request::{Parameter, Request};
pub use respond::{Gone, Interruption, Responder};
pub use server::{Admission, Connection, Engine, Reaction, Server, Session, Settings, SettingsError};
pub use tls::Tls;
pub use types::{Column, Date, Message, Time, Type, Value};
