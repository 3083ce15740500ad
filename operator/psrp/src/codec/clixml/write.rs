//! Writes CLIXML.

use std::collections::HashMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::text::encode_into;
use crate::codec::value::{Content, ListKind, Object, Value};

/// One value as a CLIXML document of its own, without the `<Objs>` around it, as PSRP messages want it.
pub fn write(value: &Value) -> String {
    let mut writer = Writer { out: String::new(), objects: 0, types: HashMap::new() };
    writer.value(value, None);
    writer.out
}

struct Writer<'a> {
    out: String,
    objects: usize,
    types: HashMap<&'a [String], usize>,
}

impl<'a> Writer<'a> {
    fn value(&mut self, value: &'a Value, name: Option<&str>) {
        let (element, content) = match value {
            Value::Object(object) => return self.object(object, name),
            Value::Null | Value::Cycle => ("Nil", String::new()),
            Value::Bool(b) => ("B", b.to_string()),
            Value::Char(c) => ("C", c.to_string()),
            Value::String(s) => return self.leaf("S", name, |out| encode_into(out, s)),
            Value::I8(n) => ("SB", n.to_string()),
            Value::U8(n) => ("By", n.to_string()),
            Value::I16(n) => ("I16", n.to_string()),
            Value::U16(n) => ("U16", n.to_string()),
            Value::I32(n) => ("I32", n.to_string()),
            Value::U32(n) => ("U32", n.to_string()),
            Value::I64(n) => ("I64", n.to_string()),
            Value::U64(n) => ("U64", n.to_string()),
            Value::F32(n) => ("Sg", float(f64::from(*n), format!("{n:?}"))),
            Value::F64(n) => ("Db", float(*n, format!("{n:?}"))),
            Value::Guid(g) => ("G", g.to_string()),
            Value::Bytes(b) => ("BA", STANDARD.encode(b)),
            Value::Decimal(s) => return self.leaf("D", name, |out| encode_into(out, s)),
            Value::DateTime(s) => return self.leaf("DT", name, |out| encode_into(out, s)),
            Value::Duration(s) => return self.leaf("TS", name, |out| encode_into(out, s)),
            Value::Uri(s) => return self.leaf("URI", name, |out| encode_into(out, s)),
            Value::Version(s) => return self.leaf("Version", name, |out| encode_into(out, s)),
            Value::Xml(s) => return self.leaf("XD", name, |out| encode_into(out, s)),
            Value::ScriptBlock(s) => return self.leaf("SBK", name, |out| encode_into(out, s)),
            Value::SecureString(s) => return self.leaf("SS", name, |out| encode_into(out, s)),
        };
        self.leaf(element, name, |out| out.push_str(&content));
    }

    fn leaf(&mut self, element: &str, name: Option<&str>, content: impl FnOnce(&mut String)) {
        self.open(element, name);
        let at = self.out.len();
        self.out.push('>');
        content(&mut self.out);
        if self.out.len() == at + 1 {
            self.out.replace_range(at.., "/>");
        } else {
            self.close(element);
        }
    }

    /// `<element N="name"`, still without its `>`.
    fn open(&mut self, element: &str, name: Option<&str>) {
        self.out.push('<');
        self.out.push_str(element);
        if let Some(name) = name {
            self.out.push_str(" N=\"");
            encode_into(&mut self.out, name);
            self.out.push('"');
        }
    }

    fn close(&mut self, element: &str) {
        let _ = write!(self.out, "</{element}>");
    }

    fn object(&mut self, object: &'a Object, name: Option<&str>) {
        self.open("Obj", name);
        let _ = write!(self.out, " RefId=\"{}\">", self.objects);
        self.objects += 1;
        self.type_names(&object.type_names);
        if let Some(text) = &object.to_string {
            self.leaf("ToString", None, |out| encode_into(out, text));
        }
        match &object.content {
            Content::None => {}
            Content::Primitive(inner) => self.value(inner, None),
            Content::List(kind, items) => {
                let element = match kind {
                    ListKind::List => "LST",
                    ListKind::Enumerable => "IE",
                    ListKind::Stack => "STK",
                    ListKind::Queue => "QUE",
                };
                let _ = write!(self.out, "<{element}>");
                items.iter().for_each(|item| self.value(item, None));
                self.close(element);
            }
            Content::Dict(entries) => {
                self.out.push_str("<DCT>");
                for (key, value) in entries {
                    self.out.push_str("<En>");
                    self.value(key, Some("Key"));
                    self.value(value, Some("Value"));
                    self.out.push_str("</En>");
                }
                self.out.push_str("</DCT>");
            }
        }
        self.properties("Props", &object.adapted);
        self.properties("MS", &object.extended);
        self.out.push_str("</Obj>");
    }

    fn type_names(&mut self, names: &'a [String]) {
        if names.is_empty() {
            return;
        }
        if let Some(id) = self.types.get(names) {
            let _ = write!(self.out, "<TNRef RefId=\"{id}\"/>");
            return;
        }
        let id = self.types.len();
        self.types.insert(names, id);
        let _ = write!(self.out, "<TN RefId=\"{id}\">");
        for type_name in names {
            self.leaf("T", None, |out| encode_into(out, type_name));
        }
        self.out.push_str("</TN>");
    }

    fn properties(&mut self, element: &str, properties: &'a [(String, Value)]) {
        if properties.is_empty() {
            return;
        }
        let _ = write!(self.out, "<{element}>");
        for (name, value) in properties {
            self.value(value, Some(name));
        }
        self.close(element);
    }
}

/// XML Schema's names for what is not a number; `otherwise` for everything that is.
fn float(n: f64, otherwise: String) -> String {
    match n {
        f64::INFINITY => "INF".to_owned(),
        f64::NEG_INFINITY => "-INF".to_owned(),
        _ => otherwise,
    }
}
