//! Binds SELECT: groups, the select list, ORDER BY, set operations.

use super::regroup::Regroup;
use super::source::cross;
use super::{Binder, Clause, CteRef, EMPTY, Result, Scope, Typed, assigned, converted};
use crate::ast::{Body, Expr, Item, OrderItem, Query, Select, SetOp};
use crate::convert::common;
use crate::error::SqlError;
use crate::eval::XML;
use crate::plan::{Ex, From, Group, Plan, PlanBody, SelectPlan, TopPlan, Visit, WindowKind};
use crate::types::{Column, Ty, Value};
use std::sync::Arc;

/// Name that SQL Server gives the column of FOR XML.
const XML_COLUMN: &str = "XML_F52E2B61-18A1-11d1-B105-00805F49916B";

impl<'q> Binder<'_, 'q> {
    /// A query; `outermost` when it is a statement of its own, which may assign and create.
    pub(super) fn query(
        &mut self,
        up: Option<&Scope<'_>>,
        query: &'q Query,
        outermost: bool,
    ) -> Result<Plan> {
        let known = self.ctes.len();
        for cte in &query.ctes {
            self.ctes.push(CteRef { name: &cte.name, columns: &cte.columns, query: &cte.query });
        }
        let plan = self.query_body(up, query, outermost);
        self.ctes.truncate(known);
        let mut plan = plan?;
        plan.correlated = plan.reaches_out();
        plan.lasting = self.lasting;
        Ok(plan)
    }

    fn query_body(&mut self, up: Option<&Scope<'_>>, query: &'q Query, outermost: bool) -> Result<Plan> {
        let mut plan = match &query.body {
            Body::Select(select) => {
                let bare = select.top.is_none() && query.offset.is_none() && query.xml.is_none();
                if !outermost && bare && !query.order.is_empty() {
                    return Err(SqlError::new(1033, &[]));
                }
                self.select(up, select, &query.order, query.offset.as_ref(), outermost)?
            }
            Body::Nested(inner) if query.order.is_empty() => self.query(up, inner, outermost)?,
            Body::Nested(_) => return Err(SqlError::new(156, &[&"ORDER"])),
            Body::Set(op, left, right) => {
                if !outermost && !query.order.is_empty() && query.xml.is_none() {
                    return Err(SqlError::new(1033, &[]));
                }
                self.set(up, *op, left, right, &query.order)?
            }
        };
        if query.xml.is_some() {
            // The names of the columns become elements: the plan keeps them, the result has one column.
            if !plan.assigns.is_empty() || plan.into.is_some() {
                return Err(SqlError::new(156, &[&"XML"]));
            }
            plan.xml.clone_from(&query.xml);
            plan.correlated = plan.reaches_out();
            let inner = Arc::new(plan);
            plan = Plan {
                columns: vec![Column::new(XML_COLUMN, XML)],
                body: PlanBody::Select(Box::new(SelectPlan {
                    from: From::Sub(inner),
                    filter: None,
                    group: None,
                    having: None,
                    windows: Vec::new(),
                    project: vec![Ex::Col(0, 0)],
                    distinct: false,
                    top: None,
                    order: Vec::new(),
                    offset: None,
                })),
                assigns: Vec::new(),
                into: None,
                xml: None,
                correlated: false,
                lasting: true,
            };
        }
        Ok(plan)
    }

    fn set(
        &mut self,
        up: Option<&Scope<'_>>,
        op: SetOp,
        left: &'q Body,
        right: &'q Body,
        order: &'q [OrderItem],
    ) -> Result<Plan> {
        let (mut left, mut right) = (self.branch(up, left)?, self.branch(up, right)?);
        if left.columns.len() != right.columns.len() {
            return Err(SqlError::new(205, &[]));
        }
        if !left.assigns.is_empty() || !right.assigns.is_empty() {
            return Err(SqlError::custom(
                10734,
                15,
                1,
                "Variable assignment is not allowed in a statement containing a top level UNION, INTERSECT or EXCEPT operator.",
            ));
        }
        let mut columns = left.columns.clone();
        for (i, column) in columns.iter_mut().enumerate() {
            let (a, b) = (null_column(&left, i), null_column(&right, i));
            let (x, y) = (left.columns[i].ty, right.columns[i].ty);
            column.ty = match (a, b) {
                (true, false) => y,
                (false, true) => x,
                _ => common(x, y)?,
            };
            column.nullable |= right.columns[i].nullable;
            left.recast(i, column.ty);
            right.recast(i, column.ty);
        }
        let mut positions = Vec::new();
        for item in order {
            let position = match &item.expr {
                Expr::Lit(Value::Int(n), _) => ordinal(*n, columns.len())?,
                Expr::Name(parts) if parts.len() == 1 => columns
                    .iter()
                    .position(|c| c.name.eq_ignore_ascii_case(&parts[0]))
                    .ok_or_else(|| SqlError::new(207, &[&parts[0]]))?,
                _ => return Err(SqlError::new(104, &[])),
            };
            positions.push((position, item.descending));
        }
        let into = left.into.take();
        Ok(Plan {
            columns,
            body: PlanBody::Set { op, left: Box::new(left), right: Box::new(right), order: positions },
            assigns: Vec::new(),
            into,
            xml: None,
            correlated: false,
            lasting: true,
        })
    }

    fn branch(&mut self, up: Option<&Scope<'_>>, body: &'q Body) -> Result<Plan> {
        let mut inner = self.nested();
        let plan = match body {
            Body::Select(select) => inner.select(up, select, &[], None, true),
            Body::Set(op, left, right) => inner.set(up, *op, left, right, &[]),
            Body::Nested(query) => inner.query(up, query, false),
        };
        self.lasting &= inner.lasting;
        plan
    }

    fn select(
        &mut self,
        up: Option<&Scope<'_>>,
        select: &'q Select,
        order: &'q [OrderItem],
        offset: Option<&'q (Expr, Option<Expr>)>,
        outermost: bool,
    ) -> Result<Plan> {
        let mut columns = Vec::new();
        let mut from = From::One;
        for (i, source) in select.from.iter().enumerate() {
            let left_width = columns.len();
            let right = self.source(up, source, &mut columns)?;
            let right_width = columns.len() - left_width;
            from = if i == 0 { right } else { cross(from, right, left_width, right_width) };
        }
        let scope = Scope { columns: &columns, up };
        self.clause = Clause::Where;
        let filter = select.filter.as_ref().map(|e| self.pred(&scope, e)).transpose()?;
        self.clause = Clause::GroupBy;
        let mut keys = Vec::new();
        for e in &select.group {
            keys.push(self.value(&scope, e)?.ex);
        }
        self.clause = Clause::Free;
        self.base = columns.len();
        let mut out = Vec::new();
        let mut assigns = Vec::new();
        for item in &select.items {
            self.item(&scope, item, &mut out, &mut assigns)?;
        }
        if !assigns.is_empty() && (assigns.len() != out.len() || !outermost) {
            return Err(SqlError::new(141, &[]));
        }
        let mut having = select.having.as_ref().map(|e| self.pred(&scope, e)).transpose()?;
        let mut sort = Vec::new();
        for item in order {
            sort.push((self.sort_key(&scope, &item.expr, &out)?, item.descending));
        }
        if select.distinct && sort.iter().any(|(key, _)| !out.iter().any(|(_, v)| v.ex == *key)) {
            return Err(SqlError::new(145, &[]));
        }
        self.clause = Clause::Where;
        let names: Vec<Column> =
            out.iter().map(|(n, v)| Column { name: n.clone(), ty: v.ty, nullable: v.nullable }).collect();
        let mut project: Vec<Ex> = out.into_iter().map(|(_, v)| v.ex).collect();
        let aggregates = std::mem::take(&mut self.aggregates);
        let mut windows = std::mem::take(&mut self.windows);
        let grouped = !keys.is_empty() || !aggregates.is_empty() || having.is_some();
        let mut width = columns.len();
        if grouped {
            width = keys.len() + aggregates.len();
            let regroup = |number: i32| Regroup { keys: &keys, columns: &columns, number };
            project.iter_mut().try_for_each(|e| regroup(8120).apply(e))?;
            sort.iter_mut().try_for_each(|e| regroup(8127).apply(&mut e.0))?;
            if let Some(p) = &mut having {
                let g = regroup(8121);
                p.walk(0, &mut |e, level| g.visit(e, level))?;
            }
            for window in &mut windows {
                if let WindowKind::Aggregate(a) = &mut window.kind {
                    a.arg.iter_mut().try_for_each(|e| regroup(8120).apply(e))?;
                }
                window.partition.iter_mut().try_for_each(|e| regroup(8120).apply(e))?;
                window.order.iter_mut().try_for_each(|e| regroup(8120).apply(&mut e.0))?;
            }
        }
        let place: Visit<'_> = &mut |e, _| {
            if let Ex::Window(i) = e {
                *e = Ex::Col(0, width + *i);
            }
            Ok(false)
        };
        project.iter_mut().try_for_each(|e| e.walk(0, place))?;
        sort.iter_mut().try_for_each(|e| e.0.walk(0, place))?;
        let top = match &select.top {
            Some(top) => {
                let count = self.value(&EMPTY, &top.count)?;
                let count =
                    if top.percent { converted(count, Ty::Float) } else { assigned(count, Ty::BigInt)? };
                Some(TopPlan { count, percent: top.percent, ties: top.ties })
            }
            None => None,
        };
        let offset = match offset {
            Some((skip, take)) => {
                let skip = self.value(&EMPTY, skip)?;
                let take = match take {
                    Some(t) => Some(assigned(self.value(&EMPTY, t)?, Ty::BigInt)?),
                    None => None,
                };
                Some((assigned(skip, Ty::BigInt)?, take))
            }
            None => None,
        };
        Ok(Plan {
            columns: names,
            body: PlanBody::Select(Box::new(SelectPlan {
                from,
                filter,
                group: grouped.then_some(Group { keys, aggregates }),
                having,
                windows,
                project,
                distinct: select.distinct,
                top,
                order: sort,
                offset,
            })),
            assigns,
            into: select.into.clone(),
            xml: None,
            correlated: false,
            lasting: true,
        })
    }

    fn item(
        &mut self,
        scope: &Scope<'_>,
        item: &'q Item,
        out: &mut Vec<(String, Typed)>,
        assigns: &mut Vec<(usize, Option<crate::ast::Arith>, Ty)>,
    ) -> Result<()> {
        match item {
            Item::Star(qualifier) => {
                let before = out.len();
                for (i, c) in scope.columns.iter().enumerate() {
                    let wanted = qualifier.as_ref().and_then(|q| q.last());
                    if wanted.is_none_or(|q| c.qualifier.eq_ignore_ascii_case(q)) {
                        let value = Typed { ex: Ex::Col(0, i), ty: c.column.ty, nullable: c.column.nullable };
                        out.push((c.column.name.clone(), value));
                    }
                }
                if out.len() == before {
                    return Err(match qualifier {
                        Some(name) => SqlError::new(107, &[&name.join(".")]),
                        None => SqlError::custom(263, 16, 1, "Must specify table to select from."),
                    });
                }
            }
            Item::Expr(expr, alias) => {
                let value = self.value(scope, expr)?;
                let name = match (alias, expr) {
                    (Some(alias), _) => alias.clone(),
                    (None, Expr::Name(parts)) => match &value.ex {
                        // The catalog's spelling, not the statement's.
                        Ex::Col(0, i) => scope.columns[*i].column.name.clone(),
                        _ => parts[parts.len() - 1].clone(),
                    },
                    _ => String::new(),
                };
                out.push((name, value));
            }
            Item::Assign(name, op, expr) => {
                let (slot, ty) = self.catalog.vars.find(name)?;
                let value = self.value(scope, expr)?;
                if !value.is_null() {
                    crate::convert::check_assign(value.ty, ty)?;
                }
                assigns.push((slot, *op, ty));
                out.push((String::new(), value));
            }
        }
        Ok(())
    }

    /// ORDER BY takes a position, an alias, or any value.
    fn sort_key(&mut self, scope: &Scope<'_>, expr: &'q Expr, out: &[(String, Typed)]) -> Result<Ex> {
        match expr {
            Expr::Lit(Value::Int(n), _) => return Ok(out[ordinal(*n, out.len())?].1.ex.clone()),
            Expr::Name(parts) if parts.len() == 1 => {
                let mut hits = out.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&parts[0]));
                if let Some((_, first)) = hits.next() {
                    if hits.any(|(_, other)| other.ex != first.ex) {
                        return Err(SqlError::new(209, &[&parts[0]]));
                    }
                    return Ok(first.ex.clone());
                }
            }
            _ => {}
        }
        Ok(self.value(scope, expr)?.ex)
    }
}

fn ordinal(n: i64, columns: usize) -> Result<usize> {
    match usize::try_from(n) {
        Ok(n) if n >= 1 && n <= columns => Ok(n - 1),
        _ => Err(SqlError::new(108, &[&n])),
    }
}

fn null_column(plan: &Plan, column: usize) -> bool {
    matches!(&plan.body, PlanBody::Select(s) if s.project[column] == Ex::Const(Value::Null))
}
