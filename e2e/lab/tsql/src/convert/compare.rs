//! Comparison and LIKE under a case-insensitive, accent-sensitive collation: trailing blanks do not count.

use super::rank;
use super::text::{power, rescale, swap_guid};
use crate::types::Value;
use std::cmp::Ordering;

/// A text as the collation compares it.
pub fn fold(text: &str) -> String {
    text.trim_end_matches(' ').to_lowercase()
}

/// Order of two values of one type; `None` when either is NULL.
pub fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    Some(match (a, b) {
        (Value::Null, _) | (_, Value::Null) => return None,
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b)) => a.cmp(b),
        (Value::Binary(a), Value::Binary(b)) => {
            let trim = |b: &[u8]| b.iter().rposition(|x| *x != 0).map_or(0, |i| i + 1);
            a[..trim(a)].cmp(&b[..trim(b)])
        }
        (Value::Guid(a), Value::Guid(b)) => guid_order(*a).cmp(&guid_order(*b)),
        (Value::Text(a), Value::Text(b)) => {
            let (a, b) = (a.trim_end_matches(' '), b.trim_end_matches(' '));
            if a.is_ascii() && b.is_ascii() {
                let lower = |s: &str| s.bytes().map(|b| b.to_ascii_lowercase()).collect::<Vec<_>>();
                if a.eq_ignore_ascii_case(b) { Ordering::Equal } else { lower(a).cmp(&lower(b)) }
            } else {
                fold(a).cmp(&fold(b))
            }
        }
        (Value::Numeric(x, s), Value::Numeric(y, t)) => {
            let scale = *s.max(t);
            match (rescale(*x, *s, scale), rescale(*y, *t, scale)) {
                (Some(x), Some(y)) => x.cmp(&y),
                _ => number(a).partial_cmp(&number(b))?,
            }
        }
        (Value::Int(x), Value::Numeric(..)) => return compare(&Value::Numeric(i128::from(*x), 0), b),
        (Value::Numeric(..), Value::Int(y)) => return compare(a, &Value::Numeric(i128::from(*y), 0)),
        (Value::Float(_), _) | (_, Value::Float(_)) => number(a).partial_cmp(&number(b))?,
        // sql_variant: values of unlike families are ordered by family.
        (a, b) => rank(a.own_type()).cmp(&rank(b.own_type())),
    })
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Int(i) => *i as f64,
        Value::Numeric(d, s) => *d as f64 / power(*s) as f64,
        Value::Float(f) => *f,
        _ => f64::NAN,
    }
}

/// uniqueidentifier compares its last group first (SqlGuid.CompareTo).
fn guid_order(g: [u8; 16]) -> [u8; 16] {
    let stored = swap_guid(g);
    [10, 11, 12, 13, 14, 15, 8, 9, 6, 7, 4, 5, 0, 1, 2, 3].map(|i: usize| stored[i])
}

/// Order for ORDER BY and GROUP BY: NULL first, equal to NULL.
pub fn order(a: &Value, b: &Value) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => compare(a, b).unwrap_or(Ordering::Equal),
    }
}

/// One element of a LIKE pattern.
enum Piece {
    Any,
    One,
    Char(char),
    Set(bool, Vec<(char, char)>),
}

fn pieces(pattern: &str, escape: Option<char>) -> Vec<Piece> {
    let chars: Vec<char> = pattern.to_lowercase().chars().collect();
    let escape = escape.and_then(|c| c.to_lowercase().next());
    let mut out = Vec::with_capacity(chars.len());
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        i += 1;
        if Some(c) == escape && i < chars.len() {
            out.push(Piece::Char(chars[i]));
            i += 1;
            continue;
        }
        match c {
            '%' => out.push(Piece::Any),
            '_' => out.push(Piece::One),
            '[' => {
                let end = chars[i..].iter().skip(1).position(|c| *c == ']').map(|p| i + 1 + p);
                let Some(end) = end else {
                    // An opening bracket that is never closed matches nothing.
                    out.push(Piece::Set(false, Vec::new()));
                    return out;
                };
                let negated = chars[i] == '^';
                let inside = &chars[i + usize::from(negated)..end];
                let mut ranges = Vec::new();
                let mut k = 0;
                while k < inside.len() {
                    if k + 2 < inside.len() && inside[k + 1] == '-' {
                        ranges.push((inside[k], inside[k + 2]));
                        k += 3;
                    } else {
                        ranges.push((inside[k], inside[k]));
                        k += 1;
                    }
                }
                out.push(Piece::Set(negated, ranges));
                i = end + 1;
            }
            c => out.push(Piece::Char(c)),
        }
    }
    out
}

/// LIKE. With `unicode` (nchar, nvarchar) trailing blanks of the text count, otherwise they do not (LIKE page).
pub fn like(text: &str, pattern: &str, escape: Option<char>, unicode: bool) -> bool {
    let pieces = pieces(pattern, escape);
    let chars: Vec<char> = text.to_lowercase().chars().collect();
    if wild(&chars, &pieces) {
        return true;
    }
    let trimmed = chars.iter().rposition(|c| *c != ' ').map_or(0, |i| i + 1);
    !unicode && trimmed < chars.len() && wild(&chars[..trimmed], &pieces)
}

fn wild(text: &[char], pieces: &[Piece]) -> bool {
    let (mut t, mut p) = (0, 0);
    // Where to go on when a match fails: after the last %, one character further.
    let mut back: Option<(usize, usize)> = None;
    loop {
        let step = match pieces.get(p) {
            None if t == text.len() => return true,
            None => false,
            Some(Piece::Any) => {
                p += 1;
                back = Some((p, t));
                continue;
            }
            Some(piece) => match (piece, text.get(t)) {
                (_, None) => false,
                (Piece::Char(c), Some(x)) => c == x,
                (Piece::Set(negated, ranges), Some(x)) => {
                    ranges.iter().any(|(a, b)| a <= x && x <= b) != *negated
                }
                (_, Some(_)) => true,
            },
        };
        if step {
            t += 1;
            p += 1;
        } else {
            match back {
                Some((after, from)) if from < text.len() => {
                    back = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                _ => return false,
            }
        }
    }
}
