//! Evaluates bound expressions and queries. Pure reading: it asks the host for rows and facts and changes
//! nothing but the variables that a SELECT assigns.

mod aggregate;
pub(crate) mod arith;
pub(crate) mod functions;
pub(crate) mod query;
mod text_functions;
mod time_functions;
mod xml;

use crate::ast::Cmp;
use crate::convert::{compare, convert_from, like};
use crate::error::SqlError;
use crate::host::{Host, ObjectName, SessionFacts};
use crate::plan::{Ex, Plan, Pred};
use crate::time::Ticks;
use crate::types::{Row, Value};
use std::cell::{OnceCell, RefCell};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use time_functions::unit as time_unit;
pub(crate) use xml::XML;

type Result<T> = std::result::Result<T, SqlError>;

/// What the session itself knows and expressions ask for.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionState {
    /// `@@ROWCOUNT`.
    pub rowcount: i64,
    /// `@@ERROR`.
    pub error: i32,
    /// `@@FETCH_STATUS`.
    pub fetch: i64,
    /// `@@TRANCOUNT`.
    pub trancount: i32,
    /// `@@NESTLEVEL`.
    pub nesting: i32,
    /// `@@IDENTITY`.
    pub identity: Option<i64>,
    /// Errors that the enclosing CATCH blocks handle, innermost last.
    pub caught: Vec<SqlError>,
}

/// Rows of temp tables and table variables, by folded name.
pub(crate) trait TempRows {
    fn temp_rows(&self, name: &str) -> Option<Arc<Vec<Row>>>;
    fn temp_exists(&self, name: &str) -> bool;
}

/// Everything that one statement may look at. Views are read once a statement: one statement, one state.
pub(crate) struct Ctx<'a> {
    pub host: &'a dyn Host,
    pub vars: &'a RefCell<Vec<Value>>,
    pub state: &'a SessionState,
    pub temps: &'a dyn TempRows,
    facts: OnceCell<SessionFacts>,
    now: OnceCell<Ticks>,
    withholds: OnceCell<bool>,
    tables: RefCell<HashMap<ObjectName, Arc<Vec<Row>>>>,
    /// Results of subqueries that do not depend on the row, by the plan's address.
    constant: RefCell<HashMap<usize, Arc<Vec<Row>>>>,
}

/// The row that expressions refer to, with those of the enclosing queries.
pub(crate) struct Env<'a> {
    pub row: &'a [Value],
    pub up: Option<&'a Env<'a>>,
}

/// No row at all.
pub(crate) const NOWHERE: Env<'static> = Env { row: &[], up: None };

impl<'a> Ctx<'a> {
    pub fn new(
        host: &'a dyn Host,
        vars: &'a RefCell<Vec<Value>>,
        state: &'a SessionState,
        temps: &'a dyn TempRows,
    ) -> Ctx<'a> {
        Ctx {
            host,
            vars,
            state,
            temps,
            facts: OnceCell::new(),
            now: OnceCell::new(),
            withholds: OnceCell::new(),
            tables: RefCell::default(),
            constant: RefCell::default(),
        }
    }

    /// The session's facts, asked for once a statement.
    pub fn facts(&self) -> &SessionFacts {
        self.facts.get_or_init(|| self.host.session())
    }

    /// The clock, read once a statement as SQL Server does for a query.
    pub fn now(&self) -> Ticks {
        *self.now.get_or_init(|| self.host.now())
    }

    fn withholds(&self) -> bool {
        *self.withholds.get_or_init(|| self.host.withholds())
    }

    fn rows(&self, name: &ObjectName) -> Result<Arc<Vec<Row>>> {
        if let Some(rows) = self.tables.borrow().get(name) {
            return Ok(Arc::clone(rows));
        }
        let rows = Arc::new(self.host.rows(name)?);
        self.tables.borrow_mut().insert(name.clone(), Arc::clone(&rows));
        Ok(rows)
    }

    /// Rows of a subquery; computed once when it does not depend on the row.
    fn subquery(&self, plan: &Arc<Plan>, env: &Env<'_>) -> Result<Arc<Vec<Row>>> {
        if plan.correlated {
            return query::rows(plan, self, Some(env)).map(Arc::new);
        }
        let key = Arc::as_ptr(plan) as usize;
        if let Some(rows) = self.constant.borrow().get(&key) {
            return Ok(Arc::clone(rows));
        }
        let rows = Arc::new(query::rows(plan, self, Some(env))?);
        self.constant.borrow_mut().insert(key, Arc::clone(&rows));
        Ok(rows)
    }
}

/// The value of an expression.
pub(crate) fn value(ex: &Ex, cx: &Ctx<'_>, env: &Env<'_>) -> Result<Value> {
    Ok(match ex {
        Ex::Const(v) => v.clone(),
        Ex::Var(slot) => cx.vars.borrow().get(*slot).cloned().unwrap_or(Value::Null),
        Ex::Col(depth, index) => {
            let mut scope = env;
            for _ in 0..*depth {
                match scope.up {
                    Some(up) => scope = up,
                    None => return Err(internal("a column outside its query")),
                }
            }
            scope.row.get(*index).cloned().ok_or_else(|| internal("a column outside its row"))?
        }
        Ex::Agg(_) | Ex::Window(_) => return Err(internal("an aggregate outside its group")),
        Ex::Convert { value: inner, from, to, style, lenient } => {
            let style = match style {
                Some(style) => match value(style, cx, env)? {
                    Value::Null => return Ok(Value::Null),
                    v => v.as_int().unwrap_or(0),
                },
                None => 0,
            };
            let inner = value(inner, cx, env)?;
            match convert_from(inner, *from, *to, style) {
                // TRY_CONVERT forgives bad values, not impossible pairs of types (529).
                Err(e) if *lenient && e.number != 529 => Value::Null,
                other => other?,
            }
        }
        Ex::Arith(op, a, b, ty) => arith::apply(*op, value(a, cx, env)?, value(b, cx, env)?, *ty)?,
        Ex::Neg(a) => match value(a, cx, env)? {
            Value::Int(i) => Value::Int(i.checked_neg().ok_or_else(|| arith::overflow("bigint"))?),
            Value::Numeric(d, s) => Value::Numeric(-d, s),
            Value::Float(f) => Value::Float(-f),
            other => other,
        },
        Ex::BitNot(a) => match value(a, cx, env)? {
            Value::Int(i) => Value::Int(!i),
            other => other,
        },
        Ex::Case(arms, last) => {
            for (test, result) in arms {
                if truth(test, cx, env)? == Some(true) {
                    return value(result, cx, env);
                }
            }
            value(last, cx, env)?
        }
        Ex::Call(function, args) => {
            let args = args.iter().map(|a| value(a, cx, env)).collect::<Result<Vec<_>>>()?;
            match cx.withholds() && cx.host.withheld(function.name) {
                true => Value::Null,
                false => function.run(cx, args)?,
            }
        }
        Ex::Scalar(plan) => {
            let rows = cx.subquery(plan, env)?;
            match &rows[..] {
                [] => Value::Null,
                [row] => row.first().cloned().unwrap_or(Value::Null),
                _ => return Err(SqlError::new(512, &[])),
            }
        }
    })
}

/// The truth of a condition; `None` is unknown.
pub(crate) fn truth(pred: &Pred, cx: &Ctx<'_>, env: &Env<'_>) -> Result<Option<bool>> {
    Ok(match pred {
        Pred::Compare(op, a, b) => {
            // Both sides are computed even when one is NULL: a bad constant fails whatever the row holds.
            compare(&value(a, cx, env)?, &value(b, cx, env)?).map(|o| match op {
                Cmp::Eq => o == Ordering::Equal,
                Cmp::Ne => o != Ordering::Equal,
                Cmp::Lt => o == Ordering::Less,
                Cmp::Le => o != Ordering::Greater,
                Cmp::Gt => o == Ordering::Greater,
                Cmp::Ge => o != Ordering::Less,
            })
        }
        Pred::And(list) => {
            let mut unknown = false;
            for p in list {
                match truth(p, cx, env)? {
                    Some(false) => return Ok(Some(false)),
                    Some(true) => {}
                    None => unknown = true,
                }
            }
            if unknown { None } else { Some(true) }
        }
        Pred::Or(list) => {
            let mut unknown = false;
            for p in list {
                match truth(p, cx, env)? {
                    Some(true) => return Ok(Some(true)),
                    Some(false) => {}
                    None => unknown = true,
                }
            }
            if unknown { None } else { Some(false) }
        }
        Pred::Not(p) => truth(p, cx, env)?.map(|b| !b),
        Pred::IsNull(a) => Some(value(a, cx, env)?.is_null()),
        Pred::Like { value: text, pattern, escape, unicode } => {
            let (text, pattern) = (value(text, cx, env)?, value(pattern, cx, env)?);
            let escape = match escape {
                None => None,
                Some(e) => match value(e, cx, env)? {
                    Value::Text(t) if t.chars().count() == 1 => t.chars().next(),
                    Value::Text(t) => {
                        let text = format!(
                            "The invalid escape character \"{t}\" was specified in a LIKE predicate."
                        );
                        return Err(SqlError::custom(506, 16, 1, text));
                    }
                    _ => return Ok(None),
                },
            };
            match (text.as_text(), pattern.as_text()) {
                (Some(t), Some(p)) => Some(like(t, p, escape, *unicode)),
                _ => None,
            }
        }
        Pred::InQuery { value: ex, plan, from, to } => {
            let needle = value(ex, cx, env)?;
            let rows = cx.subquery(plan, env)?;
            let mut answer = Some(false);
            for row in rows.iter() {
                let other = convert_from(row[0].clone(), *from, *to, 0)?;
                match compare(&needle, &other) {
                    Some(Ordering::Equal) => return Ok(Some(true)),
                    Some(_) => {}
                    None => answer = None,
                }
            }
            answer
        }
        Pred::Exists(plan) => Some(!cx.subquery(plan, env)?.is_empty()),
    })
}

fn internal(what: &str) -> SqlError {
    SqlError::custom(8624, 16, 1, format!("Internal query processor error: {what}."))
}
