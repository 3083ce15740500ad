//! The built-in functions and `@@` variables: since when, how many arguments of which type, what they return.
//!
//! A name that is not in these tables is error 195, so a function of a later version fails on an earlier
//! server as it does there. ISNULL, COALESCE, NULLIF, CASE, CAST and the aggregates are the binder's.

use super::{Ctx, Result, text_functions, time_functions};
use crate::bind::names::{parse_object, resolve};
use crate::error::SqlError;
use crate::host::Version;
use crate::types::{MAX, SYSNAME, Ty, Value};

/// Type to which an argument is converted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Param {
    /// Any type as it is.
    Any,
    /// Character data as it is, everything else as `nvarchar`.
    Text,
    /// This type.
    Is(Ty),
    /// A number as it is, everything else as `float`.
    Number,
    /// A date or time as it is, everything else as `datetime`.
    Time,
}

/// Type of the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ret {
    Is(Ty),
    /// That of the first argument.
    First,
    /// The varying form of the first argument's character type, of its length.
    FirstText,
    /// The varying form of the first argument's character type, as long as fits.
    LongText,
    /// That of the last argument.
    Last,
}

type Eval = fn(&Ctx<'_>, &[Value]) -> Result<Value>;

/// A built-in function.
#[derive(Debug)]
pub(crate) struct Function {
    /// Upper case.
    pub name: &'static str,
    pub since: Version,
    pub min: usize,
    pub max: usize,
    /// The last one repeats.
    pub params: &'static [Param],
    pub ret: Ret,
    /// Is the result NULL when any argument is?
    pub strict: bool,
    eval: Eval,
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.name == other.name
    }
}

impl Function {
    /// The function's value.
    pub fn run(&self, cx: &Ctx<'_>, args: Vec<Value>) -> Result<Value> {
        if self.strict && args.iter().any(Value::is_null) {
            return Ok(Value::Null);
        }
        (self.eval)(cx, &args)
    }
}

const fn f(
    name: &'static str,
    args: (usize, usize),
    params: &'static [Param],
    ret: Ret,
    strict: bool,
    eval: Eval,
) -> Function {
    Function { name, since: Version::V2008R2, min: args.0, max: args.1, params, ret, strict, eval }
}

const fn since(version: Version, mut function: Function) -> Function {
    function.since = version;
    function
}

const N: Param = Param::Is(Ty::NVarChar(MAX));
const NAME: Param = Param::Is(Ty::NVarChar(256));
const INT: Param = Param::Is(Ty::Int);
const BIG: Param = Param::Is(Ty::BigInt);
const NAMED: Ret = Ret::Is(SYSNAME);
const INTEGER: Ret = Ret::Is(Ty::Int);

static TABLE: &[Function] = &[
    // Facts of the session. Functions without arguments take none: `params` is not looked at.
    f("@@SPID", (0, 0), &[], Ret::Is(Ty::SmallInt), false, |c, _| Ok(i64::from(c.facts().spid).into())),
    f("@@SERVERNAME", (0, 0), &[], NAMED, false, |c, _| Ok(c.facts().server.clone().into())),
    f("@@SERVICENAME", (0, 0), &[], NAMED, false, |c, _| Ok(c.facts().service.as_str().into())),
    f("@@VERSION", (0, 0), &[], Ret::Is(Ty::NVarChar(300)), false, |c, _| {
        Ok(c.facts().version_text.as_str().into())
    }),
    f("@@LANGUAGE", (0, 0), &[], NAMED, false, |_, _| Ok("us_english".into())),
    f("@@ROWCOUNT", (0, 0), &[], INTEGER, false, |c, _| Ok(c.state.rowcount.into())),
    f("@@ERROR", (0, 0), &[], INTEGER, false, |c, _| Ok(c.state.error.into())),
    f("@@TRANCOUNT", (0, 0), &[], INTEGER, false, |c, _| Ok(c.state.trancount.into())),
    f("@@FETCH_STATUS", (0, 0), &[], INTEGER, false, |c, _| Ok(c.state.fetch.into())),
    f("@@NESTLEVEL", (0, 0), &[], INTEGER, false, |c, _| Ok(c.state.nesting.into())),
    f("@@IDENTITY", (0, 0), &[], Ret::Is(Ty::Numeric(38, 0)), false, |c, _| Ok(identity(c))),
    f("@@LOCK_TIMEOUT", (0, 0), &[], INTEGER, false, |_, _| Ok((-1).into())),
    f("@@TEXTSIZE", (0, 0), &[], INTEGER, false, |_, _| Ok(i64::from(i32::MAX).into())),
    f("@@MICROSOFTVERSION", (0, 0), &[], INTEGER, false, |c, _| {
        let (major, minor) = c.host.version().number();
        Ok(((i64::from(major) << 24) | (i64::from(minor) << 16)).into())
    }),
    f("SCOPE_IDENTITY", (0, 0), &[], Ret::Is(Ty::Numeric(38, 0)), false, |c, _| Ok(identity(c))),
    f("SUSER_SNAME", (0, 1), &[Param::Any], NAMED, true, own),
    f("SUSER_NAME", (0, 1), &[Param::Any], NAMED, true, own),
    f("ORIGINAL_LOGIN", (0, 0), &[], NAMED, false, |c, _| Ok(c.facts().login.as_str().into())),
    f("SYSTEM_USER", (0, 0), &[], NAMED, false, |c, _| Ok(c.facts().login.as_str().into())),
    f("HOST_NAME", (0, 0), &[], NAMED, false, |c, _| Ok(c.facts().host_name.as_str().into())),
    f("APP_NAME", (0, 0), &[], NAMED, false, |c, _| Ok(c.facts().program.as_str().into())),
    // Every login of the lab is `dbo` in the databases that it may enter.
    f("USER_NAME", (0, 0), &[], NAMED, false, |_, _| Ok("dbo".into())),
    f("CURRENT_USER", (0, 0), &[], NAMED, false, |_, _| Ok("dbo".into())),
    f("SESSION_USER", (0, 0), &[], NAMED, false, |_, _| Ok("dbo".into())),
    f("USER", (0, 0), &[], NAMED, false, |_, _| Ok("dbo".into())),
    f("SCHEMA_NAME", (0, 0), &[], NAMED, false, |_, _| Ok("dbo".into())),
    f("XACT_STATE", (0, 0), &[], Ret::Is(Ty::SmallInt), false, |c, _| Ok(c.state.trancount.min(1).into())),
    // Errors under handling.
    f("ERROR_NUMBER", (0, 0), &[], INTEGER, false, |c, _| Ok(c.state.caught.last().map(|e| e.number).into())),
    f("ERROR_SEVERITY", (0, 0), &[], INTEGER, false, |c, _| {
        Ok(c.state.caught.last().map(|e| i32::from(e.class)).into())
    }),
    f("ERROR_STATE", (0, 0), &[], INTEGER, false, |c, _| {
        Ok(c.state.caught.last().map(|e| i32::from(e.state)).into())
    }),
    f("ERROR_LINE", (0, 0), &[], INTEGER, false, |c, _| {
        Ok(c.state.caught.last().map(|e| i64::from(e.line)).into())
    }),
    f("ERROR_MESSAGE", (0, 0), &[], Ret::Is(Ty::NVarChar(4000)), false, |c, _| {
        Ok(c.state.caught.last().map(|e| e.text.as_str()).into())
    }),
    f("ERROR_PROCEDURE", (0, 0), &[], NAMED, false, |c, _| {
        Ok(c.state.caught.last().map(|e| e.procedure.as_str()).filter(|p| !p.is_empty()).into())
    }),
    // The server.
    f("SERVERPROPERTY", (1, 1), &[NAME], Ret::Is(Ty::Variant), true, |c, a| {
        Ok(c.host.server_property(text(a, 0)))
    }),
    f("DATABASEPROPERTYEX", (2, 2), &[NAME], Ret::Is(Ty::Variant), true, |c, a| {
        Ok(c.host.database_property(text(a, 0), text(a, 1)))
    }),
    f("DB_ID", (0, 1), &[NAME], Ret::Is(Ty::SmallInt), true, |c, a| {
        let name = a.first().and_then(Value::as_text).unwrap_or(&c.facts().database);
        Ok(c.host.database_id(name).map(i64::from).into())
    }),
    f("DB_NAME", (0, 1), &[INT], NAMED, true, |c, a| {
        Ok(match a.first().and_then(Value::as_int) {
            Some(id) => c.host.database_name(id as i32).into(),
            None => c.facts().database.as_str().into(),
        })
    }),
    f("OBJECT_ID", (1, 2), &[NAME], INTEGER, true, |c, a| Ok(object_id(c, text(a, 0)))),
    f("HAS_DBACCESS", (1, 1), &[NAME], INTEGER, true, |c, a| {
        Ok(c.host.has_database_access(text(a, 0)).map(i64::from).into())
    }),
    f("IS_SRVROLEMEMBER", (1, 2), &[NAME], INTEGER, true, |c, a| {
        let login = a.get(1).and_then(Value::as_text);
        Ok(c.host.is_server_role_member(text(a, 0), login).map(i64::from).into())
    }),
    f("HAS_PERMS_BY_NAME", (3, 5), &[NAME], INTEGER, false, |c, a| {
        let part = |i: usize| a.get(i).and_then(Value::as_text);
        Ok(match part(2) {
            Some(permission) => c.host.has_permission(part(0), part(1), permission).map(i64::from).into(),
            None => Value::Null,
        })
    }),
    f("APPLOCK_MODE", (3, 3), &[NAME], Ret::Is(Ty::NVarChar(32)), true, |c, a| {
        Ok(c.host.applock_mode(text(a, 0), text(a, 1), text(a, 2)).into())
    }),
    f("APPLOCK_TEST", (4, 4), &[NAME], Ret::Is(Ty::SmallInt), true, |c, a| {
        Ok(i64::from(c.host.applock_test(text(a, 0), text(a, 1), text(a, 2), text(a, 3))?).into())
    }),
    f("NEWID", (0, 0), &[], Ret::Is(Ty::Guid), false, |c, _| Ok(c.host.new_guid().into())),
    // Clocks. The server's clock has 100 ns steps; datetime rounds.
    f("GETDATE", (0, 0), &[], Ret::Is(Ty::DateTime), false, |c, _| {
        Ok(time_functions::local(c).to_datetime().into())
    }),
    f("CURRENT_TIMESTAMP", (0, 0), &[], Ret::Is(Ty::DateTime), false, |c, _| {
        Ok(time_functions::local(c).to_datetime().into())
    }),
    f("GETUTCDATE", (0, 0), &[], Ret::Is(Ty::DateTime), false, |c, _| Ok(c.now().to_datetime().into())),
    f("SYSDATETIME", (0, 0), &[], Ret::Is(Ty::DateTime2(7)), false, |c, _| {
        Ok(time_functions::local(c).into())
    }),
    f("SYSUTCDATETIME", (0, 0), &[], Ret::Is(Ty::DateTime2(7)), false, |c, _| Ok(c.now().into())),
    // Dates; the first argument of the first four is the unit's number, put there by the binder.
    f("DATEADD", (3, 3), &[INT, BIG, Param::Time], Ret::Last, true, |_, a| time_functions::add(a)),
    f("DATEDIFF", (3, 3), &[INT, Param::Time], INTEGER, true, |_, a| time_functions::difference(a, false)),
    since(
        Version::V2016,
        f("DATEDIFF_BIG", (3, 3), &[INT, Param::Time], Ret::Is(Ty::BigInt), true, |_, a| {
            time_functions::difference(a, true)
        }),
    ),
    f("DATEPART", (2, 2), &[INT, Param::Time], INTEGER, true, |_, a| time_functions::part(a)),
    f("DATENAME", (2, 2), &[INT, Param::Time], Ret::Is(Ty::NVarChar(30)), true, |_, a| {
        time_functions::name(a)
    }),
    f("YEAR", (1, 1), &[Param::Time], INTEGER, true, |_, a| time_functions::named_part(0, a)),
    f("MONTH", (1, 1), &[Param::Time], INTEGER, true, |_, a| time_functions::named_part(2, a)),
    f("DAY", (1, 1), &[Param::Time], INTEGER, true, |_, a| time_functions::named_part(4, a)),
    f("ISDATE", (1, 1), &[N], INTEGER, false, |_, a| {
        Ok(a[0].as_text().is_some_and(|t| crate::time::Ticks::parse(t).is_some()).into())
    }),
    // Texts.
    f("LEN", (1, 1), &[Param::Text], INTEGER, true, |_, a| {
        Ok((text(a, 0).trim_end_matches(' ').encode_utf16().count() as i64).into())
    }),
    f("DATALENGTH", (1, 1), &[Param::Is(Ty::VarBinary(MAX))], INTEGER, true, |_, a| {
        Ok(match &a[0] {
            Value::Binary(b) => (b.len() as i64).into(),
            _ => Value::Null,
        })
    }),
    f("UPPER", (1, 1), &[Param::Text], Ret::FirstText, true, |_, a| Ok(text(a, 0).to_uppercase().into())),
    f("LOWER", (1, 1), &[Param::Text], Ret::FirstText, true, |_, a| Ok(text(a, 0).to_lowercase().into())),
    f("LTRIM", (1, 1), &[Param::Text], Ret::FirstText, true, |_, a| {
        Ok(text(a, 0).trim_start_matches(' ').into())
    }),
    f("RTRIM", (1, 1), &[Param::Text], Ret::FirstText, true, |_, a| {
        Ok(text(a, 0).trim_end_matches(' ').into())
    }),
    since(
        Version::V2017,
        f("TRIM", (1, 1), &[Param::Text], Ret::FirstText, true, |_, a| {
            Ok(text(a, 0).trim_matches(' ').into())
        }),
    ),
    f("REVERSE", (1, 1), &[Param::Text], Ret::FirstText, true, |_, a| {
        Ok(text(a, 0).chars().rev().collect::<String>().into())
    }),
    f("REPLACE", (3, 3), &[Param::Text, N], Ret::LongText, true, |_, a| text_functions::replace(a)),
    f("CHARINDEX", (2, 3), &[N, N, BIG], INTEGER, true, |_, a| text_functions::charindex(a)),
    f("PATINDEX", (2, 2), &[N], INTEGER, true, |_, a| text_functions::patindex(a)),
    f("SUBSTRING", (3, 3), &[Param::Text, BIG], Ret::FirstText, true, |_, a| text_functions::substring(a)),
    f("LEFT", (2, 2), &[Param::Text, BIG], Ret::FirstText, true, |_, a| text_functions::left(a)),
    f("RIGHT", (2, 2), &[Param::Text, BIG], Ret::FirstText, true, |_, a| text_functions::right(a)),
    f("STUFF", (4, 4), &[Param::Text, BIG, BIG, N], Ret::LongText, false, |_, a| text_functions::stuff(a)),
    f("REPLICATE", (2, 2), &[Param::Text, BIG], Ret::LongText, true, |_, a| text_functions::replicate(a)),
    f("SPACE", (1, 1), &[BIG], Ret::Is(Ty::VarChar(8000)), true, |_, a| text_functions::space(a)),
    f(
        "QUOTENAME",
        (1, 2),
        &[Param::Is(Ty::NVarChar(4000)), NAME],
        Ret::Is(Ty::NVarChar(258)),
        true,
        |_, a| Ok(text_functions::quotename(a)),
    ),
    f("PARSENAME", (2, 2), &[NAME, INT], NAMED, true, |_, a| Ok(text_functions::parsename(a))),
    f("CHAR", (1, 1), &[INT], Ret::Is(Ty::VarChar(1)), true, |_, a| Ok(text_functions::character(a, 255))),
    f("NCHAR", (1, 1), &[INT], Ret::Is(Ty::NVarChar(1)), true, |_, a| {
        Ok(text_functions::character(a, 65_535))
    }),
    f("ASCII", (1, 1), &[Param::Text], INTEGER, true, |_, a| Ok(text_functions::code(a, 255))),
    f("UNICODE", (1, 1), &[N], INTEGER, true, |_, a| Ok(text_functions::code(a, 65_535))),
    f("STR", (1, 3), &[Param::Is(Ty::Float), INT], Ret::Is(Ty::VarChar(256)), true, |_, a| {
        text_functions::str(a)
    }),
    f("ISNUMERIC", (1, 1), &[N], INTEGER, false, |_, a| {
        let number =
            a[0].as_text().map(str::trim).is_some_and(|t| t.parse::<f64>().is_ok_and(f64::is_finite));
        Ok(number.into())
    }),
    since(
        Version::V2012,
        f("CONCAT", (2, 254), &[N], Ret::Is(Ty::NVarChar(MAX)), false, |_, a| {
            Ok(a.iter().filter_map(Value::as_text).collect::<String>().into())
        }),
    ),
    since(
        Version::V2017,
        f("CONCAT_WS", (3, 254), &[N], Ret::Is(Ty::NVarChar(MAX)), false, |_, a| {
            let parts: Vec<&str> = a[1..].iter().filter_map(Value::as_text).collect();
            Ok(parts.join(a[0].as_text().unwrap_or("")).into())
        }),
    ),
    // Numbers.
    f("ABS", (1, 1), &[Param::Number], Ret::First, true, |_, a| {
        Ok(match &a[0] {
            Value::Int(i) => Value::Int(i.checked_abs().ok_or_else(|| super::arith::overflow("bigint"))?),
            Value::Numeric(d, s) => Value::Numeric(d.abs(), *s),
            Value::Float(x) => Value::Float(x.abs()),
            other => other.clone(),
        })
    }),
    f("SIGN", (1, 1), &[Param::Number], Ret::First, true, |_, a| {
        Ok(match &a[0] {
            Value::Int(i) => Value::Int(i.signum()),
            Value::Numeric(d, s) => Value::Numeric(d.signum() * crate::convert::power(*s), *s),
            Value::Float(x) if *x == 0.0 => Value::Float(0.0),
            Value::Float(x) => Value::Float(x.signum()),
            other => other.clone(),
        })
    }),
    f("FLOOR", (1, 1), &[Param::Number], Ret::First, true, |_, a| Ok(floor(&a[0], false))),
    f("CEILING", (1, 1), &[Param::Number], Ret::First, true, |_, a| Ok(floor(&a[0], true))),
    f("ROUND", (2, 3), &[Param::Number, INT], Ret::First, true, |_, a| Ok(round(a))),
    // What the binder makes of `.value('.', type)`.
    f(".VALUE", (1, 1), &[N], Ret::Is(Ty::NVarChar(MAX)), true, |_, a| {
        Ok(super::xml::content(text(a, 0)).into())
    }),
    f("@@OPTIONS", (0, 0), &[], INTEGER, false, |_, _| Ok(5496.into())),
    f("@@MAX_PRECISION", (0, 0), &[], Ret::Is(Ty::TinyInt), false, |_, _| Ok(38.into())),
];

/// The function of a name in upper case, if the version has it.
pub(crate) fn find(name: &str, version: Version) -> Option<&'static Function> {
    TABLE.iter().find(|f| f.name == name && f.since <= version)
}

/// All functions with the version that brought them and their arity.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    TABLE.iter()
}

fn text(args: &[Value], i: usize) -> &str {
    args.get(i).and_then(Value::as_text).unwrap_or("")
}

fn identity(cx: &Ctx<'_>) -> Value {
    cx.state.identity.map_or(Value::Null, |i| Value::Numeric(i.into(), 0))
}

/// SUSER_SNAME() is the session's login; a SID is not resolved here.
fn own(cx: &Ctx<'_>, args: &[Value]) -> Result<Value> {
    if args.is_empty() {
        Ok(cx.facts().login.as_str().into())
    } else {
        Err(SqlError::new(195, &[&"suser_sname", &"built-in function name"]))
    }
}

fn object_id(cx: &Ctx<'_>, name: &str) -> Value {
    let Some(parts) = parse_object(name) else { return Value::Null };
    let last = parts.last().map(|p| p.to_lowercase()).unwrap_or_default();
    let exists = if last.starts_with('#') {
        let tempdb = parts.len() < 3 || parts[parts.len() - 3].eq_ignore_ascii_case("tempdb");
        tempdb && cx.temps.temp_exists(&last)
    } else {
        let known = |n: &crate::host::ObjectName| cx.host.columns(n).is_ok_and(|c| c.is_some());
        resolve(&parts, &cx.facts().database).is_ok_and(|n| known(&n) || cx.host.procedure(&n).is_some())
    };
    // The number means nothing but "there is one": the lab has no sys.objects to look it up in.
    let hash = last.bytes().fold(5_381i64, |h, b| (h * 33 + i64::from(b)) & 0x3fff_ffff);
    if exists { Value::Int(hash + 1) } else { Value::Null }
}

fn floor(value: &Value, up: bool) -> Value {
    match value {
        Value::Float(x) => Value::Float(if up { x.ceil() } else { x.floor() }),
        Value::Numeric(d, s) => {
            let unit = crate::convert::power(*s);
            let down = d.div_euclid(unit);
            let whole = if up && d.rem_euclid(unit) != 0 { down + 1 } else { down };
            Value::Numeric(whole * unit, *s)
        }
        other => other.clone(),
    }
}

fn round(args: &[Value]) -> Value {
    let digits = args[1].as_int().unwrap_or(0).clamp(-18, 18) as i32;
    let cut = args.get(2).and_then(Value::as_int).is_some_and(|c| c != 0);
    match &args[0] {
        Value::Float(x) => {
            let unit = 10f64.powi(digits);
            Value::Float(if cut { (x * unit).trunc() / unit } else { (x * unit).round() / unit })
        }
        Value::Numeric(d, s) if digits < i32::from(*s) => {
            let unit = crate::convert::power((i32::from(*s) - digits).min(38) as u8);
            let half = if cut { 0 } else { d.signum() * (unit / 2) };
            Value::Numeric((d + half) / unit * unit, *s)
        }
        Value::Int(i) if digits < 0 => {
            let unit = 10i64.pow((-digits).min(18) as u32);
            let half = if cut { 0 } else { i.signum() * (unit / 2) };
            Value::Int(i.saturating_add(half) / unit * unit)
        }
        other => other.clone(),
    }
}
