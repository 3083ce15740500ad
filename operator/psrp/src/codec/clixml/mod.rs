//! CLIXML: PowerShell values as XML (MS-PSRP 2.2.5).

mod read;
mod text;
mod write;

pub use read::{ClixmlError, MAX_WEIGHT, read, read_within};
pub use write::write;

#[cfg(test)]
mod tests;
