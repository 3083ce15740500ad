//! Log sequence numbers and recovery forks.
//!
//! Answers for the arithmetic and the text form of an LSN: `numeric(25,0)` made of the virtual log
//! file, ten digits of block and five of slot, as the catalog views and backup headers show it. It
//! must never round: the numbers do not fit a float, and need not fit 64 bits.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// One block of the log, the unit in which records here advance.
const BLOCK: i128 = 100_000;

/// A log sequence number in its decimal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub i128);

impl Lsn {
    /// The LSN of slot 1 of `block` in the virtual log file `vlf`.
    pub fn new(vlf: u32, block: u32) -> Lsn {
        Lsn(i128::from(vlf) * 1_000_000_000_000_000 + i128::from(block) * BLOCK + 1)
    }

    /// The LSN that stands `blocks` log blocks later.
    pub fn plus(self, blocks: u32) -> Lsn {
        Lsn(self.0 + i128::from(blocks) * BLOCK)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

// JSON numbers would lose digits in most readers, so an LSN travels as text.
impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map(Lsn).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lsn_has_the_printed_form_and_orders_by_log_position() {
        let a = Lsn::new(41, 234);
        assert_eq!(a.to_string(), "41000000023400001");
        assert!(a < a.plus(1) && a.plus(1) < Lsn::new(42, 0));
    }

    #[test]
    fn an_lsn_beyond_64_bits_survives_json() {
        let a = Lsn::new(4_100_000_000, 7);
        let text = serde_json::to_string(&a).expect("an LSN is text");
        assert_eq!(serde_json::from_str::<Lsn>(&text).expect("and back"), a);
    }
}
