//! Groups, aggregates and window functions.

use super::query::{Key, by_positions, evaluate, key, keys, sorted};
use super::{Ctx, Env, Result, arith, value};
use crate::convert::{convert_from, order as compare_order, rescale};
use crate::plan::{AggKind, Aggregate, Group, Window, WindowKind};
use crate::types::{Row, Ty, Value};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

pub(super) fn grouped(rows: &[&Row], group: &Group, cx: &Ctx<'_>, up: Option<&Env<'_>>) -> Result<Vec<Row>> {
    let mut groups: Vec<(Row, Vec<&Row>)> = Vec::new();
    let mut index: HashMap<Vec<Key>, usize> = HashMap::new();
    if group.keys.is_empty() {
        // Without GROUP BY there is one group, even of no rows.
        groups.push((Vec::new(), rows.to_vec()));
    } else {
        for row in rows {
            let line = evaluate(group.keys.iter(), cx, &Env { row, up })?;
            let at = *index.entry(keys(&line)).or_insert_with(|| {
                groups.push((line, Vec::new()));
                groups.len() - 1
            });
            groups[at].1.push(row);
        }
    }
    let mut out = Vec::with_capacity(groups.len());
    for (mut line, rows) in groups {
        for aggregate in &group.aggregates {
            line.push(aggregated(aggregate, &rows, cx, up)?);
        }
        out.push(line);
    }
    Ok(out)
}

fn aggregated(aggregate: &Aggregate, rows: &[&Row], cx: &Ctx<'_>, up: Option<&Env<'_>>) -> Result<Value> {
    let Some(arg) = &aggregate.arg else {
        return Ok(Value::Int(rows.len() as i64));
    };
    let mut values = Vec::with_capacity(rows.len());
    let sorted_rows;
    let rows = if aggregate.order.is_empty() {
        rows
    } else {
        let copies = rows.iter().map(|r| (*r).clone()).collect();
        sorted_rows = sorted(copies, &aggregate.order, cx, up)?;
        &sorted_rows.iter().map(|r| &r.1).collect::<Vec<_>>()[..]
    };
    for row in rows {
        let v = value(arg, cx, &Env { row, up })?;
        if !v.is_null() {
            values.push(v);
        }
    }
    if aggregate.distinct {
        let mut seen = HashSet::new();
        values.retain(|v| seen.insert(key(v)));
    }
    let count = values.len();
    Ok(match aggregate.kind {
        AggKind::Count => Value::Int(count as i64),
        AggKind::Min => values.into_iter().min_by(compare_order).unwrap_or(Value::Null),
        AggKind::Max => values.into_iter().max_by(compare_order).unwrap_or(Value::Null),
        AggKind::StringAgg => {
            if values.is_empty() {
                return Ok(Value::Null);
            }
            let separator = match &aggregate.separator {
                Some(ex) => value(ex, cx, &Env { row: &[], up })?,
                None => Value::Null,
            };
            let texts: Vec<&str> = values.iter().filter_map(Value::as_text).collect();
            Value::Text(texts.join(separator.as_text().unwrap_or("")))
        }
        AggKind::Sum | AggKind::Avg => {
            let mut values = values.into_iter();
            let Some(first) = values.next() else { return Ok(Value::Null) };
            let mut sum = first;
            for v in values {
                sum = add(sum, v, aggregate.ty)?;
            }
            if aggregate.kind == AggKind::Sum {
                return convert_from(sum.clone(), wide_type(&sum, aggregate.ty), aggregate.ty, 0)
                    .map_err(|_| arith::overflow(aggregate.ty.name()));
            }
            match sum {
                Value::Int(i) => Value::Int(i / count as i64),
                Value::Float(f) => Value::Float(f / count as f64),
                Value::Numeric(d, s) => {
                    let out = if let Ty::Numeric(_, out) = aggregate.ty { out } else { s };
                    let scaled = rescale(d, s, out).ok_or_else(|| arith::overflow("numeric"))?;
                    Value::Numeric(scaled / count as i128, out)
                }
                other => other,
            }
        }
    })
}

fn wide_type(value: &Value, ty: Ty) -> Ty {
    match value {
        Value::Int(_) => Ty::BigInt,
        _ => ty,
    }
}

fn add(a: Value, b: Value, ty: Ty) -> Result<Value> {
    let overflow = || arith::overflow(ty.name());
    Ok(match (a, b) {
        (Value::Int(a), Value::Int(b)) => {
            let sum = a.checked_add(b).ok_or_else(overflow)?;
            if ty == Ty::Int && i32::try_from(sum).is_err() {
                return Err(overflow());
            }
            Value::Int(sum)
        }
        (Value::Numeric(a, s), Value::Numeric(b, t)) if s == t => {
            Value::Numeric(a.checked_add(b).ok_or_else(overflow)?, s)
        }
        (Value::Float(a), Value::Float(b)) => Value::Float(a + b),
        (a, _) => a,
    })
}

/// Adds the window function's value as a column to each row.
pub(super) fn windowed(window: &Window, rows: &mut [Row], cx: &Ctx<'_>, up: Option<&Env<'_>>) -> Result<()> {
    let mut parts: HashMap<Vec<Key>, Vec<usize>> = HashMap::new();
    for (i, row) in rows.iter().enumerate() {
        let key = evaluate(window.partition.iter(), cx, &Env { row, up })?;
        parts.entry(keys(&key)).or_default().push(i);
    }
    let positions: Vec<(usize, bool)> = window.order.iter().enumerate().map(|(i, o)| (i, o.1)).collect();
    let mut values = vec![Value::Null; rows.len()];
    for members in parts.into_values() {
        if let WindowKind::Aggregate(aggregate) = &window.kind {
            let part: Vec<&Row> = members.iter().map(|i| &rows[*i]).collect();
            let v = aggregated(aggregate, &part, cx, up)?;
            members.iter().for_each(|i| values[*i] = v.clone());
            continue;
        }
        let mut keyed = Vec::with_capacity(members.len());
        for i in members {
            let key = evaluate(window.order.iter().map(|o| &o.0), cx, &Env { row: &rows[i], up })?;
            keyed.push((key, i));
        }
        keyed.sort_by(|a, b| by_positions(&a.0, &b.0, &positions));
        let (mut rank, mut dense) = (0, 0);
        for (n, (key, i)) in keyed.iter().enumerate() {
            if n == 0 || by_positions(key, &keyed[n - 1].0, &positions) != Ordering::Equal {
                rank = n as i64 + 1;
                dense += 1;
            }
            values[*i] = Value::Int(match window.kind {
                WindowKind::Rank => rank,
                WindowKind::DenseRank => dense,
                _ => n as i64 + 1,
            });
        }
    }
    for (row, v) in rows.iter_mut().zip(values) {
        row.push(v);
    }
    Ok(())
}
