//! The `_xHHHH_` escapes of CLIXML strings (MS-PSRP 2.2.5.3.2): one escape is one UTF-16 code unit.

use std::fmt::Write;

use crate::codec::xml::escape_into;

/// Appends `text` with control characters, surrogate pairs and anything that looks like an escape
/// written as escapes, then escaped for XML.
pub(super) fn encode_into(out: &mut String, text: &str) {
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let looks_like_escape = c == '_' && text[at + 1..].starts_with(['x', 'X']);
        let control = c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
        if !(looks_like_escape || control || c.len_utf16() == 2) {
            continue;
        }
        escape_into(out, &text[plain..at]);
        plain = at + c.len_utf8();
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(out, "_x{unit:04X}_");
        }
    }
    escape_into(out, &text[plain..]);
}

/// The string behind the escapes. A lone surrogate, which .NET allows and Rust does not, becomes U+FFFD.
pub(super) fn decode(text: &str) -> String {
    if !text.contains("_x") {
        return text.to_owned();
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("_x") {
        units.extend(rest[..at].encode_utf16());
        let tail = &rest[at..];
        let unit = tail.get(2..7).and_then(|s| s.strip_suffix('_')).and_then(hex);
        match unit {
            Some(unit) => {
                units.push(unit);
                rest = &tail[7..];
            }
            None => {
                units.push(u16::from(b'_'));
                rest = &tail[1..];
            }
        }
    }
    units.extend(rest.encode_utf16());
    String::from_utf16_lossy(&units)
}

fn hex(digits: &str) -> Option<u16> {
    // from_str_radix alone would take a sign.
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok()).flatten()
}
