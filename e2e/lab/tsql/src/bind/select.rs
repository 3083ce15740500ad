//! Binds SELECT: sources, groups, the select list, ORDER BY, set operations.

use super::expr::together;
use super::{Binder, Clause, CteRef, EMPTY, Result, Scope, ScopeColumn, Typed, assigned, converted};
use crate::ast::{Body, Expr, Item, JoinKind, Name, OrderItem, Query, Select, SetOp, Source};
use crate::convert::common;
use crate::error::SqlError;
use crate::eval::XML;
use crate::plan::{Ex, From, Group, Join, Plan, PlanBody, Pred, SelectPlan, TopPlan, Visit, WindowKind};
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

    fn source(
        &mut self,
        up: Option<&Scope<'_>>,
        source: &'q Source,
        columns: &mut Vec<ScopeColumn>,
    ) -> Result<From> {
        let start = columns.len();
        match source {
            Source::Table { name, alias } => self.table(name, alias.as_ref(), columns),
            Source::Derived { query, alias, columns: names } => {
                let mut inner = self.nested();
                let plan = inner.query(up, query, false)?;
                self.lasting &= inner.lasting;
                add(columns, alias, named(&plan, alias, names)?)?;
                Ok(From::Sub(Arc::new(plan)))
            }
            Source::Values { rows, alias, columns: names } => {
                let empty = Scope { columns: &[], up };
                let mut lines = Vec::new();
                for row in rows {
                    let line = row.iter().map(|e| self.value(&empty, e)).collect::<Result<Vec<_>>>()?;
                    lines.push(line);
                }
                let (values, types) = columnwise(lines)?;
                if names.len() != types.len() {
                    let number = if names.len() < types.len() { 8158 } else { 8159 };
                    return Err(SqlError::new(number, &[alias]));
                }
                let list = names.iter().zip(types).map(|(n, ty)| Column::new(n.clone(), ty)).collect();
                add(columns, alias, list)?;
                Ok(From::Values(values))
            }
            Source::Join { kind, left, right, on } => {
                let left = self.source(up, left, columns)?;
                let left_width = columns.len() - start;
                let right = self.source(up, right, columns)?;
                let right_width = columns.len() - start - left_width;
                let (mut keys, mut rest) = (Vec::new(), None);
                if let Some(on) = on {
                    let clause = std::mem::replace(&mut self.clause, Clause::On);
                    let pred = self.pred(&Scope { columns: &columns[start..], up }, on)?;
                    self.clause = clause;
                    (keys, rest) = equalities(pred, left_width);
                }
                let (outer_left, outer_right) = match kind {
                    JoinKind::Left => (false, true),
                    JoinKind::Right => (true, false),
                    JoinKind::Full => (true, true),
                    _ => (false, false),
                };
                for (i, c) in columns[start..].iter_mut().enumerate() {
                    c.column.nullable |= if i < left_width { outer_left } else { outer_right };
                }
                Ok(From::Join(Box::new(Join {
                    kind: *kind,
                    left,
                    right,
                    left_width,
                    right_width,
                    keys,
                    rest,
                })))
            }
            Source::Apply { outer, left, right } => {
                let left = self.source(up, left, columns)?;
                let Source::Derived { query, alias, columns: names } = &**right else {
                    return Err(SqlError::new(156, &[&"APPLY"]));
                };
                let mut inner = self.nested();
                let plan = inner.query(Some(&Scope { columns: &columns[start..], up }), query, false)?;
                self.lasting &= inner.lasting;
                let mut list = named(&plan, alias, names)?;
                list.iter_mut().for_each(|c| c.nullable |= *outer);
                let width = list.len();
                add(columns, alias, list)?;
                Ok(From::Apply { outer: *outer, left: Box::new(left), right: Arc::new(plan), width })
            }
        }
    }

    fn table(
        &mut self,
        name: &'q Name,
        alias: Option<&String>,
        columns: &mut Vec<ScopeColumn>,
    ) -> Result<From> {
        let last = &name[name.len() - 1];
        let shown = alias.unwrap_or(last);
        if name.len() == 1
            && let Some(at) = self.ctes.iter().rposition(|c| c.name.eq_ignore_ascii_case(last))
        {
            let cte = self.ctes[at].clone();
            let mut inner = self.nested();
            inner.ctes.truncate(at);
            let plan = inner.query(None, cte.query, false)?;
            self.lasting &= inner.lasting;
            add(columns, shown, named(&plan, cte.name, cte.columns)?)?;
            return Ok(From::Sub(Arc::new(plan)));
        }
        if last.starts_with('@') || last.starts_with('#') {
            self.lasting = false;
            let folded = last.to_lowercase();
            let Some(list) = self.catalog.temps.temp_columns(&folded) else {
                let number = if last.starts_with('@') { 1087 } else { 208 };
                return Err(SqlError::new(number, &[last]));
            };
            add(columns, shown, list)?;
            return Ok(From::Temp(folded));
        }
        let object = super::names::resolve(name, self.catalog.database)?;
        match self.catalog.host.columns(&object)? {
            Some(list) => {
                add(columns, shown, list)?;
                Ok(From::Host(object))
            }
            None => Err(SqlError::new(208, &[&name.join(".")])),
        }
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

fn cross(left: From, right: From, left_width: usize, right_width: usize) -> From {
    let kind = JoinKind::Cross;
    From::Join(Box::new(Join { kind, left, right, left_width, right_width, keys: Vec::new(), rest: None }))
}

/// Adds a source's columns under its exposed name; 1011 when the name is taken.
fn add(columns: &mut Vec<ScopeColumn>, qualifier: &str, list: Vec<Column>) -> Result<()> {
    if columns.iter().any(|c| c.qualifier.eq_ignore_ascii_case(qualifier)) {
        return Err(SqlError::new(1011, &[&qualifier]));
    }
    columns.extend(list.into_iter().map(|column| ScopeColumn { qualifier: qualifier.to_owned(), column }));
    Ok(())
}

/// Columns of a derived table or CTE, renamed by its column list.
fn named(plan: &Plan, alias: &str, names: &[String]) -> Result<Vec<Column>> {
    let mut columns = plan.columns.clone();
    if !names.is_empty() {
        if names.len() != columns.len() {
            let number = if names.len() < columns.len() { 8158 } else { 8159 };
            return Err(SqlError::new(number, &[&alias]));
        }
        for (column, name) in columns.iter_mut().zip(names) {
            column.name.clone_from(name);
        }
    }
    for (i, column) in columns.iter().enumerate() {
        if column.name.is_empty() {
            return Err(SqlError::new(8155, &[&(i + 1), &alias]));
        }
        if columns[..i].iter().any(|c| c.name.eq_ignore_ascii_case(&column.name)) {
            return Err(SqlError::new(8156, &[&column.name, &alias]));
        }
    }
    Ok(columns)
}

/// Brings the columns of VALUES rows to one type each.
fn columnwise(lines: Vec<Vec<Typed>>) -> Result<(Vec<Vec<Ex>>, Vec<Ty>)> {
    let width = lines.first().map_or(0, Vec::len);
    let mut rows = vec![Vec::with_capacity(width); lines.len()];
    let mut types = Vec::with_capacity(width);
    for i in 0..width {
        let (ty, values) = together(lines.iter().map(|l| l[i].clone()).collect())?;
        types.push(ty);
        for (row, value) in rows.iter_mut().zip(values) {
            row.push(value);
        }
    }
    Ok((rows, types))
}

/// Takes the equalities between the two sides out of a join's condition.
fn equalities(pred: Pred, left_width: usize) -> (Vec<(Ex, Ex)>, Option<Pred>) {
    let parts = match pred {
        Pred::And(parts) => parts,
        other => vec![other],
    };
    let (mut keys, mut rest) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Pred::Compare(crate::ast::Cmp::Eq, a, b) => match (side(&a, left_width), side(&b, left_width)) {
                (Some(false), Some(true)) => keys.push((a, shifted(b, left_width))),
                (Some(true), Some(false)) => keys.push((b, shifted(a, left_width))),
                _ => rest.push(Pred::Compare(crate::ast::Cmp::Eq, a, b)),
            },
            other => rest.push(other),
        }
    }
    let rest = if rest.is_empty() { None } else { Some(Pred::And(rest)) };
    (keys, rest)
}

/// Which side an expression looks at: right (true), left (false), or neither alone.
fn side(ex: &Ex, left_width: usize) -> Option<bool> {
    let (mut left, mut right, mut other) = (false, false, false);
    let _ = ex.clone().walk(0, &mut |e, _| {
        match e {
            Ex::Col(0, i) if *i < left_width => left = true,
            Ex::Col(0, _) => right = true,
            Ex::Col(..) | Ex::Scalar(_) => other = true,
            _ => {}
        }
        Ok(false)
    });
    match (left, right, other) {
        (true, false, false) => Some(false),
        (false, true, false) => Some(true),
        _ => None,
    }
}

fn shifted(mut ex: Ex, by: usize) -> Ex {
    let _ = ex.walk(0, &mut |e, _| {
        if let Ex::Col(0, i) = e {
            *i -= by;
        }
        Ok(false)
    });
    ex
}

/// Rewrites an expression from the rows of FROM to the rows of GROUP BY: keys first, then aggregates.
struct Regroup<'g> {
    keys: &'g [Ex],
    columns: &'g [ScopeColumn],
    number: i32,
}

impl Regroup<'_> {
    fn apply(&self, ex: &mut Ex) -> Result<()> {
        ex.walk(0, &mut |e, level| self.visit(e, level))
    }

    fn visit(&self, ex: &mut Ex, level: usize) -> Result<bool> {
        if level == 0
            && let Some(i) = self.keys.iter().position(|k| k == ex)
        {
            *ex = Ex::Col(0, i);
            return Ok(true);
        }
        match ex {
            Ex::Agg(i) if level == 0 => {
                *ex = Ex::Col(0, self.keys.len() + *i);
                Ok(true)
            }
            Ex::Col(depth, i) if *depth == level => {
                let plain = Ex::Col(0, *i);
                match self.keys.iter().position(|k| *k == plain) {
                    Some(at) => {
                        *ex = Ex::Col(level, at);
                        Ok(true)
                    }
                    None => {
                        let c = self.columns.get(*i);
                        let (table, name) = c.map_or(("", ""), |c| (&*c.qualifier, &*c.column.name));
                        Err(SqlError::new(self.number, &[&table, &name]))
                    }
                }
            }
            _ => Ok(false),
        }
    }
}
