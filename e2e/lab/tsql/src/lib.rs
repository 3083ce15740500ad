//! The T-SQL front end of the lab's simulated SQL Servers.
//!
//! A batch is parsed, bound against the host's catalog and run: variables, flow, TRY/CATCH, queries over
//! catalog views, temp tables and the administrative statements of a failover. The state of a server
//! belongs to the [`host::Host`]; this crate answers for the language alone. What it does not know is an
//! error with the number that SQL Server would give, never an empty success.

mod ast;
mod bind;
pub mod convert;
pub mod error;
mod eval;
pub mod host;
mod parse;
mod plan;
#[cfg(test)]
mod reference;
mod run;
pub mod schema;
pub mod time;
pub mod types;

/// Is there such a built-in function (upper case)?
pub fn is_function(name: &str) -> bool {
    eval::functions::find(name, Version::V2019).is_some()
}

pub use error::{Failure, SqlError};
pub use host::{Event, Host, Sink, Version};
pub use run::{RpcParameter, Session};
pub use types::{Column, Row, Rowset, Ty, Value};
