//! String functions. Positions and lengths count UTF-16 units, from 1, as nvarchar does.

use super::Result;
use crate::bind::names::parse_object;
use crate::convert::like;
use crate::error::SqlError;
use crate::types::Value;

/// Longest text made by repetition: that of varchar.
const LONGEST: usize = 8000;

fn text(args: &[Value], i: usize) -> &str {
    args.get(i).and_then(Value::as_text).unwrap_or("")
}

fn int(args: &[Value], i: usize) -> i64 {
    args.get(i).and_then(Value::as_int).unwrap_or(0)
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

fn made(units: &[u16]) -> Value {
    Value::Text(String::from_utf16_lossy(units))
}

/// A text of which each character is folded alone, so that positions stay.
fn folded(text: &str) -> Vec<u16> {
    let fold = |c: char| {
        let mut lower = c.to_lowercase();
        match (lower.next(), lower.next()) {
            (Some(l), None) if l.len_utf16() == c.len_utf16() => l,
            _ => c,
        }
    };
    text.chars().map(fold).collect::<String>().encode_utf16().collect()
}

fn position(needle: &[u16], hay: &[u16], from: usize) -> Option<usize> {
    if needle.is_empty() || needle.len() > hay.len() {
        return None;
    }
    (from..=hay.len() - needle.len()).find(|i| hay[*i..].starts_with(needle))
}

/// The same for texts in which a character is a byte: long lists of names are searched again and again.
fn ascii_position(needle: &[u8], hay: &[u8], from: usize) -> Option<usize> {
    let first = *needle.first()?;
    let last = hay.len().checked_sub(needle.len())?;
    (from..=last).find(|i| {
        hay[*i].eq_ignore_ascii_case(&first) && hay[*i..*i + needle.len()].eq_ignore_ascii_case(needle)
    })
}

pub(super) fn replace(args: &[Value]) -> Result<Value> {
    let (hay, needle) = (text(args, 0), folded(text(args, 1)));
    let (lower, original, with) = (folded(hay), units(hay), units(text(args, 2)));
    let mut out = Vec::with_capacity(original.len());
    let mut at = 0;
    while let Some(hit) = position(&needle, &lower, at) {
        out.extend_from_slice(&original[at..hit]);
        out.extend_from_slice(&with);
        at = hit + needle.len();
    }
    out.extend_from_slice(&original[at..]);
    Ok(made(&out))
}

pub(super) fn charindex(args: &[Value]) -> Result<Value> {
    let from = if args.len() > 2 { (int(args, 2) - 1).max(0) as usize } else { 0 };
    let (needle, hay) = (text(args, 0), text(args, 1));
    let found = if needle.is_ascii() && hay.is_ascii() {
        ascii_position(needle.as_bytes(), hay.as_bytes(), from)
    } else {
        position(&folded(needle), &folded(hay), from)
    };
    Ok(Value::Int(found.map_or(0, |i| i as i64 + 1)))
}

pub(super) fn patindex(args: &[Value]) -> Result<Value> {
    let pattern = text(args, 0);
    let anchored = !pattern.starts_with('%');
    let pattern = pattern.trim_start_matches('%');
    let hay = units(text(args, 1));
    for i in 0..=hay.len() {
        if (i == 0 || !anchored) && like(&String::from_utf16_lossy(&hay[i..]), pattern, None, true) {
            return Ok(Value::Int(i as i64 + 1));
        }
    }
    Ok(Value::Int(0))
}

pub(super) fn substring(args: &[Value]) -> Result<Value> {
    let (start, length) = (int(args, 1), int(args, 2));
    if length < 0 {
        return Err(SqlError::new(536, &[&"substring"]).with_state(1));
    }
    let all = units(text(args, 0));
    let clamp = |i: i64| i.clamp(0, all.len() as i64) as usize;
    let (from, to) = (clamp(start.saturating_sub(1)), clamp(start.saturating_sub(1).saturating_add(length)));
    Ok(made(&all[from..to.max(from)]))
}

pub(super) fn left(args: &[Value]) -> Result<Value> {
    let n = usize::try_from(int(args, 1)).map_err(|_| SqlError::new(536, &[&"left"]))?;
    let all = units(text(args, 0));
    Ok(made(&all[..n.min(all.len())]))
}

pub(super) fn right(args: &[Value]) -> Result<Value> {
    let n = usize::try_from(int(args, 1)).map_err(|_| SqlError::new(536, &[&"right"]))?;
    let all = units(text(args, 0));
    Ok(made(&all[all.len() - n.min(all.len())..]))
}

pub(super) fn stuff(args: &[Value]) -> Result<Value> {
    if args[..3].iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let all = units(text(args, 0));
    let (start, length) = (int(args, 1), int(args, 2));
    if start < 1 || start > all.len() as i64 || length < 0 {
        return Ok(Value::Null);
    }
    let from = start as usize - 1;
    let to = (from as i64).saturating_add(length).min(all.len() as i64) as usize;
    let middle = units(text(args, 3));
    Ok(made(&[&all[..from], &middle, &all[to..]].concat()))
}

pub(super) fn replicate(args: &[Value]) -> Result<Value> {
    let Ok(n) = usize::try_from(int(args, 1)) else { return Ok(Value::Null) };
    let unit = text(args, 0);
    if unit.is_empty() {
        return Ok("".into());
    }
    let mut out = unit.repeat(n.min(LONGEST / unit.len() + 1));
    crate::convert::truncate(&mut out, LONGEST);
    Ok(out.into())
}

pub(super) fn space(args: &[Value]) -> Result<Value> {
    Ok(usize::try_from(int(args, 0)).map_or(Value::Null, |n| " ".repeat(n.min(LONGEST)).into()))
}

pub(super) fn quotename(args: &[Value]) -> Value {
    let name = text(args, 0);
    if name.encode_utf16().count() > 128 {
        return Value::Null;
    }
    let (open, close) = match args.get(1).map_or(Some('['), |_| text(args, 1).chars().next()) {
        Some('[' | ']') => ('[', ']'),
        Some('"') => ('"', '"'),
        Some('\'') => ('\'', '\''),
        Some('(' | ')') => ('(', ')'),
        Some('<' | '>') => ('<', '>'),
        Some('{' | '}') => ('{', '}'),
        Some('`') => ('`', '`'),
        _ => return Value::Null,
    };
    let doubled = name.replace(close, &format!("{close}{close}"));
    Value::Text(format!("{open}{doubled}{close}"))
}

pub(super) fn parsename(args: &[Value]) -> Value {
    let Some(parts) = parse_object(text(args, 0)) else { return Value::Null };
    match usize::try_from(int(args, 1)) {
        Ok(n @ 1..=4) if n <= parts.len() && !parts[parts.len() - n].is_empty() => {
            parts[parts.len() - n].as_str().into()
        }
        _ => Value::Null,
    }
}

pub(super) fn character(args: &[Value], limit: i64) -> Value {
    let code = int(args, 0);
    if !(0..=limit).contains(&code) {
        return Value::Null;
    }
    char::from_u32(code as u32).map_or(Value::Null, |c| Value::Text(c.into()))
}

pub(super) fn code(args: &[Value], limit: u32) -> Value {
    match text(args, 0).encode_utf16().next() {
        None => Value::Null,
        Some(unit) if u32::from(unit) > limit => Value::Int(63),
        Some(unit) => Value::Int(unit.into()),
    }
}

pub(super) fn str(args: &[Value]) -> Result<Value> {
    let Value::Float(x) = args[0] else { return Ok(Value::Null) };
    let width = if args.len() > 1 { int(args, 1).clamp(1, 255) as usize } else { 10 };
    let digits = int(args, 2).clamp(0, 16) as usize;
    let out = format!("{x:>width$.digits$}");
    Ok(if out.len() > width { "*".repeat(width).into() } else { out.into() })
}
