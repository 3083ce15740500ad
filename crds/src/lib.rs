//! The API of the operator: the `PersistentChatPool` resource, its rules, and the reading of manifests.
//!
//! One schema, generated from the types of this crate, is the only statement of what a manifest may say. The API
//! server holds it (structural schema and CEL rules), and [`manifest`] evaluates the same schema for the run without
//! a cluster. Nothing in here talks to a cluster, to SQL Server or to a management shell, and nothing in here prints
//! what a Secret holds.

pub mod access;
pub mod audience;
pub mod crd;
pub mod manifest;
pub mod pool;
pub mod secrets;
pub mod site;
pub mod span;
pub mod status;
pub mod text;

pub use access::{Authentication, CaRef, Credentials, Encryption, ManagementShell, SqlServerDefaults};
pub use manifest::{Manifest, ManifestError, Source};
pub use pool::{
    LogShippingSource, Mirroring, Mode, PersistentChatPool, PersistentChatPoolSpec, PoolIdentity, Side,
};
pub use secrets::{Secret, Secrets};
pub use site::{Mirror, Site, SqlServer};
pub use span::{Deadlines, Span};
pub use status::PersistentChatPoolStatus;
