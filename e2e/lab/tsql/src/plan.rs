//! A bound query: names are positions, every conversion is written out, every type is known.
//!
//! Column references carry how many scopes up they reach. The walk at the end of this file is what keeps
//! those depths right when a grouped query re-numbers its columns.

use crate::ast::{Arith, Cmp, ForXml, JoinKind, Name, SetOp};
use crate::error::SqlError;
use crate::eval::functions::Function;
use crate::host::ObjectName;
use crate::types::{Column, Ty, Value};
use std::sync::Arc;

/// A value to be computed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ex {
    Const(Value),
    /// A variable's slot.
    Var(usize),
    /// Scopes up, position.
    Col(usize, usize),
    /// An aggregate of the query being bound; becomes a column.
    Agg(usize),
    /// A window function of the query being bound; becomes a column.
    Window(usize),
    Convert {
        value: Box<Ex>,
        from: Ty,
        to: Ty,
        style: Option<Box<Ex>>,
        lenient: bool,
    },
    Arith(Arith, Box<Ex>, Box<Ex>, Ty),
    Neg(Box<Ex>),
    BitNot(Box<Ex>),
    Case(Vec<(Pred, Ex)>, Box<Ex>),
    Call(&'static Function, Vec<Ex>),
    Scalar(Arc<Plan>),
}

/// A condition; its value may be unknown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pred {
    Compare(Cmp, Ex, Ex),
    And(Vec<Pred>),
    Or(Vec<Pred>),
    Not(Box<Pred>),
    IsNull(Ex),
    Like { value: Ex, pattern: Ex, escape: Option<Ex>, unicode: bool },
    InQuery { value: Ex, plan: Arc<Plan>, from: Ty, to: Ty },
    Exists(Arc<Plan>),
}

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub columns: Vec<Column>,
    pub body: PlanBody,
    /// `SELECT @x = ...`: slot, operator and type for each projected value.
    pub assigns: Vec<(usize, Option<Arith>, Ty)>,
    pub into: Option<Name>,
    pub xml: Option<ForXml>,
    /// Does it refer to columns outside itself?
    pub correlated: bool,
    /// May it be kept for the next time? Not when it reads temp tables, whose columns may change.
    pub lasting: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PlanBody {
    Select(Box<SelectPlan>),
    Set { op: SetOp, left: Box<Plan>, right: Box<Plan>, order: Vec<(usize, bool)> },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SelectPlan {
    pub from: From,
    pub filter: Option<Pred>,
    pub group: Option<Group>,
    pub having: Option<Pred>,
    pub windows: Vec<Window>,
    pub project: Vec<Ex>,
    pub distinct: bool,
    pub top: Option<TopPlan>,
    pub order: Vec<(Ex, bool)>,
    pub offset: Option<(Ex, Option<Ex>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopPlan {
    pub count: Ex,
    pub percent: bool,
    pub ties: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub keys: Vec<Ex>,
    pub aggregates: Vec<Aggregate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggKind {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    StringAgg,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Aggregate {
    pub kind: AggKind,
    /// None for COUNT(*).
    pub arg: Option<Ex>,
    pub distinct: bool,
    /// Type of the result.
    pub ty: Ty,
    pub separator: Option<Ex>,
    pub order: Vec<(Ex, bool)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WindowKind {
    RowNumber,
    Rank,
    DenseRank,
    Aggregate(Aggregate),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    pub kind: WindowKind,
    pub partition: Vec<Ex>,
    pub order: Vec<(Ex, bool)>,
}

/// Where rows come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum From {
    /// No FROM: one row without columns.
    One,
    Host(ObjectName),
    /// A temp table or table variable by its folded name.
    Temp(String),
    Values(Vec<Vec<Ex>>),
    Sub(Arc<Plan>),
    Join(Box<Join>),
    Apply {
        outer: bool,
        left: Box<From>,
        right: Arc<Plan>,
        width: usize,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Join {
    pub kind: JoinKind,
    pub left: From,
    pub right: From,
    pub left_width: usize,
    pub right_width: usize,
    /// Equalities between the sides, each over its own side's row: what a hash join takes.
    pub keys: Vec<(Ex, Ex)>,
    /// What remains of the condition, over the joined row.
    pub rest: Option<Pred>,
}

/// Called on every expression, the outermost first; true when the visitor has dealt with it whole.
pub(crate) type Visit<'v> = &'v mut dyn FnMut(&mut Ex, usize) -> Result<bool, SqlError>;

impl Ex {
    /// Visits the expression and all below, `level` scopes deep.
    pub fn walk(&mut self, level: usize, visit: Visit<'_>) -> Result<(), SqlError> {
        if visit(self, level)? {
            return Ok(());
        }
        match self {
            Ex::Const(_) | Ex::Var(_) | Ex::Col(..) | Ex::Agg(_) | Ex::Window(_) => Ok(()),
            Ex::Convert { value, style, .. } => {
                value.walk(level, visit)?;
                style.as_mut().map_or(Ok(()), |s| s.walk(level, visit))
            }
            Ex::Arith(_, a, b, _) => {
                a.walk(level, visit)?;
                b.walk(level, visit)
            }
            Ex::Neg(a) | Ex::BitNot(a) => a.walk(level, visit),
            Ex::Case(arms, last) => {
                for (test, value) in arms {
                    test.walk(level, visit)?;
                    value.walk(level, visit)?;
                }
                last.walk(level, visit)
            }
            Ex::Call(_, args) => args.iter_mut().try_for_each(|a| a.walk(level, visit)),
            Ex::Scalar(plan) => Arc::make_mut(plan).walk(level + 1, visit),
        }
    }
}

impl Pred {
    /// As [`Ex::walk`].
    pub fn walk(&mut self, level: usize, visit: Visit<'_>) -> Result<(), SqlError> {
        match self {
            Pred::Compare(_, a, b) => {
                a.walk(level, visit)?;
                b.walk(level, visit)
            }
            Pred::And(list) | Pred::Or(list) => list.iter_mut().try_for_each(|p| p.walk(level, visit)),
            Pred::Not(p) => p.walk(level, visit),
            Pred::IsNull(a) => a.walk(level, visit),
            Pred::Like { value, pattern, escape, .. } => {
                value.walk(level, visit)?;
                pattern.walk(level, visit)?;
                escape.as_mut().map_or(Ok(()), |e| e.walk(level, visit))
            }
            Pred::InQuery { value, plan, .. } => {
                value.walk(level, visit)?;
                Arc::make_mut(plan).walk(level + 1, visit)
            }
            Pred::Exists(plan) => Arc::make_mut(plan).walk(level + 1, visit),
        }
    }
}

impl Plan {
    /// Visits every expression of the plan; its own columns are `level` scopes from the visitor's.
    pub fn walk(&mut self, level: usize, visit: Visit<'_>) -> Result<(), SqlError> {
        let select = match &mut self.body {
            PlanBody::Set { left, right, .. } => {
                left.walk(level, visit)?;
                return right.walk(level, visit);
            }
            PlanBody::Select(select) => select,
        };
        select.from.walk(level, visit)?;
        for pred in select.filter.iter_mut().chain(select.having.iter_mut()) {
            pred.walk(level, visit)?;
        }
        if let Some(group) = &mut select.group {
            group.keys.iter_mut().try_for_each(|k| k.walk(level, visit))?;
            for aggregate in &mut group.aggregates {
                aggregate.walk(level, visit)?;
            }
        }
        for window in &mut select.windows {
            if let WindowKind::Aggregate(aggregate) = &mut window.kind {
                aggregate.walk(level, visit)?;
            }
            window.partition.iter_mut().try_for_each(|e| e.walk(level, visit))?;
            window.order.iter_mut().try_for_each(|e| e.0.walk(level, visit))?;
        }
        select.project.iter_mut().try_for_each(|e| e.walk(level, visit))?;
        select.order.iter_mut().try_for_each(|e| e.0.walk(level, visit))?;
        if let Some(top) = &mut select.top {
            top.count.walk(level, visit)?;
        }
        if let Some((skip, take)) = &mut select.offset {
            skip.walk(level, visit)?;
            take.as_mut().map_or(Ok(()), |t| t.walk(level, visit))?;
        }
        Ok(())
    }

    /// Does any expression reach out of the plan?
    pub fn reaches_out(&mut self) -> bool {
        let mut out = false;
        let result = self.walk(0, &mut |ex, level| {
            out |= matches!(ex, Ex::Col(depth, _) if *depth > level);
            Ok(false)
        });
        out || result.is_err()
    }

    /// Converts an output column to another type.
    pub fn recast(&mut self, column: usize, to: Ty) {
        let from = self.columns[column].ty;
        if from == to {
            return;
        }
        match &mut self.body {
            PlanBody::Set { left, right, .. } => {
                left.recast(column, to);
                right.recast(column, to);
            }
            PlanBody::Select(select) => {
                let value = std::mem::replace(&mut select.project[column], Ex::Const(Value::Null));
                let value = Box::new(value);
                select.project[column] = Ex::Convert { value, from, to, style: None, lenient: false };
            }
        }
        self.columns[column].ty = to;
    }
}

impl Aggregate {
    /// As [`Ex::walk`].
    pub fn walk(&mut self, level: usize, visit: Visit<'_>) -> Result<(), SqlError> {
        self.arg.iter_mut().try_for_each(|e| e.walk(level, visit))?;
        self.separator.iter_mut().try_for_each(|e| e.walk(level, visit))?;
        self.order.iter_mut().try_for_each(|e| e.0.walk(level, visit))
    }
}

impl From {
    fn walk(&mut self, level: usize, visit: Visit<'_>) -> Result<(), SqlError> {
        match self {
            From::One | From::Host(_) | From::Temp(_) => Ok(()),
            From::Values(rows) => rows.iter_mut().flatten().try_for_each(|e| e.walk(level, visit)),
            // A derived table sees what its query's surroundings see, not its neighbours.
            From::Sub(plan) => Arc::make_mut(plan).walk(level, visit),
            From::Join(join) => {
                join.left.walk(level, visit)?;
                join.right.walk(level, visit)?;
                for (a, b) in &mut join.keys {
                    a.walk(level, visit)?;
                    b.walk(level, visit)?;
                }
                join.rest.iter_mut().try_for_each(|p| p.walk(level, visit))
            }
            From::Apply { left, right, .. } => {
                left.walk(level, visit)?;
                Arc::make_mut(right).walk(level + 1, visit)
            }
        }
    }
}
