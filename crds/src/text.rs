//! Texts with a shape: host names, shares, folders, names of databases and instances.
//!
//! Each type answers for its own schema: the longest text it takes and the rules it must keep, with the sentence that
//! a person reads when it does not. The types carry the text unchanged; they never normalise it, because it is sent
//! to servers and compared with what servers say. Rules are CEL, so that the API server and the manifest reader hold
//! the same ones; their regular expressions keep to what RE2 and Rust's engine read alike (no `\s`, no `\d`).

use kube::core::{Rule, validate};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Builds the schema of a text of at most `longest` characters that keeps `rules` (CEL text, sentence).
pub(crate) fn text_schema(longest: u32, rules: &[(&str, &str)]) -> Schema {
    let mut schema = json_schema!({ "type": "string", "minLength": 1, "maxLength": longest });
    for (rule, sentence) in rules {
        if let Err(error) = validate(&mut schema, Rule::new(*rule).message(*sentence)) {
            // A rule is two texts; serialising it has no way to fail.
            unreachable!("the rule {rule} cannot be written as JSON: {error}");
        }
    }
    schema
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $longest:literal, [$(($rule:expr, $sentence:expr)),* $(,)?]) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text as it was written in the manifest.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                text_schema($longest, &[$(($rule, $sentence)),*])
            }
        }
    };
}

text!(
    /// A host as a client would name it: a DNS name, a short name or an IPv4 address.
    HostName, 253,
    [(
        r"self.matches('^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?$')",
        "expected a host name such as sql-ks1.contoso.com, without an instance name and without a port"
    )]
);

text!(
    /// A fully qualified domain name. Lync knows its pools and servers by these and by nothing else.
    Fqdn, 253,
    [(
        r"self.matches('^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$')",
        "expected a fully qualified domain name such as pc-ks1.contoso.com"
    )]
);

text!(
    /// The name of a data centre, for people.
    SiteName, 100,
    [(r"self.matches('^[^ \\x00-\\x1f]') && self.matches('^[^\\x00-\\x1f]*$')", "expected a name that begins with a visible character, on one line")]
);

text!(
    /// The name of a SQL Server instance, without its host.
    ///
    /// Sixteen characters, first a letter or an underscore: "Instance Configuration" in SQL Server's set-up pages.
    InstanceName, 16,
    [
        (
            r"self.matches('^[\\p{L}_][\\p{L}\\p{Nd}_#$]*$')",
            "expected the name of an instance alone, such as PCHAT: letters, digits, _, # and $, first a letter or _"
        ),
        (
            r"self.lowerAscii() != 'mssqlserver'",
            "MSSQLSERVER is what setup calls the default instance; to mean it, leave instance out"
        ),
    ]
);

text!(
    /// The name of a database. Any character that T-SQL can quote may stand in it.
    ///
    /// At most 100 characters, so that the names derived from it at the far end (application lock, extended
    /// properties) stay within the 128 of sysname.
    DatabaseName, 100,
    [
        (
            r"self.matches('^[^ \\x00-\\x1f]') && self.matches('^[^\\x00-\\x1f]*[^ \\x00-\\x1f]$')",
            "expected the name of a database, without a blank at its beginning or end and on one line"
        ),
        (
            r"!(self.lowerAscii() in ['master', 'model', 'msdb', 'tempdb', 'mgccomp'])",
            "expected the chat database (mgc unless somebody renamed it); system databases and the compliance database mgccomp are never failed over"
        ),
    ]
);

text!(
    /// A file share as an absolute UNC path.
    UncPath, 400,
    [
        (
            r#"self.matches('^[\\\\]{2}[^\\\\/:*?"<>|\\x00-\\x1f]+([\\\\][^\\\\/:*?"<>|\\x00-\\x1f]+)+[\\\\]?$')"#,
            r"expected an absolute UNC path such as \\files.contoso.com\pchat-logs (in YAML without quotes, or in single ones: double quotes eat backslashes)"
        ),
        (
            r"!self.matches('[\\\\][.]{1,2}([\\\\]|$)')",
            r"expected a UNC path without . and .. in it"
        ),
    ]
);

text!(
    /// A folder as an absolute path, on a drive of the server that uses it or on a share.
    FolderPath, 400,
    [
        (
            r#"self.matches('^([A-Za-z]:|[\\\\]{2}[^\\\\/:*?"<>|\\x00-\\x1f]+[\\\\][^\\\\/:*?"<>|\\x00-\\x1f]+)([\\\\][^\\\\/:*?"<>|\\x00-\\x1f]+)*[\\\\]?$') && !self.matches('^[A-Za-z]:$')"#,
            r"expected an absolute path such as D:\LogShip or \\files.contoso.com\pchat-copies (in YAML without quotes, or in single ones: double quotes eat backslashes)"
        ),
        (
            r"!self.matches('[\\\\][.]{1,2}([\\\\]|$)')",
            r"expected a path without . and .. in it"
        ),
    ]
);

text!(
    /// The address of a WSMan endpoint.
    ShellUri, 512,
    [(
        r"self.matches('^https?://[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$')",
        "expected an address such as https://fe-ks1.contoso.com/OcsPowerShell, http or https, without user, query or fragment"
    )]
);

text!(
    /// The name of a PowerShell session configuration.
    ConfigurationName, 128,
    [(
        r"self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')",
        "expected the name of a session configuration such as Microsoft.PowerShell: letters, digits, dot, _ and -"
    )]
);

text!(
    /// The name of a Kubernetes object.
    ObjectName, 253,
    [(
        r"self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')",
        "expected the name of a Kubernetes object: lower-case letters, digits, - and ."
    )]
);

text!(
    /// A key in a Secret.
    SecretKey, 253,
    [(r"self.matches('^[A-Za-z0-9._-]+$')", "expected a key of a Secret: letters, digits, -, _ and .")]
);
