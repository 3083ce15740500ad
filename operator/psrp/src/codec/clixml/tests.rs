use super::*;
use crate::codec::value::{Content, ListKind, Object, Value};
use uuid::Uuid;

fn one(text: &str) -> Value {
    read(text).unwrap().remove(0)
}

#[test]
fn every_primitive_survives_both_ways() {
    let values = [
        Value::Null,
        Value::Bool(true),
        Value::Bool(false),
        Value::Char(0xd83d),
        Value::String(String::new()),
        Value::String("_x0041_ _X0041_ _x_ _xZZZZ_ _ x\r\n\t<&>\"' é中\u{85}😀\u{ffff}\0".into()),
        Value::I8(i8::MIN),
        Value::U8(u8::MAX),
        Value::I16(i16::MIN),
        Value::U16(u16::MAX),
        Value::I32(i32::MIN),
        Value::U32(u32::MAX),
        Value::I64(i64::MIN),
        Value::U64(u64::MAX),
        Value::F32(1.5),
        Value::F32(f32::NEG_INFINITY),
        Value::F64(-2.25e300),
        Value::F64(f64::INFINITY),
        Value::Decimal("79228162514264337593543950335".into()),
        Value::DateTime("2013-03-07T12:34:56.789+08:00".into()),
        Value::Duration("P1DT2H3M4.5S".into()),
        Value::Guid(Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)),
        Value::Uri("https://pool.contoso.com/a?b=c&d".into()),
        Value::Version("5.0.8308.0".into()),
        Value::Xml("<a b='1'/>".into()),
        Value::ScriptBlock("$x = 1".into()),
        Value::Bytes((0..=255).collect()),
        Value::SecureString("AAAA".into()),
    ];
    for value in values {
        let xml = write(&value);
        assert_eq!(one(&xml), value, "{xml}");
    }
    assert!(matches!(one(&write(&Value::F64(f64::NAN))), Value::F64(n) if n.is_nan()));
}

#[test]
fn objects_keep_their_names_contents_and_properties() {
    let object = Object {
        type_names: vec!["T.A".into(), "System.Object".into()],
        to_string: Some("a <b>".into()),
        content: Content::Dict(vec![(Value::I32(1), "one".into()), ("two".into(), Value::Null)]),
        adapted: vec![("P x".into(), Value::array(vec!["a".into(), Value::I32(1)]))],
        extended: vec![("N\n".into(), Value::enumeration("System.DayOfWeek", "Friday", 5))],
    };
    let value = Value::from(object);
    assert_eq!(one(&write(&value)), value);
    for kind in [ListKind::List, ListKind::Enumerable, ListKind::Stack, ListKind::Queue] {
        let list = Object { content: Content::List(kind, vec![Value::Null]), ..Object::default() };
        assert_eq!(one(&write(&list.clone().into())), list.into());
    }
}

#[test]
fn type_names_written_once_are_referred_to_afterwards() {
    let day = || Value::enumeration("System.DayOfWeek", "Friday", 5);
    let xml = write(&Value::array(vec![day(), day()]));
    assert_eq!(xml.matches("<T>System.DayOfWeek</T>").count(), 1, "{xml}");
    assert_eq!(one(&xml), Value::array(vec![day(), day()]));
}

#[test]
fn a_shared_object_appears_at_each_reference() {
    let value = one(
        r#"<Obj RefId="0"><Props><Obj N="A" RefId="1"><MS><S N="x">s</S></MS></Obj><Ref N="B" RefId="1"/></Props></Obj>"#,
    );
    assert_eq!(value.property("a"), value.property("B"));
    assert_eq!(value.property("B").unwrap().property("X").unwrap().as_str(), Some("s"));
}

#[test]
fn a_cycle_is_said_and_not_followed() {
    let value = one(r#"<Obj RefId="0"><MS><Ref N="Me" RefId="0"/></MS></Obj>"#);
    assert_eq!(value.property("Me"), Some(&Value::Cycle));
}

#[test]
fn references_that_double_at_each_step_are_refused() {
    let mut xml = String::from(r#"<Obj RefId="x"><LST><Obj RefId="0"><LST><S>boom</S></LST></Obj>"#);
    for i in 1..64 {
        xml.push_str(&format!(
            r#"<Obj RefId="{i}"><LST><Ref RefId="{0}"/><Ref RefId="{0}"/></LST></Obj>"#,
            i - 1
        ));
    }
    xml.push_str("</LST></Obj>");
    assert_eq!(read(&xml), Err(ClixmlError::TooLarge(MAX_WEIGHT)));
}

#[test]
fn deep_honest_objects_stay_cheap_and_the_bound_is_the_callers() {
    let leaf = "x".repeat(10_000);
    let value = (0..50).fold(Value::from(leaf), |inner, _| Value::array(vec![inner]));
    let xml = write(&value);
    let (back, weight) = read_within(&xml, 1 << 20).unwrap();
    assert_eq!(back, [value]);
    assert!(weight < 100_000, "{weight}");
    assert_eq!(read_within(&xml, 5_000), Err(ClixmlError::TooLarge(5_000)));
}

#[test]
fn nonsense_is_an_error_and_never_a_value() {
    for xml in [
        "<I32>x</I32>",
        "<I32>2147483648</I32>",
        "<By>-1</By>",
        "<B>yes</B>",
        "<G>nope</G>",
        "<BA>***</BA>",
        "<What/>",
        r#"<Ref RefId="9"/>"#,
        r#"<Obj RefId="0"><TNRef RefId="9"/></Obj>"#,
        r#"<Obj RefId="0"><DCT><En><S N="Key">k</S></En></DCT></Obj>"#,
    ] {
        assert!(read(xml).is_err(), "{xml}");
    }
}

#[test]
fn random_bytes_in_a_document_never_panic() {
    let seed = std::env::var("PSRP_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| Uuid::new_v4().as_u64_pair().0);
    println!("PSRP_SEED={seed}");
    let base = write(&Value::from(Object::net(
        &["A", "B"],
        "text _x0041_ 😀",
        [("P", Value::array(vec![Value::F64(1.0), "x".into()])), ("Q", Value::hashtable(vec![]))],
    )));
    let mut state = seed | 1;
    let mut next = |n: usize| {
        // xorshift64: enough to scatter, and the seed is all there is to it.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    let alphabet = b"<>/&;\"'= _x0AaTNRefIdObj!-[]?\xc3\xa9";
    for _ in 0..5_000 {
        let mut bytes = base.clone().into_bytes();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(3) {
                0 => bytes[at] = alphabet[next(alphabet.len())],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, alphabet[next(alphabet.len())]),
            }
        }
        let _ = read(&String::from_utf8_lossy(&bytes));
    }
}
