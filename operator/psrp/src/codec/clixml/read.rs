//! Reads CLIXML.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::text::decode;
use crate::codec::value::{Content, ListKind, Object, Value};
use crate::codec::xml::{Element, XmlError, parse};

/// Most memory, in bytes roughly, that one document may take once references are followed: shared
/// objects are copied here, and a document of references to references would double at each step.
pub const MAX_WEIGHT: usize = 32 << 20;
/// What a value weighs beside its text.
const NODE: usize = size_of::<Value>() + 32;

/// Why a CLIXML document was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClixmlError {
    /// It is not a document at all.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// The content of a primitive is not what its element says.
    #[error("the CLIXML element <{element}> holds {content:?}, which is not a value of its type")]
    Primitive {
        /// Element name, which is the type.
        element: String,
        /// The first characters of the content.
        content: String,
    },
    /// An element that CLIXML does not know.
    #[error("<{0}> is not an element of CLIXML")]
    Unknown(String),
    /// `Ref` or `TNRef` to something that was not there before it.
    #[error("the CLIXML reference {0:?} refers to nothing")]
    Dangling(String),
    /// It holds more than any honest document.
    #[error("the CLIXML document takes more than {0} bytes once its references are followed")]
    TooLarge(usize),
}

/// Reads one document: a bare value, or `<Objs>` with any number of them.
///
/// # Errors
/// [`ClixmlError`]; a document is read whole or not at all.
pub fn read(text: &str) -> Result<Vec<Value>, ClixmlError> {
    read_within(text, MAX_WEIGHT).map(|(values, _)| values)
}

/// Like [`read`], holding at most about `limit` bytes; also says how many it took.
///
/// # Errors
/// [`ClixmlError`]
pub fn read_within(text: &str, limit: usize) -> Result<(Vec<Value>, usize), ClixmlError> {
    let root = parse(text)?;
    let mut wanted = HashSet::new();
    referred(&root, &mut wanted);
    let mut reader = Reader { wanted, objects: HashMap::new(), types: HashMap::new(), weight: 0, limit };
    let values = if root.name == "Objs" {
        root.children.iter().map(|child| reader.value(child)).collect::<Result<_, _>>()?
    } else {
        vec![reader.value(&root)?]
    };
    Ok((values, reader.weight))
}

/// The RefIds that some `<Ref>` asks for: only those objects are kept for later.
fn referred<'a>(e: &'a Element, wanted: &mut HashSet<&'a str>) {
    if e.name == "Ref" {
        wanted.extend(e.attribute("RefId"));
    }
    e.children.iter().for_each(|child| referred(child, wanted));
}

struct Reader<'a> {
    wanted: HashSet<&'a str>,
    /// By RefId: `None` while the object is still being read, then its value and weight.
    objects: HashMap<&'a str, Option<(Value, usize)>>,
    types: HashMap<&'a str, Vec<String>>,
    weight: usize,
    limit: usize,
}

impl<'a> Reader<'a> {
    fn add(&mut self, weight: usize) -> Result<(), ClixmlError> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > self.limit { Err(ClixmlError::TooLarge(self.limit)) } else { Ok(()) }
    }

    fn value(&mut self, e: &'a Element) -> Result<Value, ClixmlError> {
        self.add(NODE + e.text.len())?;
        let text = e.text.as_str();
        Ok(match e.name.as_str() {
            "Obj" => return self.object(e),
            "Ref" => {
                let id = e.attribute("RefId").unwrap_or_default();
                match self.objects.get(id) {
                    None => return Err(ClixmlError::Dangling(excerpt(id))),
                    Some(None) => Value::Cycle,
                    Some(Some((value, weight))) => {
                        let (value, weight) = (value.clone(), *weight);
                        self.add(weight)?;
                        value
                    }
                }
            }
            "Nil" => Value::Null,
            "S" => Value::String(decode(text)),
            "B" => match text.trim() {
                "true" | "1" => Value::Bool(true),
                "false" | "0" => Value::Bool(false),
                _ => return Err(primitive(e)),
            },
            "C" => Value::Char(number(e)?),
            "SB" => Value::I8(number(e)?),
            "By" => Value::U8(number(e)?),
            "I16" => Value::I16(number(e)?),
            "U16" => Value::U16(number(e)?),
            "I32" => Value::I32(number(e)?),
            "U32" => Value::U32(number(e)?),
            "I64" => Value::I64(number(e)?),
            "U64" => Value::U64(number(e)?),
            "Sg" => Value::F32(float(e)?),
            "Db" => Value::F64(float(e)?),
            "D" => Value::Decimal(text.trim().to_owned()),
            "DT" => Value::DateTime(text.trim().to_owned()),
            "TS" => Value::Duration(text.trim().to_owned()),
            "G" => Value::Guid(Uuid::from_str(text.trim()).map_err(|_| primitive(e))?),
            "URI" => Value::Uri(decode(text)),
            "Version" => Value::Version(text.trim().to_owned()),
            "XD" => Value::Xml(decode(text)),
            "SBK" => Value::ScriptBlock(decode(text)),
            "BA" => Value::Bytes(bytes(e)?),
            "SS" => Value::SecureString(text.trim().to_owned()),
            // Progress records stand alone only in documents that PSRP does not use; kept as properties.
            "PR" => return self.object(e),
            _ => return Err(ClixmlError::Unknown(excerpt(&e.name))),
        })
    }

    fn object(&mut self, e: &'a Element) -> Result<Value, ClixmlError> {
        let before = self.weight;
        let id = e.attribute("RefId").filter(|id| self.wanted.contains(id));
        if let Some(id) = id {
            self.objects.insert(id, None);
        }
        let mut object = Object::default();
        for child in &e.children {
            match child.name.as_str() {
                "TN" => {
                    let names: Vec<String> = child.children.iter().map(|t| decode(&t.text)).collect();
                    self.add(names.iter().map(|n| n.len() + NODE).sum())?;
                    if let Some(id) = child.attribute("RefId") {
                        self.types.insert(id, names.clone());
                    }
                    object.type_names = names;
                }
                "TNRef" => {
                    let id = child.attribute("RefId").unwrap_or_default();
                    let names =
                        self.types.get(id).cloned().ok_or_else(|| ClixmlError::Dangling(excerpt(id)))?;
                    self.add(names.iter().map(|n| n.len() + NODE).sum())?;
                    object.type_names = names;
                }
                "ToString" => {
                    self.add(child.text.len())?;
                    object.to_string = Some(decode(&child.text));
                }
                "Props" => object.adapted = self.properties(child)?,
                "MS" => object.extended = self.properties(child)?,
                "LST" => object.content = self.list(ListKind::List, child)?,
                "IE" => object.content = self.list(ListKind::Enumerable, child)?,
                "STK" => object.content = self.list(ListKind::Stack, child)?,
                "QUE" => object.content = self.list(ListKind::Queue, child)?,
                "DCT" => object.content = self.dict(child)?,
                _ => object.content = Content::Primitive(self.value(child)?),
            }
        }
        let value = Value::Object(Box::new(object));
        if let Some(id) = id {
            // The copy kept for later references is paid for as well.
            let weight = self.weight - before;
            self.add(weight)?;
            self.objects.insert(id, Some((value.clone(), weight)));
        }
        Ok(value)
    }

    fn properties(&mut self, e: &'a Element) -> Result<Vec<(String, Value)>, ClixmlError> {
        let mut out = Vec::with_capacity(e.children.len());
        for child in &e.children {
            let name = decode(child.attribute("N").unwrap_or_default());
            self.add(name.len())?;
            out.push((name, self.value(child)?));
        }
        Ok(out)
    }

    fn list(&mut self, kind: ListKind, e: &'a Element) -> Result<Content, ClixmlError> {
        let items = e.children.iter().map(|child| self.value(child)).collect::<Result<_, _>>()?;
        Ok(Content::List(kind, items))
    }

    fn dict(&mut self, e: &'a Element) -> Result<Content, ClixmlError> {
        let mut entries = Vec::with_capacity(e.children.len());
        for entry in &e.children {
            let mut part = |name: &str| match entry.children.iter().find(|c| c.attribute("N") == Some(name)) {
                Some(child) => self.value(child),
                None => Err(ClixmlError::Unknown(format!("{} without {name}", excerpt(&entry.name)))),
            };
            entries.push((part("Key")?, part("Value")?));
        }
        Ok(Content::Dict(entries))
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

fn primitive(e: &Element) -> ClixmlError {
    ClixmlError::Primitive { element: excerpt(&e.name), content: excerpt(&e.text) }
}

fn number<T: FromStr>(e: &Element) -> Result<T, ClixmlError> {
    e.text.trim().parse().map_err(|_| primitive(e))
}

/// XML Schema spells infinities in its own way (`INF`, `-INF`); Rust's parser reads those as well.
fn float<T: FromStr>(e: &Element) -> Result<T, ClixmlError> {
    number(e)
}

fn bytes(e: &Element) -> Result<Vec<u8>, ClixmlError> {
    let compact: String = e.text.split_ascii_whitespace().collect();
    STANDARD.decode(compact).map_err(|_| primitive(e))
}
