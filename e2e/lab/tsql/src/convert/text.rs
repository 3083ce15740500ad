//! Texts of values and values of texts, and the digits of numeric.

use crate::types::Value;

/// Cuts a text to so many UTF-16 units, never through a character.
pub fn truncate(text: &mut String, units: usize) {
    let mut count = 0;
    for (i, c) in text.char_indices() {
        count += c.len_utf16();
        if count > units {
            text.truncate(i);
            return;
        }
    }
}

/// Text of a value under style 0; NULL is `NULL`.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(i) => i.to_string(),
        Value::Numeric(d, s) => numeric_text(*d, *s),
        Value::Float(f) => float_text(*f),
        Value::Text(t) => t.clone(),
        Value::Time(t) => t.format(121, 7).unwrap_or_default(),
        Value::Guid(g) => guid_text(g),
        Value::Binary(b) => format!("0x{}", hex_text(b)),
    }
}

/// Style 0 of float: at most six digits, exponent where the number is very large or small.
fn float_text(f: f64) -> String {
    if f == 0.0 {
        return "0".to_owned();
    }
    let exponent = f.abs().log10().floor() as i32;
    let trim = |s: String| {
        if s.contains('.') { s.trim_end_matches('0').trim_end_matches('.').to_owned() } else { s }
    };
    if (-5..15).contains(&exponent) {
        let decimals = (5 - exponent).clamp(0, 17) as usize;
        let rounded = if exponent > 5 { f } else { format!("{f:.decimals$}").parse().unwrap_or(f) };
        if rounded.abs() >= 1e6 {
            let mantissa = trim(format!("{:.5}", f / 10f64.powi(exponent)));
            return format!("{mantissa}e+{exponent:03}");
        }
        return trim(format!("{rounded:.decimals$}"));
    }
    let mantissa = trim(format!("{:.5}", f / 10f64.powi(exponent)));
    format!("{mantissa}e{}{:03}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn numeric_text(d: i128, scale: u8) -> String {
    if scale == 0 {
        return d.to_string();
    }
    let (magnitude, unit) = (d.unsigned_abs(), power(scale).unsigned_abs());
    let sign = if d < 0 { "-" } else { "" };
    format!("{sign}{}.{:0width$}", magnitude / unit, magnitude % unit, width = usize::from(scale))
}

pub(super) fn hex_text(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02X}");
        out
    })
}

/// Bytes of a hexadecimal text of even length.
pub fn parse_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

/// Guid as upper-case text.
pub fn guid_text(g: &[u8; 16]) -> String {
    let hex = hex_text(g);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Guid of a text, with or without braces.
pub fn parse_guid(text: &str) -> Option<[u8; 16]> {
    let text = text.trim();
    let text = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    let bytes = text.as_bytes();
    if bytes.len() != 36 || [8, 13, 18, 23].iter().any(|&i| bytes[i] != b'-') {
        return None;
    }
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    parse_hex(&hex)?.try_into().ok()
}

/// Between the order of a guid's text and that of its storage (first three groups little-endian).
pub fn swap_guid(g: [u8; 16]) -> [u8; 16] {
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    order.map(|i: usize| g[i])
}

/// Ten to the power of a scale.
pub fn power(scale: u8) -> i128 {
    10i128.pow(u32::from(scale.min(38)))
}

/// Digits and scale of a decimal text.
pub fn parse_numeric(text: &str) -> Option<(i128, u8)> {
    let text = text.trim();
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || fraction.len() > 38 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: i128 = digits.parse().ok()?;
    Some((if negative { -value } else { value }, fraction.len() as u8))
}

/// Digits at another scale, rounded half away from zero; `None` on overflow.
pub fn rescale(digits: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return digits.checked_mul(power(to - from));
    }
    let unit = power(from - to);
    let half = if digits < 0 { -unit / 2 } else { unit / 2 };
    Some(digits.checked_add(half)? / unit)
}
