//! Conversion, comparison and pattern matching of values, with the documented error numbers.
//!
//! What may be converted into what, and which type wins, follows the pages "CAST and CONVERT" (chart of
//! implicit conversions) and "Data type precedence".

mod compare;
mod text;
mod value;

pub use compare::{compare, fold, like, order};
pub use text::{guid_text, parse_guid, parse_hex, parse_numeric, plain, power, rescale, swap_guid, truncate};
pub use value::{convert, convert_from};

use crate::error::SqlError;
use crate::types::{MAX, Ty};

/// Result of a conversion.
pub type Result<T> = std::result::Result<T, SqlError>;

/// Position in the order of precedence; the higher type wins.
pub(crate) fn rank(ty: Ty) -> u8 {
    match ty {
        Ty::Variant => 30,
        Ty::DateTime2(_) => 28,
        Ty::DateTime => 27,
        Ty::SmallDateTime => 26,
        Ty::Date => 25,
        Ty::Time(_) => 24,
        Ty::Float => 23,
        Ty::Real => 22,
        Ty::Numeric(..) => 21,
        Ty::BigInt => 18,
        Ty::Int => 17,
        Ty::SmallInt => 16,
        Ty::TinyInt => 15,
        Ty::Bit => 14,
        Ty::Guid => 9,
        Ty::NVarChar(_) => 8,
        Ty::NChar(_) => 7,
        Ty::VarChar(_) => 6,
        Ty::Char(_) => 5,
        Ty::VarBinary(_) => 4,
        Ty::Binary(_) => 3,
    }
}

/// Precision and scale of a number type as `numeric`.
pub fn precision(ty: Ty) -> (u8, u8) {
    match ty {
        Ty::Numeric(p, s) => (p, s),
        Ty::Bit => (1, 0),
        Ty::TinyInt => (3, 0),
        Ty::SmallInt => (5, 0),
        Ty::Int => (10, 0),
        _ => (19, 0),
    }
}

/// How one type becomes another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Without CAST.
    Implicit,
    /// Only with CAST: 257 otherwise.
    Explicit,
    /// Never: 206 or 529.
    Never,
}

/// How `from` becomes `to`.
pub fn way(from: Ty, to: Ty) -> Way {
    use Way::{Explicit, Implicit, Never};
    let new_time = |t: Ty| matches!(t, Ty::Date | Ty::Time(_) | Ty::DateTime2(_));
    match (from, to) {
        (a, b) if rank(a) == rank(b) => Implicit,
        (_, Ty::Variant) => Implicit,
        (Ty::Variant, _) => Explicit,
        (a, b) if a.is_text() && b.is_text() => Implicit,
        (a, b) if a.is_text() && b.is_binary() => Explicit,
        (a, _) if a.is_text() => Implicit,
        (a, b) if a.is_binary() && b.is_binary() => Implicit,
        (a, Ty::Float | Ty::Real) if a.is_binary() => Never,
        (a, b) if a.is_binary() && new_time(b) => Explicit,
        (a, _) if a.is_binary() => Implicit,
        (Ty::Guid, b) if b.is_text() || b.is_binary() => Implicit,
        (Ty::Guid, _) | (_, Ty::Guid) => Never,
        (a, b) if a.is_number() && b.is_number() => Implicit,
        (a, b) if a.is_number() && (b.is_text() || b.is_binary()) => Implicit,
        (a, Ty::DateTime | Ty::SmallDateTime) if a.is_number() => Implicit,
        (a, _) if a.is_number() => Never,
        (Ty::Date, Ty::Time(_)) | (Ty::Time(_), Ty::Date) => Never,
        (a, b) if a.is_time() && b.is_time() => Implicit,
        (a, b) if a.is_time() && b.is_text() => Implicit,
        (a, b) if a.is_time() && b.is_binary() => Explicit,
        (Ty::DateTime | Ty::SmallDateTime, b) if b.is_number() => Explicit,
        _ => Never,
    }
}

/// May a value of `from` be stored in `to` without CAST? 257 and 206 otherwise.
pub fn check_assign(from: Ty, to: Ty) -> Result<()> {
    match way(from, to) {
        Way::Implicit => Ok(()),
        Way::Explicit => Err(SqlError::new(257, &[&from.name(), &to.name()])),
        Way::Never => Err(clash(from, to)),
    }
}

/// 206 between two types.
pub fn clash(a: Ty, b: Ty) -> SqlError {
    SqlError::new(206, &[&a.name(), &b.name()])
}

/// The type in which two operands meet (UNION, CASE, comparison): the higher by precedence.
pub fn common(a: Ty, b: Ty) -> Result<Ty> {
    let (high, low) = if rank(a) >= rank(b) { (a, b) } else { (b, a) };
    match way(low, high) {
        Way::Implicit => {}
        Way::Explicit => return Err(SqlError::new(257, &[&low.name(), &high.name()])),
        Way::Never => return Err(clash(a, b)),
    }
    Ok(match (high, low) {
        (Ty::Numeric(..), l) if l.is_number() => {
            let ((p, s), (q, t)) = (precision(high), precision(l));
            let scale = s.max(t);
            Ty::Numeric(((p - s).max(q - t) + scale).min(38), scale)
        }
        (h, l) if (h.is_text() && l.is_text()) || (h.is_binary() && l.is_binary()) => {
            let (m, n) = (h.length().unwrap_or(1), l.length().unwrap_or(1));
            let length = if m == MAX || n == MAX { MAX } else { m.max(n) };
            let varying = !matches!(l, Ty::Char(_) | Ty::NChar(_) | Ty::Binary(_));
            match h {
                Ty::NChar(_) if varying => Ty::NVarChar(length),
                Ty::Char(_) if varying => Ty::VarChar(length),
                Ty::Binary(_) if varying => Ty::VarBinary(length),
                h => h.with_length(length),
            }
        }
        (Ty::DateTime2(s), Ty::DateTime2(t) | Ty::Time(t)) => Ty::DateTime2(s.max(t)),
        (h, _) => h,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Value;
    use std::cmp::Ordering;

    #[test]
    fn lsns_keep_all_their_digits() {
        let text = "9999999999999999999999999";
        let lsn = convert(Value::text(text), Ty::Numeric(25, 0), 0).unwrap();
        assert_eq!(lsn, Value::lsn(9_999_999_999_999_999_999_999_999));
        assert_eq!(convert(lsn, Ty::NVarChar(40), 0).unwrap(), Value::text(text));
    }

    #[test]
    fn text_compares_without_case_and_trailing_blanks() {
        assert_eq!(compare(&"MGC  ".into(), &"mgc".into()), Some(Ordering::Equal));
        assert_eq!(compare(&"É".into(), &"é ".into()), Some(Ordering::Equal));
        assert_eq!(compare(&Value::Null, &"x".into()), None);
    }

    #[test]
    fn like_knows_classes_escapes_and_significant_blanks() {
        assert!(like("LSRestore_x", "lsrestore[_]%", None, true));
        assert!(!like("LSRestoreAx", "LSRestore[_]%", None, true));
        assert!(like("50%", "50!%", Some('!'), true));
        assert!(!like("sa  ", "sa", None, true) && like("sa  ", "sa", None, false));
        assert!(like("b", "[^a]", None, true) && !like("x", "[", None, true));
        assert!(!like(&"a".repeat(3000), &"%a".repeat(40).replace("%a%a%a", "%a%b%a"), None, true));
    }

    #[test]
    fn a_guid_is_stored_with_its_first_groups_swapped() {
        let g = parse_guid("{6F9619FF-8B86-D011-B42D-00C04FC964FF}").unwrap();
        let binary = convert(Value::Guid(g), Ty::Binary(16), 0).unwrap();
        assert_eq!(plain(&binary), "0xFF19966F868B11D0B42D00C04FC964FF");
        assert_eq!(convert(binary, Ty::Guid, 0).unwrap(), Value::Guid(g));
    }

    #[test]
    fn wrong_conversions_have_their_numbers() {
        let number = |v: Value, from, to| convert_from(v, from, to, 0).unwrap_err().number;
        assert_eq!(number("mgc".into(), Ty::NVarChar(3), Ty::Int), 245);
        assert_eq!(number("x".into(), Ty::NVarChar(1), Ty::Guid), 8169);
        assert_eq!(number("yesterday".into(), Ty::NVarChar(9), Ty::DateTime), 241);
        assert_eq!(number(Value::Int(300), Ty::Int, Ty::TinyInt), 220);
        assert_eq!(number(Value::Int(5), Ty::Int, Ty::Guid), 529);
        assert_eq!(common(Ty::Guid, Ty::Int).unwrap_err().number, 206);
    }
}
