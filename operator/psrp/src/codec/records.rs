//! The records and states inside PSRP messages: errors, messages for a person, and how far a pool or
//! a pipeline is (MS-PSRP 2.2.3).

use std::fmt;

use super::value::{Object, Value};

/// State of a runspace pool (MS-PSRP 2.2.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolState {
    /// It can run pipelines.
    Opened,
    /// It is closed or about to be.
    Closed,
    /// Its process died or it could not be opened.
    Broken,
    /// Any other number.
    Other(i64),
}

impl PoolState {
    /// The state in a `RunspacePoolState` message.
    pub fn read(value: &Value) -> Option<Self> {
        Some(match value.property("RunspaceState")?.as_i64()? {
            2 => Self::Opened,
            3 | 4 => Self::Closed,
            5 => Self::Broken,
            other => Self::Other(other),
        })
    }
}

/// How a pipeline ended, or that it did not (MS-PSRP 2.2.3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipelineState {
    /// Not started, running or stopping.
    Running,
    /// Stopped on request before its end.
    Stopped,
    /// Every command ran to its end; some may have written error records.
    Completed,
    /// A terminating error ended it.
    Failed,
}

impl PipelineState {
    /// The state in a `PipelineState` message.
    pub fn read(value: &Value) -> Option<Self> {
        Some(match value.property("PipelineState")?.as_i64()? {
            0..=2 => Self::Running,
            3 | 6 => Self::Stopped,
            4 => Self::Completed,
            5 => Self::Failed,
            _ => return None,
        })
    }

    /// The value of a `PipelineState` message, with the error that ended the pipeline.
    pub fn write(self, error: Option<&ErrorRecord>) -> Value {
        let number = match self {
            Self::Running => 1,
            Self::Stopped => 3,
            Self::Completed => 4,
            Self::Failed => 5,
        };
        let mut properties = vec![("PipelineState", Value::I32(number))];
        if let Some(error) = error {
            properties.push(("ExceptionAsErrorRecord", error.write()));
        }
        Object::message(properties).into()
    }
}

/// Names of System.Management.Automation.ErrorCategory; the index is the number.
const CATEGORIES: [&str; 32] = [
    "NotSpecified",
    "OpenError",
    "CloseError",
    "DeviceError",
    "DeadlockDetected",
    "InvalidArgument",
    "InvalidData",
    "InvalidOperation",
    "InvalidResult",
    "InvalidType",
    "MetadataError",
    "NotImplemented",
    "NotInstalled",
    "ObjectNotFound",
    "OperationStopped",
    "OperationTimeout",
    "SyntaxError",
    "ParserError",
    "PermissionDenied",
    "ResourceBusy",
    "ResourceExists",
    "ResourceUnavailable",
    "ReadError",
    "WriteError",
    "FromStdErr",
    "SecurityError",
    "ProtocolError",
    "ConnectionError",
    "AuthenticationError",
    "LimitsExceeded",
    "QuotaExceeded",
    "NotEnabled",
];

/// System.Management.Automation.ErrorCategory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ErrorCategory(pub i32);

impl ErrorCategory {
    /// A value given to a parameter does not fit it.
    pub const INVALID_ARGUMENT: Self = Self(5);
    /// Data is not what it should be.
    pub const INVALID_DATA: Self = Self(6);
    /// The operation makes no sense now.
    pub const INVALID_OPERATION: Self = Self(7);
    /// What was asked for does not exist.
    pub const OBJECT_NOT_FOUND: Self = Self(13);
    /// Text could not be parsed, or must not be.
    pub const PARSER_ERROR: Self = Self(17);
    /// The account may not do that.
    pub const PERMISSION_DENIED: Self = Self(18);
    /// A resource is not there now.
    pub const RESOURCE_UNAVAILABLE: Self = Self(21);
}

impl fmt::Display for ErrorCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::try_from(self.0).ok().and_then(|i| CATEGORIES.get(i)) {
            Some(name) => f.write_str(name),
            None => write!(f, "category {}", self.0),
        }
    }
}

/// One error record (MS-PSRP 2.2.3.15). Terminating and non-terminating ones look the same.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ErrorRecord {
    /// FullyQualifiedErrorId, for instance `CommandNotFoundException`. The part before the comma names the
    /// error, the rest the command.
    pub id: String,
    /// Message for a person: of the error details when there are any, otherwise of the exception.
    pub message: String,
    /// Type of the exception, without `Deserialized.`
    pub exception_type: String,
    /// Messages of the inner exceptions, outermost first.
    pub inner: Vec<String>,
    /// Category.
    pub category: ErrorCategory,
    /// What was being done, mostly the name of the cmdlet.
    pub activity: String,
    /// Short reason, mostly the name of the exception.
    pub reason: String,
    /// Text of the target.
    pub target_name: String,
    /// Type of the target.
    pub target_type: String,
    /// The target itself.
    pub target: Value,
}

impl fmt::Display for ErrorRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}; {})", self.message, self.id, self.category)
    }
}

impl ErrorRecord {
    /// Reads a record. What is absent stays empty: a record that says little is still an error.
    pub fn read(value: &Value) -> Self {
        let text = |name: &str| value.property(name).map(Value::text).unwrap_or_default();
        let exception = value.property("Exception");
        let message_of = |e: &Value| e.property("Message").map(Value::text).unwrap_or_else(|| e.text());
        let mut message = text("ErrorDetails_Message");
        if message.is_empty() {
            message = exception.map(message_of).unwrap_or_else(|| value.text());
        }
        let mut inner = Vec::new();
        let mut next = exception.and_then(|e| e.property("InnerException"));
        while let Some(e) = next.filter(|e| e.as_object().is_some() && inner.len() < 8) {
            inner.push(message_of(e));
            next = e.property("InnerException");
        }
        let exception_type = exception
            .and_then(Value::as_object)
            .and_then(|o| o.type_names.first())
            .map(|n| n.strip_prefix("Deserialized.").unwrap_or(n).to_owned())
            .unwrap_or_default();
        let category = value.property("ErrorCategory_Category").and_then(Value::as_i64).unwrap_or(0);
        Self {
            id: text("FullyQualifiedErrorId"),
            message,
            exception_type,
            inner,
            category: ErrorCategory(i32::try_from(category).unwrap_or(0)),
            activity: text("ErrorCategory_Activity"),
            reason: text("ErrorCategory_Reason"),
            target_name: text("ErrorCategory_TargetName"),
            target_type: text("ErrorCategory_TargetType"),
            target: value.property("TargetObject").cloned().unwrap_or_default(),
        }
    }

    /// The record as PowerShell sends it, without invocation info.
    pub fn write(&self) -> Value {
        let inner = self
            .inner
            .iter()
            .rev()
            .fold(Value::Null, |inner, message| exception("System.Exception", message, inner));
        let category_message = format!(
            "{} ({}:{}) [{}], {}",
            self.category, self.target_name, self.target_type, self.activity, self.reason
        );
        let extended = [
            ("Exception", exception(&self.exception_type, &self.message, inner)),
            ("TargetObject", self.target.clone()),
            ("FullyQualifiedErrorId", self.id.as_str().into()),
            ("InvocationInfo", Value::Null),
            ("ErrorCategory_Category", Value::I32(self.category.0)),
            ("ErrorCategory_Activity", self.activity.as_str().into()),
            ("ErrorCategory_Reason", self.reason.as_str().into()),
            ("ErrorCategory_TargetName", self.target_name.as_str().into()),
            ("ErrorCategory_TargetType", self.target_type.as_str().into()),
            ("ErrorCategory_Message", category_message.into()),
            ("SerializeExtendedInfo", Value::Bool(false)),
        ];
        Object {
            type_names: ["System.Management.Automation.ErrorRecord", "System.Object"]
                .map(str::to_owned)
                .to_vec(),
            to_string: Some(self.message.clone()),
            extended: extended.into_iter().map(|(n, v)| (n.to_owned(), v)).collect(),
            ..Object::default()
        }
        .into()
    }
}

fn exception(type_name: &str, message: &str, inner: Value) -> Value {
    let names = match type_name {
        "" | "System.Exception" => vec!["System.Exception", "System.Object"],
        other => vec![other, "System.Exception", "System.Object"],
    };
    Object::net(
        &names,
        format!("{}: {message}", names[0]),
        [
            ("Message", message.into()),
            ("Data", Value::Null),
            ("InnerException", inner),
            ("TargetSite", Value::Null),
            ("StackTrace", Value::Null),
            ("HelpLink", Value::Null),
            ("Source", Value::Null),
            // COR_E_EXCEPTION, the HResult of an exception that sets none of its own.
            ("HResult", Value::I32(-2_146_233_088)),
        ],
    )
    .into()
}

/// The text of a debug, verbose or warning record (MS-PSRP 2.2.3.16).
pub fn informational_message(value: &Value) -> String {
    value.property("InformationalRecord_Message").map(Value::text).unwrap_or_else(|| value.text())
}

/// A debug, verbose or warning record with this text.
pub fn informational_record(message: &str) -> Value {
    let mut object = Object::message([
        ("InformationalRecord_Message", message.into()),
        ("InformationalRecord_SerializeInvocationInfo", Value::Bool(false)),
    ]);
    object.to_string = Some(message.to_owned());
    object.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::clixml;

    #[test]
    fn an_error_record_survives_both_ways_whole() {
        let record = ErrorRecord {
            id: "Terminating,Test-Throw".into(),
            message: "no <access>".into(),
            exception_type: "System.UnauthorizedAccessException".into(),
            inner: vec!["outer".into(), "inner".into()],
            category: ErrorCategory::PERMISSION_DENIED,
            activity: "Test-Throw".into(),
            reason: "UnauthorizedAccessException".into(),
            target_name: "the target".into(),
            target_type: "String".into(),
            target: "the target".into(),
        };
        let xml = clixml::write(&record.write());
        assert_eq!(ErrorRecord::read(&clixml::read(&xml).unwrap()[0]), record);
        assert_eq!(record.to_string(), "no <access> (Terminating,Test-Throw; PermissionDenied)");
    }

    #[test]
    fn details_win_over_the_exception_and_deserialized_is_no_type() {
        let exception =
            Object::net(&["Deserialized.System.Exception"], "x", [("Message", Value::from("long"))]);
        let value = Object::message([
            ("Exception", exception.into()),
            ("ErrorDetails_Message", Value::from("short")),
        ]);
        let record = ErrorRecord::read(&value.into());
        assert_eq!((record.message.as_str(), record.exception_type.as_str()), ("short", "System.Exception"));
    }

    #[test]
    fn states_are_read_by_number_and_nonsense_is_none() {
        let state = |n| PipelineState::read(&Object::message([("PipelineState", Value::I32(n))]).into());
        assert_eq!(state(4), Some(PipelineState::Completed));
        assert_eq!(state(2), Some(PipelineState::Running));
        assert_eq!(state(99), None);
        assert_eq!(PipelineState::read(&Value::Null), None);
        let failed = PipelineState::Failed.write(Some(&ErrorRecord::default()));
        assert_eq!(PipelineState::read(&failed), Some(PipelineState::Failed));
    }
}
