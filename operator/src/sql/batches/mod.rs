//! The batches: every text that goes to a SQL Server, each built in one place.
//!
//! Values travel as parameters of `sp_executesql`, identifiers are quoted at the far end: nothing that came
//! from outside becomes text. Everything keeps to what SQL Server 2008 R2 understands. Mutating batches
//! open with the guard of [`guard`]; what can only be known there is checked there.
//!
//! A batch is never wrapped in a transaction: RESTORE answers 3021, KILL 6115.

pub mod files;
pub mod guard;
pub mod log_shipping;
pub mod ownership;
pub mod recover;
pub mod restore;
pub mod sessions;
pub mod silence;
pub mod state;

use pchat_planner::lsn::{Lsn, Position};
use tiberius::ToSql;
use uuid::Uuid;

use super::bounded::Bounds;

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param {
    /// `nvarchar`, or NULL.
    Text(Option<String>),
    /// `int`.
    Int(i32),
    /// `uniqueidentifier`.
    Guid(Uuid),
}

impl Param {
    /// As the driver takes it.
    pub fn as_sql(&self) -> &dyn ToSql {
        match self {
            Param::Text(text) => text,
            Param::Int(number) => number,
            Param::Guid(guid) => guid,
        }
    }
}

impl From<&str> for Param {
    fn from(text: &str) -> Self {
        Param::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Param {
    fn from(text: Option<&str>) -> Self {
        Param::Text(text.map(str::to_owned))
    }
}

impl From<i32> for Param {
    fn from(number: i32) -> Self {
        Param::Int(number)
    }
}

impl From<Uuid> for Param {
    fn from(guid: Uuid) -> Self {
        Param::Guid(guid)
    }
}

/// LSNs travel as decimal text: the driver has no `numeric(25,0)` parameter of fixed precision.
impl From<Lsn> for Param {
    fn from(lsn: Lsn) -> Self {
        Param::Text(Some(lsn.to_string()))
    }
}

/// A statement list with its parameters, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    name: &'static str,
    declarations: String,
    variables: Vec<String>,
    body: String,
    params: Vec<Param>,
    bounds: Bounds,
}

impl Batch {
    /// A batch without statements yet, whose answer holds little.
    pub fn new(name: &'static str) -> Self {
        let (declarations, body) = (String::new(), String::new());
        Batch { name, declarations, variables: Vec::new(), body, params: Vec::new(), bounds: Bounds::FEW }
    }

    /// Expects an answer within these bounds.
    pub fn expecting(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Most that its answer may hold.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// What it is for.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Declares a variable with the value of a parameter. `kind` is its T-SQL type.
    pub fn with(mut self, variable: &str, kind: &str, value: impl Into<Param>) -> Self {
        self.params.push(value.into());
        self.variables.push(variable.to_owned());
        let number = self.params.len();
        let set = match kind {
            // The styles and lengths are said aloud: a CONVERT without them guesses.
            "datetime2(3)" => format!("CONVERT(datetime2(3), @P{number}, 126)"),
            "numeric(25,0)" => format!("CONVERT(numeric(25,0), @P{number})"),
            _ => format!("@P{number}"),
        };
        self.declarations.push_str(&format!("DECLARE @{variable} {kind}; SET @{variable} = {set};\n"));
        self
    }

    /// Appends statements, which must not contain anything that came from outside.
    pub fn then(mut self, statements: &str) -> Self {
        self.body.push_str(statements.trim_matches('\n'));
        self.body.push('\n');
        self
    }

    /// Refuses unless every parameter that was declared so far has a value. What may be absent travels as an empty text: a
    /// comparison with NULL is neither true nor false, and lets everybody in somewhere.
    pub(crate) fn nothing_missing(self) -> Self {
        let missing: Vec<String> = self.variables.iter().map(|name| format!("@{name} IS NULL")).collect();
        let check = format!(
            "IF {}\nBEGIN RAISERROR(N'PCHAT|PARAMETER|', 16, 31); RETURN; END;",
            missing.join(" OR ")
        );
        self.then(&check)
    }

    /// The same with NULL in place of one parameter: what a damaged request would bring.
    #[must_use]
    pub fn with_null(mut self, number: usize) -> Self {
        if let Some(param) = self.params.get_mut(number) {
            *param = Param::Text(None);
        }
        self
    }

    /// The whole text.
    pub fn text(&self) -> String {
        format!("{}{}{}", guard::SESSION, self.declarations, self.body)
    }

    /// The parameters, `@P1` first.
    pub fn params(&self) -> &[Param] {
        &self.params
    }
}

/// Adds a position as `@redo` and `@fork`.
pub(crate) fn at_position(batch: Batch, position: Position) -> Batch {
    batch.with("redo", "numeric(25,0)", position.lsn).with("fork", "uniqueidentifier", position.fork.0)
}
