//! PSRP fragments: how a message of any size travels in pieces (MS-PSRP 2.2.4).

/// Bytes of a fragment before its piece of the message.
pub const HEADER: usize = 21;
const START: u8 = 1;
const END: u8 = 2;

/// Why bytes are not fragments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// A piece came that does not continue what came before it.
    #[error("PSRP fragment {fragment} of object {object} does not follow what came before it")]
    OutOfOrder {
        /// Object id.
        object: u64,
        /// Fragment id.
        fragment: u64,
    },
    /// The message is larger than we are willing to hold.
    #[error("a PSRP message is larger than the limit of {0} bytes")]
    TooLarge(usize),
}

/// Cuts messages into fragments; each message gets the next object id.
#[derive(Debug, Default)]
pub struct Fragmenter {
    last: u64,
}

impl Fragmenter {
    /// The fragments of `message`, none of them longer than `max` bytes with its header.
    pub fn cut(&mut self, message: &[u8], max: usize) -> Vec<Vec<u8>> {
        self.last += 1;
        let room = max.saturating_sub(HEADER).max(1);
        let count = message.len().div_ceil(room).max(1);
        (0..count)
            .map(|i| {
                let piece = &message[i * room..message.len().min((i + 1) * room)];
                let flags = if i == 0 { START } else { 0 } | if i + 1 == count { END } else { 0 };
                let mut out = Vec::with_capacity(HEADER + piece.len());
                out.extend(self.last.to_be_bytes());
                out.extend((i as u64).to_be_bytes());
                out.push(flags);
                // `piece` is a part of a message that is itself far below 4 GiB.
                out.extend((piece.len() as u32).to_be_bytes());
                out.extend(piece);
                out
            })
            .collect()
    }
}

/// Puts the messages of one stream together again.
#[derive(Debug)]
pub struct Defragmenter {
    limit: usize,
    /// Bytes of a fragment that has not come whole yet.
    raw: Vec<u8>,
    /// Object id, next fragment id, and the message so far.
    open: Option<(u64, u64, Vec<u8>)>,
}

impl Defragmenter {
    /// A reader that holds at most about `limit` bytes of one message.
    pub fn new(limit: usize) -> Self {
        Self { limit, raw: Vec::new(), open: None }
    }

    /// Takes what one transfer carried and returns the messages it completed.
    ///
    /// # Errors
    /// [`FragmentError`]; the stream is of no use after one.
    pub fn feed(&mut self, data: &[u8]) -> Result<Vec<Vec<u8>>, FragmentError> {
        self.raw.extend_from_slice(data);
        let mut done = Vec::new();
        let mut at = 0;
        while let Some((object, fragment, flags, size)) = header(&self.raw[at..]) {
            if size > self.limit {
                return Err(FragmentError::TooLarge(self.limit));
            }
            let Some(piece) = self.raw.get(at + HEADER..at + HEADER + size) else { break };
            at += HEADER + size;
            let out_of_order = FragmentError::OutOfOrder { object, fragment };
            let mut message = match (flags & START != 0, self.open.take()) {
                (true, None) if fragment == 0 => Vec::new(),
                (false, Some((o, f, message))) if o == object && f == fragment => message,
                _ => return Err(out_of_order),
            };
            if message.len() + size > self.limit {
                return Err(FragmentError::TooLarge(self.limit));
            }
            message.extend_from_slice(piece);
            if flags & END != 0 {
                done.push(message);
            } else {
                self.open = Some((object, fragment + 1, message));
            }
        }
        self.raw.drain(..at);
        Ok(done)
    }
}

fn header(raw: &[u8]) -> Option<(u64, u64, u8, usize)> {
    let (object, rest) = raw.split_first_chunk::<8>()?;
    let (fragment, rest) = rest.split_first_chunk::<8>()?;
    let (flags, rest) = rest.split_first()?;
    let (size, _) = rest.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_be_bytes(*size)).ok()?;
    Some((u64::from_be_bytes(*object), u64::from_be_bytes(*fragment), *flags, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cut_at_any_size_and_fed_in_any_pieces_comes_back() {
        let messages = [vec![], vec![7], (0..=255).cycle().take(1000).collect::<Vec<u8>>()];
        for max in [1, HEADER, HEADER + 1, 50, 500, 5000] {
            for step in [1, 3, 100, 100_000] {
                let mut cutter = Fragmenter::default();
                let wire: Vec<u8> = messages.iter().flat_map(|m| cutter.cut(m, max)).flatten().collect();
                let mut reader = Defragmenter::new(1000);
                let mut back = Vec::new();
                for piece in wire.chunks(step) {
                    back.extend(reader.feed(piece).unwrap());
                }
                assert_eq!(back, messages, "max {max}, step {step}");
            }
        }
    }

    #[test]
    fn a_message_beyond_the_limit_is_refused_before_it_is_held() {
        let mut reader = Defragmenter::new(100);
        let mut huge = 1u64.to_be_bytes().to_vec();
        huge.extend(0u64.to_be_bytes());
        huge.push(START);
        huge.extend(u32::MAX.to_be_bytes());
        assert_eq!(reader.feed(&huge), Err(FragmentError::TooLarge(100)));

        let mut reader = Defragmenter::new(100);
        let pieces = Fragmenter::default().cut(&[0; 150], HEADER + 60);
        assert_eq!(reader.feed(&pieces[0]), Ok(vec![]));
        assert_eq!(reader.feed(&pieces[1]), Err(FragmentError::TooLarge(100)));
    }

    #[test]
    fn a_missing_repeated_or_foreign_piece_is_noticed() {
        let pieces = Fragmenter::default().cut(&[1; 90], HEADER + 30);
        for order in [&[1][..], &[0, 2], &[0, 0], &[0, 1, 1]] {
            let mut reader = Defragmenter::new(1000);
            let result: Result<Vec<_>, _> = order.iter().map(|&i| reader.feed(&pieces[i])).collect();
            assert!(matches!(result, Err(FragmentError::OutOfOrder { .. })), "{order:?}");
        }
    }
}
