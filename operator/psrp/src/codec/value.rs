//! Values of PowerShell as CLIXML carries them: the primitive types of MS-PSRP 2.2.5.1, and objects
//! with their type names, properties and contents.
//!
//! Types with no faithful Rust counterpart (dates, durations, decimals, versions) stay the text that
//! was on the wire; who needs more parses it.

use uuid::Uuid;

/// One value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// `$null`
    #[default]
    Null,
    /// System.Boolean; also what a switch parameter takes
    Bool(bool),
    /// System.Char: one UTF-16 code unit
    Char(u16),
    /// System.String
    String(String),
    /// System.SByte
    I8(i8),
    /// System.Byte
    U8(u8),
    /// System.Int16
    I16(i16),
    /// System.UInt16
    U16(u16),
    /// System.Int32
    I32(i32),
    /// System.UInt32
    U32(u32),
    /// System.Int64
    I64(i64),
    /// System.UInt64
    U64(u64),
    /// System.Single
    F32(f32),
    /// System.Double
    F64(f64),
    /// System.Decimal, as its text
    Decimal(String),
    /// System.DateTime, as the ISO 8601 text on the wire; its kind (UTC, local, unspecified) is the suffix
    DateTime(String),
    /// System.TimeSpan, as an XML Schema duration
    Duration(String),
    /// System.Guid
    Guid(Uuid),
    /// System.Uri
    Uri(String),
    /// System.Version
    Version(String),
    /// System.Xml.XmlDocument, as its text
    Xml(String),
    /// The text of a script block. It is only ever shown, never run.
    ScriptBlock(String),
    /// System.Byte[]
    Bytes(Vec<u8>),
    /// System.Security.SecureString: the base64 of its encrypted form
    SecureString(String),
    /// Everything else
    Object(Box<Object>),
    /// A reference to an object that encloses this place. Cycles are not followed.
    Cycle,
}

/// An object: what it is called, what it prints as, what it holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object {
    /// Type names, the most derived first. What comes over the wire begins with `Deserialized.`
    pub type_names: Vec<String>,
    /// What `ToString()` gave at the far end.
    pub to_string: Option<String>,
    /// The collection or primitive that the object is, apart from its properties.
    pub content: Content,
    /// Properties of the type (`<Props>`).
    pub adapted: Vec<(String, Value)>,
    /// Properties added to the instance (`<MS>`).
    pub extended: Vec<(String, Value)>,
}

/// What an object holds beside properties.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Content {
    /// Properties only.
    #[default]
    None,
    /// The value of an enum, or of a primitive that carries properties.
    Primitive(Value),
    /// A sequence.
    List(ListKind, Vec<Value>),
    /// A dictionary, in the order of the wire.
    Dict(Vec<(Value, Value)>),
}

/// Which of CLIXML's sequences it is (MS-PSRP 2.2.5.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// `<LST>`
    List,
    /// `<IE>`: some enumerable
    Enumerable,
    /// `<STK>`
    Stack,
    /// `<QUE>`
    Queue,
}

impl Object {
    /// An object of properties only, without a type, as PSRP's own messages are.
    pub fn message<N: Into<String>>(properties: impl IntoIterator<Item = (N, Value)>) -> Self {
        Self { extended: properties.into_iter().map(|(n, v)| (n.into(), v)).collect(), ..Self::default() }
    }

    /// A .NET object as remoting sends it: type names, `ToString()` and properties of its type.
    pub fn net<N: Into<String>>(
        type_names: &[&str],
        to_string: impl Into<String>,
        properties: impl IntoIterator<Item = (N, Value)>,
    ) -> Self {
        Self {
            type_names: type_names.iter().map(|s| (*s).to_owned()).collect(),
            to_string: Some(to_string.into()),
            adapted: properties.into_iter().map(|(n, v)| (n.into(), v)).collect(),
            ..Self::default()
        }
    }

    /// A property by name, whatever its case, as PowerShell finds them: extended ones hide adapted ones.
    pub fn property(&self, name: &str) -> Option<&Value> {
        let find = |list: &'_ [(String, Value)]| list.iter().position(|(n, _)| n.eq_ignore_ascii_case(name));
        match find(&self.extended) {
            Some(i) => Some(&self.extended[i].1),
            None => find(&self.adapted).map(|i| &self.adapted[i].1),
        }
    }
}

impl Value {
    /// An enum member: its type, its name and its number.
    pub fn enumeration(type_name: &str, member: &str, number: i32) -> Self {
        let names = [type_name, "System.Enum", "System.ValueType", "System.Object"];
        Self::Object(Box::new(Object {
            type_names: names.map(str::to_owned).to_vec(),
            to_string: Some(member.to_owned()),
            content: Content::Primitive(Self::I32(number)),
            ..Object::default()
        }))
    }

    /// An array of objects (`System.Object[]`), the form in which a list is given to a parameter.
    pub fn array(items: Vec<Value>) -> Self {
        let names = ["System.Object[]", "System.Array", "System.Object"];
        Self::Object(Box::new(Object {
            type_names: names.map(str::to_owned).to_vec(),
            content: Content::List(ListKind::List, items),
            ..Object::default()
        }))
    }

    /// A hash table.
    pub fn hashtable(entries: Vec<(Value, Value)>) -> Self {
        let names = ["System.Collections.Hashtable", "System.Object"];
        Self::Object(Box::new(Object {
            type_names: names.map(str::to_owned).to_vec(),
            content: Content::Dict(entries),
            ..Object::default()
        }))
    }

    /// The object, when it is one.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// A property of an object by name, whatever its case. `None` when there is no such property.
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.as_object()?.property(name)
    }

    /// The value itself, or the primitive inside an object that wraps one (an enum, a decorated string).
    pub fn primitive(&self) -> &Value {
        match self {
            Self::Object(object) => match &object.content {
                Content::Primitive(inner) => inner,
                _ => self,
            },
            _ => self,
        }
    }

    /// The string, when it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self.primitive() {
            Self::String(s) => Some(s),
            _ => None,
        }
    }

    /// The boolean, when it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.primitive() {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The whole number, when it is one of any width (or an enum) that fits.
    pub fn as_i64(&self) -> Option<i64> {
        Some(match self.primitive() {
            Self::I8(n) => i64::from(*n),
            Self::U8(n) => i64::from(*n),
            Self::I16(n) => i64::from(*n),
            Self::U16(n) => i64::from(*n),
            Self::I32(n) => i64::from(*n),
            Self::U32(n) => i64::from(*n),
            Self::I64(n) => *n,
            Self::U64(n) => i64::try_from(*n).ok()?,
            _ => return None,
        })
    }

    /// The members of a sequence, when it is one.
    pub fn items(&self) -> Option<&[Value]> {
        match &self.as_object()?.content {
            Content::List(_, items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a dictionary, when it is one.
    pub fn entries(&self) -> Option<&[(Value, Value)]> {
        match &self.as_object()?.content {
            Content::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// What PowerShell would print for it: `ToString()` of objects, the text of everything else.
    pub fn text(&self) -> String {
        match self {
            Self::Null | Self::Cycle => String::new(),
            Self::Bool(b) => if *b { "True" } else { "False" }.to_owned(),
            Self::Char(c) => String::from_utf16_lossy(&[*c]),
            Self::I8(n) => n.to_string(),
            Self::U8(n) => n.to_string(),
            Self::I16(n) => n.to_string(),
            Self::U16(n) => n.to_string(),
            Self::I32(n) => n.to_string(),
            Self::U32(n) => n.to_string(),
            Self::I64(n) => n.to_string(),
            Self::U64(n) => n.to_string(),
            Self::F32(n) => n.to_string(),
            Self::F64(n) => n.to_string(),
            Self::Guid(g) => g.to_string(),
            Self::Bytes(b) => format!("{} bytes", b.len()),
            Self::SecureString(_) => "System.Security.SecureString".to_owned(),
            Self::String(s)
            | Self::Decimal(s)
            | Self::DateTime(s)
            | Self::Duration(s)
            | Self::Uri(s)
            | Self::Version(s)
            | Self::Xml(s)
            | Self::ScriptBlock(s) => s.clone(),
            Self::Object(o) => match (&o.to_string, &o.content) {
                (Some(text), _) => text.clone(),
                (None, Content::Primitive(inner)) => inner.text(),
                (None, Content::List(_, items)) => {
                    items.iter().map(Value::text).collect::<Vec<_>>().join(" ")
                }
                (None, _) => o.type_names.first().cloned().unwrap_or_default(),
            },
        }
    }
}

impl Value {
    /// Calls `f` with every text in it: of values, of type names and of the names of properties, however deep.
    pub fn each_text(&mut self, f: &mut impl FnMut(&mut String)) {
        match self {
            Self::String(s)
            | Self::Decimal(s)
            | Self::DateTime(s)
            | Self::Duration(s)
            | Self::Uri(s)
            | Self::Version(s)
            | Self::Xml(s)
            | Self::ScriptBlock(s)
            | Self::SecureString(s) => f(s),
            Self::Object(object) => {
                let Object { type_names, to_string, content, adapted, extended } = &mut **object;
                type_names.iter_mut().chain(to_string).for_each(&mut *f);
                match content {
                    Content::None => {}
                    Content::Primitive(value) => value.each_text(f),
                    Content::List(_, items) => items.iter_mut().for_each(|item| item.each_text(f)),
                    Content::Dict(entries) => entries.iter_mut().for_each(|(key, value)| {
                        key.each_text(f);
                        value.each_text(f);
                    }),
                }
                for (name, value) in adapted.iter_mut().chain(extended) {
                    f(name);
                    value.each_text(f);
                }
            }
            _ => {}
        }
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Self::String(s.to_owned())
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Self::String(s)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<i32> for Value {
    fn from(n: i32) -> Self {
        Self::I32(n)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(Box::new(object))
    }
}
