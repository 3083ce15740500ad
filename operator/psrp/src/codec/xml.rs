//! A bounded reader for the XML that the far end sends, and the escaping for what we send.
//!
//! WS-Management answers and CLIXML documents are small, so both are read into one plain tree. The
//! reader must never do what a hostile document asks for: no document type, no entities beyond the
//! five of XML, a bounded depth and a bounded number of elements.

use std::sync::Arc;

use quick_xml::NsReader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

/// Deepest nesting of elements that is read. PowerShell serializes objects a few levels deep; each
/// level costs two or three elements.
pub const MAX_DEPTH: usize = 192;
/// Most elements that one document may have.
pub const MAX_ELEMENTS: usize = 200_000;
/// Most attributes of one element. Each is compared with those before it, so that many of them take more than memory.
pub const MAX_ATTRIBUTES: usize = 64;

/// Why a document was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// It is not well-formed, or uses a namespace prefix it never declared.
    #[error("the XML is not well formed: {0}")]
    Malformed(String),
    /// It uses a part of XML that neither SOAP nor CLIXML allows.
    #[error("the XML contains {0}, which is not allowed here")]
    Forbidden(&'static str),
    /// It is larger than any honest document.
    #[error("the XML exceeds the limit of {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit that was passed.
        limit: usize,
    },
}

/// One element: its namespace, local name, attributes, children, and the text directly in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Namespace URI, empty when there is none.
    pub ns: Arc<str>,
    /// Local name.
    pub name: String,
    /// Attributes by local name; namespace declarations are left out.
    pub attributes: Vec<(String, String)>,
    /// Child elements in document order.
    pub children: Vec<Element>,
    /// The character data directly inside this element, joined.
    pub text: String,
}

impl Element {
    /// The first child with this local name, in any namespace.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The first child with this namespace and local name.
    pub fn child_ns(&self, ns: &str, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name && &*c.ns == ns)
    }

    /// The descendant reached by these steps of (namespace, local name).
    pub fn path(&self, steps: &[(&str, &str)]) -> Option<&Element> {
        steps.iter().try_fold(self, |at, (ns, name)| at.child_ns(ns, name))
    }

    /// The attribute with this local name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Reads a whole document and returns its root element.
///
/// # Errors
/// [`XmlError`] when it is malformed, forbidden or beyond a limit.
pub fn parse(text: &str) -> Result<Element, XmlError> {
    let mut reader = NsReader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut names: Vec<Arc<str>> = vec![Arc::from("")];
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    let mut count = 0usize;
    loop {
        let (ns, event) = reader.read_resolved_event().map_err(malformed)?;
        let ns = match ns {
            ResolveResult::Bound(n) => intern(&mut names, n.0),
            ResolveResult::Unbound => names[0].clone(),
            ResolveResult::Unknown(prefix) => {
                return Err(XmlError::Malformed(format!("the prefix {prefix:?} is not declared")));
            }
        };
        match event {
            Event::Start(ref start) | Event::Empty(ref start) => {
                count += 1;
                if count > MAX_ELEMENTS {
                    return Err(XmlError::TooLarge { what: "elements", limit: MAX_ELEMENTS });
                }
                if open.len() >= MAX_DEPTH {
                    return Err(XmlError::TooLarge { what: "nested elements", limit: MAX_DEPTH });
                }
                if root.is_some() {
                    return Err(XmlError::Malformed("there is more than one root element".into()));
                }
                let element = element(ns, start)?;
                if matches!(event, Event::Start(_)) {
                    open.push(element);
                } else {
                    close(&mut open, &mut root, element);
                }
            }
            Event::End(_) => match open.pop() {
                Some(element) => close(&mut open, &mut root, element),
                None => return Err(XmlError::Malformed("an end tag has no start tag".into())),
            },
            Event::Text(t) => push_text(&mut open, &t.xml10_content())?,
            Event::CData(t) => push_text(&mut open, &t.xml10_content())?,
            Event::GeneralRef(reference) => {
                let c = match &*reference {
                    "lt" => '<',
                    "gt" => '>',
                    "amp" => '&',
                    "quot" => '"',
                    "apos" => '\'',
                    _ => match reference.resolve_char_ref().map_err(malformed)? {
                        Some(c) => c,
                        None => return Err(XmlError::Forbidden("an entity of its own")),
                    },
                };
                push_text(&mut open, c.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err(XmlError::Forbidden("a document type")),
            Event::PI(_) => return Err(XmlError::Forbidden("a processing instruction")),
            Event::Decl(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    match (root, open.is_empty()) {
        (Some(root), true) => Ok(root),
        _ => Err(XmlError::Malformed("the document ends too early".into())),
    }
}

fn malformed(error: impl std::fmt::Display) -> XmlError {
    XmlError::Malformed(error.to_string())
}

fn intern(names: &mut Vec<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(known) = names.iter().find(|n| &***n == name) {
        return known.clone();
    }
    let new: Arc<str> = Arc::from(name);
    // A document with endless namespaces must not make the search endless.
    if names.len() < 64 {
        names.push(new.clone());
    }
    new
}

fn element(ns: Arc<str>, start: &BytesStart<'_>) -> Result<Element, XmlError> {
    let (mut attributes, mut seen) = (Vec::new(), 0usize);
    for attribute in start.attributes() {
        let attribute = attribute.map_err(malformed)?;
        seen += 1;
        if seen > MAX_ATTRIBUTES {
            return Err(XmlError::TooLarge { what: "attributes of one element", limit: MAX_ATTRIBUTES });
        }
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = unescape(&attribute.value).map_err(malformed)?.into_owned();
        attributes.push((attribute.key.local_name().as_ref().to_owned(), value));
    }
    let name = start.local_name().as_ref().to_owned();
    Ok(Element { ns, name, attributes, children: Vec::new(), text: String::new() })
}

fn close(open: &mut [Element], root: &mut Option<Element>, element: Element) {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None => *root = Some(element),
    }
}

fn push_text(open: &mut [Element], text: &str) -> Result<(), XmlError> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err(XmlError::Malformed("there is text outside the root element".into())),
    }
    Ok(())
}

/// Appends `text` escaped for element content or a double-quoted attribute. Characters that XML 1.0
/// cannot hold become U+FFFD.
pub fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            '\r' => out.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
}

/// `text` escaped as by [`escape_into`].
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_into(&mut out, text);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_text_and_entities_are_resolved() {
        let root = parse(
            r#"<a:x xmlns:a="urn:a" xmlns="urn:d" q="&lt;1"><y>a&amp;b&#x41;<![CDATA[<c>]]></y></a:x>"#,
        )
        .unwrap();
        assert_eq!((&*root.ns, root.name.as_str(), root.attribute("q")), ("urn:a", "x", Some("<1")));
        let y = root.child_ns("urn:d", "y").unwrap();
        assert_eq!(y.text, "a&bA<c>");
    }

    #[test]
    fn what_a_hostile_document_asks_for_is_refused() {
        let bomb = r#"<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>"#;
        assert_eq!(parse(bomb), Err(XmlError::Forbidden("a document type")));
        assert_eq!(parse("<a>&b;</a>"), Err(XmlError::Forbidden("an entity of its own")));
        let deep = "<a>".repeat(100_000);
        assert!(matches!(parse(&deep), Err(XmlError::TooLarge { what: "nested elements", .. })));
        let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        assert!(matches!(parse(&wide), Err(XmlError::TooLarge { what: "elements", .. })));
        let many = |name: &str| {
            let many: String = (0..2_000_000).map(|n| format!(" {name}{n}=\"\"")).collect();
            parse(&format!("<a{many}/>"))
        };
        let said = many("a");
        let refused = matches!(said, Err(XmlError::TooLarge { what: "attributes of one element", .. }));
        assert!(refused, "{said:?}");
        // The reader has a bound of its own for these, which may come first.
        let said = many("xmlns:a");
        let first = |why: &str| why.starts_with("more than 128 namespace bindings");
        let refused = match &said {
            Err(XmlError::TooLarge { what, .. }) => *what == "attributes of one element",
            Err(XmlError::Malformed(why)) => first(&why.to_string()),
            _ => false,
        };
        assert!(refused, "{said:?}");
    }

    #[test]
    fn a_document_that_ends_early_or_goes_on_is_malformed() {
        for text in ["", "<a>", "<a></b>", "<a/><b/>", "text", "<a/>text", "<p:a/>", "<a", "<a b=1/>"] {
            assert!(matches!(parse(text), Err(XmlError::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn escaped_text_reads_back() {
        let text = "a<b>&\"c\" \r\n\t é 😀";
        let root = parse(&format!("<a b=\"{}\">{}</a>", escape("<\"&"), escape(text))).unwrap();
        assert_eq!(root.text, text);
        assert_eq!(root.attribute("b"), Some("<\"&"));
    }
}
