//! FOR XML PATH: one text made of all rows ("Use PATH Mode with FOR XML").

use super::Result;
use crate::ast::ForXml;
use crate::convert::plain;
use crate::error::SqlError;
use crate::plan::Plan;
use crate::types::{Row, Ty, Value};

/// The single row of the result; no rows give NULL.
pub(super) fn rows(xml: &ForXml, plan: &Plan, rows: &[Row]) -> Result<Vec<Row>> {
    if rows.is_empty() {
        return Ok(vec![vec![Value::Null]]);
    }
    let mut out = String::new();
    for row in rows {
        let (mut attributes, mut content) = (String::new(), String::new());
        for (column, value) in plan.columns.iter().zip(row) {
            if value.is_null() {
                continue;
            }
            let text = escape(&text(value));
            match column.name.as_str() {
                "" | "text()" | "*" | "data()" => content.push_str(&text),
                name => match name.strip_prefix('@') {
                    Some(attribute) => attributes.push_str(&format!(" {}=\"{text}\"", checked(attribute)?)),
                    None => {
                        let name = checked(name)?;
                        content.push_str(&format!("<{name}>{text}</{name}>"));
                    }
                },
            }
        }
        if xml.element.is_empty() {
            out.push_str(&content);
        } else {
            let name = checked(&xml.element)?;
            out.push_str(&format!("<{name}{attributes}>{content}</{name}>"));
        }
    }
    if let Some(root) = &xml.root {
        out = format!("<{root}>{out}</{root}>");
    }
    Ok(vec![vec![Value::Text(out)]])
}

fn text(value: &Value) -> String {
    match value {
        Value::Time(t) => t.format(126, 7).unwrap_or_default(),
        other => plain(other),
    }
}

fn checked(name: &str) -> Result<&str> {
    match name
        .chars()
        .enumerate()
        .find(|(i, c)| !(c.is_alphanumeric() && (*i > 0 || !c.is_numeric()) || *c == '_'))
    {
        None => Ok(name),
        Some((_, c)) => Err(SqlError::new(6850, &[&"Column", &name, &c, &format!("{:04X}", u32::from(c))])),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\r', "&#x0D;")
}

/// `.value('.', type)`: the text without its markup.
pub(super) fn content(xml: &str) -> String {
    let mut out = String::with_capacity(xml.len());
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = rest[at..].split_once('>').map_or("", |r| r.1);
    }
    out.push_str(rest);
    out.replace("&#x0D;", "\r").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The type of what FOR XML returns here.
pub(crate) const XML: Ty = Ty::NVarChar(crate::types::MAX);
