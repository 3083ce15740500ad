//! Requests: SQL batches and remote procedure calls (MS-TDS 2.2.6.6, 2.2.6.7).
//!
//! Answers for what a client asked, with its parameters typed; never for whether such a procedure exists.

use crate::decode::{Cursor, Malformed, typed_value, utf16};
use crate::types::{Type, Value};

/// What a session is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// A batch of T-SQL text.
    Batch(String),
    /// A call of a procedure.
    Rpc {
        /// Its name as the client wrote it; procedures called by number bear the name they have (`sp_executesql`).
        procedure: String,
        /// Its arguments in the order of the call.
        parameters: Vec<Parameter>,
    },
}

/// An argument of a remote procedure call.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name with the `@`, or empty for one given by its place.
    pub name: String,
    /// The declared type.
    pub ty: Type,
    /// The value.
    pub value: Value,
    /// The caller wants it back (OUTPUT).
    pub output: bool,
    /// The caller asks for the parameter's default instead of the value.
    pub default: bool,
}

/// Procedures with a number of their own, by that number (MS-TDS 2.2.6.6).
const NUMBERED: [&str; 16] = [
    "",
    "sp_cursor",
    "sp_cursoropen",
    "sp_cursorprepare",
    "sp_cursorexecute",
    "sp_cursorprepexec",
    "sp_cursorunprepare",
    "sp_cursorfetch",
    "sp_cursoroption",
    "sp_cursorclose",
    "sp_executesql",
    "sp_prepare",
    "sp_execute",
    "sp_prepexec",
    "sp_prepexecrpc",
    "sp_unprepare",
];

/// Behind the ALL_HEADERS that begin each request since TDS 7.2.
fn after_headers(body: &[u8]) -> Result<Cursor<'_>, Malformed> {
    let total = Cursor::new(body).u32("the headers of a request")? as usize;
    let mut c = Cursor::new(body);
    if total < 4 {
        return Err(Malformed::Value("the headers of a request"));
    }
    c.take(total, "the headers of a request")?;
    Ok(c)
}

/// Reads a SQL batch.
pub(crate) fn batch(body: &[u8]) -> Result<Request, Malformed> {
    let text = after_headers(body)?.rest();
    if text.len() % 2 == 1 {
        return Err(Malformed::Value("the text of a batch"));
    }
    Ok(Request::Batch(utf16(text)))
}

/// Reads a remote procedure call. Several calls in one message are refused.
pub(crate) fn rpc(body: &[u8]) -> Result<Request, Malformed> {
    let mut c = after_headers(body)?;
    let procedure = match c.u16("the name of a procedure")? {
        0xFFFF => {
            let number = usize::from(c.u16("the number of a procedure")?);
            let name = NUMBERED.get(number).filter(|n| !n.is_empty());
            (*name.ok_or(Malformed::Value("the number of a procedure"))?).to_owned()
        }
        units => c.text(usize::from(units), "the name of a procedure")?,
    };
    c.u16("the options of a call")?;
    let mut parameters = Vec::new();
    while let Some(units) = c.peek() {
        // 0x80, 0xFE and 0xFF begin another call; no name is that long.
        if units >= 0x80 {
            return Err(Malformed::Value("a single call (several in one message are not served)"));
        }
        c.u8("a parameter")?;
        let name = c.text(usize::from(units), "the name of a parameter")?;
        let flags = c.u8("a parameter")?;
        let (ty, value) = typed_value(&mut c)?;
        parameters.push(Parameter { name, ty, value, output: flags & 1 != 0, default: flags & 2 != 0 });
    }
    Ok(Request::Rpc { procedure, parameters })
}
