//! The addresses of a lab: a /24 of the loopback network of its own, so that labs run side by side.
//!
//! Answers for two labs never sharing a block while both live; never for what listens in it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Port on which a block's last address is kept, as the sign that the block is taken.
const RESERVED: u16 = 47_000;
const ATTEMPTS: u64 = 64;

/// A reserved block of addresses.
#[derive(Debug)]
pub struct Block {
    prefix: [u8; 3],
    _reservation: TcpListener,
}

impl Block {
    /// Reserves a block. The seed says where the search begins.
    ///
    /// # Errors
    /// When none of the blocks tried is free, or the system has no loopback network of 127.0.0.0/8 (only Linux has it by default).
    pub fn reserve(seed: u64) -> io::Result<Block> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let place = seed.wrapping_add(attempt).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48;
            // 127.0 is everyone's, 127.255 is broadcast; third bytes run from 1 to 254.
            let prefix = [127, 1 + ((place >> 8) % 253) as u8, 1 + ((place & 0xFF) % 254) as u8];
            let [a, b, c] = prefix;
            match TcpListener::bind(SocketAddr::from(([a, b, c, 254], RESERVED))) {
                Ok(reservation) => return Ok(Block { prefix, _reservation: reservation }),
                Err(error) => last = Some(error),
            }
        }
        let why = last.map_or_else(String::new, |e| e.to_string());
        Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            format!("no loopback block 127.x.y.0/24 is free: {why}"),
        ))
    }

    /// The address of a host by its number, 1 to 253; `None` beyond.
    pub fn host(&self, number: usize) -> Option<Ipv4Addr> {
        let [a, b, c] = self.prefix;
        u8::try_from(number).ok().filter(|n| (1..254).contains(n)).map(|n| Ipv4Addr::new(a, b, c, n))
    }
}

impl std::fmt::Display for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c] = self.prefix;
        write!(f, "{a}.{b}.{c}.0/24")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labs_of_the_same_seed_get_blocks_of_their_own() {
        let (one, two) = (Block::reserve(7).unwrap(), Block::reserve(7).unwrap());
        assert_ne!(one.host(1), two.host(1));
        assert_eq!(one.host(254), None, "that address is the reservation's");
    }
}
