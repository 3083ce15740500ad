//! Runs bound queries: scans, joins, order, set operations.

use super::aggregate::{grouped, windowed};
use super::{Ctx, Env, NOWHERE, Result, arith, truth, value, xml};
use crate::ast::{JoinKind, SetOp};
use crate::convert::{convert_from, fold, order as compare_order};
use crate::error::SqlError;
use crate::plan::{Ex, From, Join, Plan, PlanBody, Pred, SelectPlan};
use crate::types::{Row, Value};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A value as GROUP BY, DISTINCT and joins tell values apart.
#[derive(PartialEq, Eq, Hash, Clone)]
pub(super) enum Key {
    Null,
    Number(i128, u8),
    Bits(u64),
    Text(String),
    Time(i64),
    Bytes(Vec<u8>),
}

pub(super) fn key(value: &Value) -> Key {
    match value {
        Value::Null => Key::Null,
        Value::Int(i) => Key::Number(i128::from(*i), 0),
        Value::Numeric(d, s) => {
            let (mut d, mut s) = (*d, *s);
            while s > 0 && d % 10 == 0 {
                d /= 10;
                s -= 1;
            }
            Key::Number(d, s)
        }
        Value::Float(f) => Key::Bits(if *f == 0.0 { 0 } else { f.to_bits() }),
        Value::Text(t) => Key::Text(fold(t)),
        Value::Time(t) => Key::Time(t.0),
        Value::Guid(g) => Key::Bytes(g.to_vec()),
        Value::Binary(b) => {
            let end = b.iter().rposition(|x| *x != 0).map_or(0, |i| i + 1);
            Key::Bytes(b[..end].to_vec())
        }
    }
}

pub(super) fn keys(row: &[Value]) -> Vec<Key> {
    row.iter().map(key).collect()
}

/// All rows of a query.
pub(crate) fn rows(plan: &Plan, cx: &Ctx<'_>, up: Option<&Env<'_>>) -> Result<Vec<Row>> {
    let rows = match &plan.body {
        PlanBody::Select(select) => select_rows(select, plan, cx, up)?,
        PlanBody::Set { op, left, right, order } => {
            let mut out = rows(left, cx, up)?;
            let other = rows(right, cx, up)?;
            let mut seen = HashSet::new();
            match op {
                SetOp::UnionAll => out.extend(other),
                SetOp::Union => {
                    out.extend(other);
                    out.retain(|r| seen.insert(keys(r)));
                }
                SetOp::Except | SetOp::Intersect => {
                    let other: HashSet<_> = other.iter().map(|r| keys(r)).collect();
                    let wanted = *op == SetOp::Intersect;
                    out.retain(|r| other.contains(&keys(r)) == wanted && seen.insert(keys(r)));
                }
            }
            out.sort_by(|a, b| by_positions(a, b, order));
            out
        }
    };
    match &plan.xml {
        Some(xml) => xml::rows(xml, plan, &rows),
        None => Ok(rows),
    }
}

pub(super) fn by_positions(a: &[Value], b: &[Value], order: &[(usize, bool)]) -> Ordering {
    for (i, descending) in order {
        let o = compare_order(&a[*i], &b[*i]);
        if o != Ordering::Equal {
            return if *descending { o.reverse() } else { o };
        }
    }
    Ordering::Equal
}

/// Sorts rows by expressions, evaluated once a row.
pub(super) fn sorted(
    rows: Vec<Row>,
    order: &[(Ex, bool)],
    cx: &Ctx<'_>,
    up: Option<&Env<'_>>,
) -> Result<Vec<(Row, Row)>> {
    let mut keyed = Vec::with_capacity(rows.len());
    for row in rows {
        let key = evaluate(order.iter().map(|o| &o.0), cx, &Env { row: &row, up })?;
        keyed.push((key, row));
    }
    let positions: Vec<(usize, bool)> = order.iter().enumerate().map(|(i, o)| (i, o.1)).collect();
    keyed.sort_by(|a, b| by_positions(&a.0, &b.0, &positions));
    Ok(keyed)
}

pub(super) fn evaluate<'e>(exs: impl Iterator<Item = &'e Ex>, cx: &Ctx<'_>, env: &Env<'_>) -> Result<Row> {
    exs.map(|e| value(e, cx, env)).collect()
}

fn select_rows(select: &SelectPlan, plan: &Plan, cx: &Ctx<'_>, up: Option<&Env<'_>>) -> Result<Vec<Row>> {
    let found = source(&select.from, cx, up)?;
    // Rows are copied as late as possible: views of a busy msdb are long and wide.
    let mut rows = match (&select.filter, &select.group) {
        (None, None) => Arc::unwrap_or_clone(found),
        (Some(filter), None) => kept(&found, filter, cx, up)?.into_iter().cloned().collect(),
        (None, Some(group)) => grouped(&found.iter().collect::<Vec<_>>(), group, cx, up)?,
        (Some(filter), Some(group)) => grouped(&kept(&found, filter, cx, up)?, group, cx, up)?,
    };
    if let Some(having) = &select.having {
        rows = kept(&rows, having, cx, up)?.into_iter().cloned().collect();
    }
    for window in &select.windows {
        windowed(window, &mut rows, cx, up)?;
    }
    // Each item is (sort key, row, projected row): DISTINCT looks at what is projected, TOP cuts behind it.
    let mut out: Vec<(Row, Row)> = Vec::new();
    if select.order.is_empty() {
        out.extend(rows.into_iter().map(|r| (Vec::new(), r)));
    } else {
        out = sorted(rows, &select.order, cx, up)?;
    }
    let assigning = !plan.assigns.is_empty();
    let mut projected: Vec<(Row, Row)> = Vec::with_capacity(out.len());
    if assigning {
        cut(&mut out, select, cx)?;
        let count = out.len();
        for (_, row) in &out {
            assign(select, plan, cx, &Env { row, up })?;
        }
        return Ok(vec![Vec::new(); count]);
    }
    if select.distinct {
        let mut seen = HashSet::new();
        for (key, row) in out {
            let line = evaluate(select.project.iter(), cx, &Env { row: &row, up })?;
            if seen.insert(keys(&line)) {
                projected.push((key, line));
            }
        }
        cut(&mut projected, select, cx)?;
    } else {
        cut(&mut out, select, cx)?;
        for (key, row) in out {
            let line = evaluate(select.project.iter(), cx, &Env { row: &row, up })?;
            projected.push((key, line));
        }
    }
    Ok(projected.into_iter().map(|p| p.1).collect())
}

/// `SELECT @x = ...`: once a row, so that `@x = @x + ...` adds up.
fn assign(select: &SelectPlan, plan: &Plan, cx: &Ctx<'_>, env: &Env<'_>) -> Result<()> {
    for ((ex, (slot, op, to)), column) in select.project.iter().zip(&plan.assigns).zip(&plan.columns) {
        let new = value(ex, cx, env)?;
        let new = match op {
            Some(op) => {
                let old = cx.vars.borrow()[*slot].clone();
                arith::compound(*op, old, *to, new, column.ty)?
            }
            None => convert_from(new, column.ty, *to, 0)?,
        };
        cx.vars.borrow_mut()[*slot] = new;
    }
    Ok(())
}

/// TOP and OFFSET.
fn cut(rows: &mut Vec<(Row, Row)>, select: &SelectPlan, cx: &Ctx<'_>) -> Result<()> {
    if let Some(top) = &select.top {
        let count = match value(&top.count, cx, &NOWHERE)? {
            Value::Null => {
                return Err(SqlError::custom(
                    1014,
                    15,
                    1,
                    "A TOP or FETCH clause contains an invalid value.",
                ));
            }
            Value::Float(f) => f.ceil() as i64,
            v => v.as_int().unwrap_or(0),
        };
        let count = usize::try_from(count)
            .map_err(|_| SqlError::custom(1060, 15, 1, "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer."))?;
        let mut count = if top.percent { (rows.len() * count.min(100)).div_ceil(100) } else { count };
        if top.ties {
            while count > 0 && count < rows.len() && rows[count].0 == rows[count - 1].0 {
                count += 1;
            }
        }
        rows.truncate(count);
    }
    if let Some((skip, take)) = &select.offset {
        let number = |ex| -> Result<usize> {
            let n = value(ex, cx, &NOWHERE)?.as_int().unwrap_or(-1);
            usize::try_from(n).map_err(|_| {
                SqlError::custom(10742, 15, 1, "The offset specified in a OFFSET clause may not be negative.")
            })
        };
        let skip = number(skip)?.min(rows.len());
        rows.drain(..skip);
        if let Some(take) = take {
            rows.truncate(number(take)?);
        }
    }
    Ok(())
}

fn kept<'r>(rows: &'r [Row], pred: &Pred, cx: &Ctx<'_>, up: Option<&Env<'_>>) -> Result<Vec<&'r Row>> {
    let mut out = Vec::new();
    for row in rows {
        if truth(pred, cx, &Env { row, up })? == Some(true) {
            out.push(row);
        }
    }
    Ok(out)
}

fn source(from: &From, cx: &Ctx<'_>, up: Option<&Env<'_>>) -> Result<Arc<Vec<Row>>> {
    Ok(Arc::new(match from {
        From::One => vec![Vec::new()],
        From::Host(name) => return cx.rows(name),
        From::Temp(name) => match cx.temps.temp_rows(name) {
            Some(rows) => return Ok(rows),
            None => return Err(SqlError::new(208, &[name])),
        },
        From::Values(list) => {
            let nowhere = Env { row: &[], up };
            let mut rows = Vec::with_capacity(list.len());
            for line in list {
                rows.push(evaluate(line.iter(), cx, &nowhere)?);
            }
            rows
        }
        From::Sub(plan) => rows(plan, cx, up)?,
        From::Join(join) => joined(join, cx, up)?,
        From::Apply { outer, left, right, width } => {
            let mut out = Vec::new();
            for row in source(left, cx, up)?.iter() {
                let found = rows(right, cx, Some(&Env { row, up }))?;
                if found.is_empty() && *outer {
                    out.push(row.iter().cloned().chain(std::iter::repeat_n(Value::Null, *width)).collect());
                }
                out.extend(found.into_iter().map(|f| row.iter().cloned().chain(f).collect::<Row>()));
            }
            out
        }
    }))
}

fn joined(join: &Join, cx: &Ctx<'_>, up: Option<&Env<'_>>) -> Result<Vec<Row>> {
    let (left, right) = (source(&join.left, cx, up)?, source(&join.right, cx, up)?);
    let keep_left = matches!(join.kind, JoinKind::Left | JoinKind::Full);
    let keep_right = matches!(join.kind, JoinKind::Right | JoinKind::Full);
    let mut index: HashMap<Vec<Key>, Vec<usize>> = HashMap::new();
    let hashed = !join.keys.is_empty();
    if hashed {
        for (i, row) in right.iter().enumerate() {
            let key = evaluate(join.keys.iter().map(|k| &k.1), cx, &Env { row, up })?;
            if !key.iter().any(Value::is_null) {
                index.entry(keys(&key)).or_default().push(i);
            }
        }
    }
    let all: Vec<usize> = if hashed { Vec::new() } else { (0..right.len()).collect() };
    let mut matched = vec![false; right.len()];
    let mut out = Vec::new();
    for row in left.iter() {
        let candidates: &[usize] = if hashed {
            let key = evaluate(join.keys.iter().map(|k| &k.0), cx, &Env { row, up })?;
            if key.iter().any(Value::is_null) { &[] } else { index.get(&keys(&key)).map_or(&[][..], |v| v) }
        } else {
            &all
        };
        let mut hit = false;
        for &i in candidates {
            let both: Row = row.iter().chain(&right[i]).cloned().collect();
            let holds = match &join.rest {
                Some(rest) => truth(rest, cx, &Env { row: &both, up })? == Some(true),
                None => true,
            };
            if holds {
                hit = true;
                matched[i] = true;
                out.push(both);
            }
        }
        if !hit && keep_left {
            out.push(row.iter().cloned().chain(std::iter::repeat_n(Value::Null, join.right_width)).collect());
        }
    }
    if keep_right {
        for (row, _) in right.iter().zip(&matched).filter(|(_, m)| !**m) {
            out.push(std::iter::repeat_n(Value::Null, join.left_width).chain(row.iter().cloned()).collect());
        }
    }
    Ok(out)
}
