//! Windows code page 1252, in which `char` and `varchar` travel under the collation this server announces.
//!
//! Answers for these two conversions; never for other code pages (SQL Server's own fallback, `?`, stands for what has no place).

/// What 0x80 to 0x9F stand for; the undefined five map to the control characters of the same number, as Windows does.
const HIGH: [char; 32] = [
    '\u{20AC}', '\u{81}', '\u{201A}', '\u{0192}', '\u{201E}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{02C6}',
    '\u{2030}', '\u{0160}', '\u{2039}', '\u{0152}', '\u{8D}', '\u{017D}', '\u{8F}', '\u{90}', '\u{2018}',
    '\u{2019}', '\u{201C}', '\u{201D}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{02DC}', '\u{2122}',
    '\u{0161}', '\u{203A}', '\u{0153}', '\u{9D}', '\u{017E}', '\u{0178}',
];

/// Text as code page 1252; what has no place there becomes `?`.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| match u32::from(c) {
            0..=0x7F | 0xA0..=0xFF => c as u8,
            _ => HIGH.iter().position(|h| *h == c).map_or(b'?', |at| 0x80 + at as u8),
        })
        .collect()
}

/// Code page 1252 as text.
pub(crate) fn decode(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|b| if (0x80..0xA0).contains(b) { HIGH[usize::from(b - 0x80)] } else { char::from(*b) })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_byte_survives_the_way_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(super::encode(&super::decode(&all)), all);
        assert_eq!(super::encode("5 € für Łódź"), b"5 \x80 f\xFCr ?\xF3d?");
    }
}
