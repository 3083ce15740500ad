//! Binds parsed expressions and queries: every name to a column, every operator to types.
//!
//! This is where wrong columns, types and groups fail with their numbers (207, 208, 209, 206, 8120, ...),
//! before anything runs.

mod call;
mod expr;
pub(crate) mod names;
mod regroup;
mod select;
mod source;

use crate::ast::{Expr, Query};
use crate::convert::{check_assign, common, way};
use crate::error::SqlError;
use crate::host::{Host, Version};
use crate::plan::{Aggregate, Ex, Plan, Pred, Window};
use crate::types::{Column, Ty, Value};
use names::Variables;

pub(crate) type Result<T> = std::result::Result<T, SqlError>;

/// Columns of temp tables and table variables, by folded name.
pub(crate) trait TempColumns {
    fn temp_columns(&self, name: &str) -> Option<Vec<Column>>;
}

/// What binding looks things up in.
pub(crate) struct Catalog<'a> {
    pub host: &'a dyn Host,
    pub version: Version,
    pub database: &'a str,
    pub vars: &'a Variables,
    pub temps: &'a dyn TempColumns,
}

/// A column that expressions can name.
#[derive(Clone, Debug)]
struct ScopeColumn {
    qualifier: String,
    column: Column,
}

/// The columns in sight, with those of the enclosing queries.
#[derive(Clone, Copy)]
struct Scope<'a> {
    columns: &'a [ScopeColumn],
    up: Option<&'a Scope<'a>>,
}

/// A bound value.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub ex: Ex,
    pub ty: Ty,
    pub nullable: bool,
}

impl Typed {
    fn null() -> Typed {
        Typed { ex: Ex::Const(Value::Null), ty: Ty::Int, nullable: true }
    }

    fn is_null(&self) -> bool {
        matches!(self.ex, Ex::Const(Value::Null))
    }
}

/// The clause under way: says what aggregates may do there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clause {
    /// No query at all, or WHERE: 147.
    Where,
    /// ON: 1015.
    On,
    /// GROUP BY: 144.
    GroupBy,
    /// Inside an aggregate: 130.
    Aggregate,
    /// Select list, HAVING, ORDER BY.
    Free,
}

/// A CTE in sight: its query sees only those before it.
#[derive(Clone)]
struct CteRef<'q> {
    name: &'q str,
    columns: &'q [String],
    query: &'q Query,
}

/// Binds one query or expression.
pub(crate) struct Binder<'a, 'q> {
    catalog: &'a Catalog<'a>,
    ctes: Vec<CteRef<'q>>,
    clause: Clause,
    aggregates: Vec<Aggregate>,
    windows: Vec<Window>,
    lasting: bool,
    /// Columns of the row before grouping, to name them in 8120.
    base: usize,
}

const EMPTY: Scope<'static> = Scope { columns: &[], up: None };

impl<'a, 'q> Binder<'a, 'q> {
    pub fn new(catalog: &'a Catalog<'a>) -> Binder<'a, 'q> {
        Binder {
            catalog,
            ctes: Vec::new(),
            clause: Clause::Where,
            aggregates: Vec::new(),
            windows: Vec::new(),
            lasting: true,
            base: 0,
        }
    }

    fn nested(&self) -> Binder<'a, 'q> {
        let mut binder = Binder::new(self.catalog);
        binder.ctes = self.ctes.clone();
        binder
    }

    /// A query statement.
    pub fn statement(&mut self, query: &'q Query) -> Result<Plan> {
        self.query(None, query, true)
    }

    /// A value outside of any query: of SET, DECLARE, PRINT, VALUES. A bare name there is 128.
    pub fn scalar(&mut self, expr: &'q Expr) -> Result<Typed> {
        self.value(&EMPTY, expr).map_err(|e| match (e.number, expr) {
            (207, Expr::Name(name)) => SqlError::new(128, &[&name.join(".")]),
            _ => e,
        })
    }

    /// A condition outside of any query: of IF and WHILE.
    pub fn condition(&mut self, expr: &'q Expr) -> Result<Pred> {
        self.pred(&EMPTY, expr)
    }

    /// Values and a condition over one table: UPDATE and DELETE.
    pub fn over_table(
        &mut self,
        table: &str,
        columns: &[Column],
        values: &[&'q Expr],
        filter: Option<&'q Expr>,
    ) -> Result<(Vec<Typed>, Option<Pred>)> {
        let columns: Vec<ScopeColumn> =
            columns.iter().map(|c| ScopeColumn { qualifier: table.to_owned(), column: c.clone() }).collect();
        let scope = Scope { columns: &columns, up: None };
        let values = values.iter().map(|e| self.value(&scope, e)).collect::<Result<Vec<_>>>()?;
        let filter = filter.map(|e| self.pred(&scope, e)).transpose()?;
        Ok((values, filter))
    }

    /// Did everything bound so far name only lasting objects?
    pub fn is_lasting(&self) -> bool {
        self.lasting
    }
}

/// The expression converted for storing into `to`; 206 or 257 where that takes a CAST.
pub(crate) fn assigned(value: Typed, to: Ty) -> Result<Ex> {
    if !value.is_null() {
        check_assign(value.ty, to)?;
    }
    Ok(converted(value, to))
}

/// The expression as `to`, without asking whether that is allowed.
pub(crate) fn converted(value: Typed, to: Ty) -> Ex {
    let wider = |a: i32, b: i32| b == crate::types::MAX || a != crate::types::MAX && a <= b;
    let free = match (value.ty, to) {
        (a, b) if a == b => true,
        (Ty::NVarChar(a) | Ty::VarChar(a), Ty::NVarChar(b)) | (Ty::VarChar(a), Ty::VarChar(b)) => wider(a, b),
        (_, Ty::Variant) => true,
        _ => false,
    };
    if free || value.is_null() {
        return value.ex;
    }
    Ex::Convert { value: Box::new(value.ex), from: value.ty, to, style: None, lenient: false }
}

/// The type where two values meet; NULL takes the other's.
fn meet(a: &Typed, b: &Typed) -> Result<Ty> {
    if a.is_null() {
        return Ok(b.ty);
    }
    if b.is_null() {
        return Ok(a.ty);
    }
    common(a.ty, b.ty)
}

/// CAST: 529 where the types have nothing to do with each other.
fn cast(value: Typed, to: Ty, style: Option<Ex>, lenient: bool) -> Result<Typed> {
    if !value.is_null() && way(value.ty, to) == crate::convert::Way::Never {
        return Err(SqlError::new(529, &[&value.ty.name(), &to.name()]));
    }
    let nullable = value.nullable || lenient;
    let ex =
        Ex::Convert { value: Box::new(value.ex), from: value.ty, to, style: style.map(Box::new), lenient };
    Ok(Typed { ex, ty: to, nullable })
}
