//! RAISERROR, THROW and PRINT.

use super::{Frame, Kind, Raised, Run, Session};
use crate::ast::{Arg, Node, Stmt};
use crate::convert::{plain, truncate};
use crate::error::{SqlError, template};
use crate::host::{Event, Host, Sink};
use crate::types::{Ty, Value};

/// Longest text of a message, in characters.
const LONGEST: usize = 2047;

impl<H: Host> Session<H> {
    pub(super) async fn message(&mut self, node: &Node, frame: &mut Frame, out: &mut dyn Sink) -> Run<()> {
        match &node.stmt {
            Stmt::Print(expr) => {
                let text = self.scalar_as(expr, Ty::NVarChar(4000), frame)?;
                let text = text.as_text().unwrap_or_default();
                out.send(Event::Message(SqlError::custom(0, 0, 1, text).at(node.line)));
                self.done(None, frame, out);
            }
            Stmt::Throw(args) => {
                let error = match &args[..] {
                    [number, text, state] => {
                        let number = self.argument(number, frame)?.0.as_int().unwrap_or(0);
                        if !(50_000..=i64::from(i32::MAX)).contains(&number) {
                            return Err(SqlError::new(35_100, &[&number]).into());
                        }
                        let text = self.argument_text(text, frame)?.unwrap_or_default();
                        let state = self.argument(state, frame)?.0.as_int().unwrap_or(1).clamp(0, 255);
                        SqlError::custom(number as i32, 16, state as u8, text)
                    }
                    _ => match self.state.caught.last() {
                        Some(error) => error.clone(),
                        None => return Err(Raised::compile(SqlError::new(10_704, &[]))),
                    },
                };
                // THROW ends the batch, unlike RAISERROR.
                return Err(Raised { errors: vec![error], kind: Kind::Batch });
            }
            Stmt::Raiserror { args, nowait, seterror, log } => {
                let error = self.raised(args, *log, frame)?;
                if error.class > 10 {
                    return Err(Raised { errors: vec![error], kind: Kind::Statement });
                }
                self.state.error = if *seterror { error.number } else { 0 };
                self.state.rowcount = 0;
                // Severity 10 travels as 0 (RAISERROR page).
                let class = if error.class == 10 { 0 } else { error.class };
                out.send(Event::Message(SqlError { class, ..error }.at(node.line)));
                if *nowait {
                    out.flush().await;
                }
                self.done(None, frame, out);
            }
            _ => {}
        }
        Ok(())
    }

    fn raised(&self, args: &[Arg], log: bool, frame: &Frame) -> Run<SqlError> {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            values.push(self.argument(arg, frame)?);
        }
        if values.len() > 23 {
            return Err(SqlError::new(2747, &[&20]).into());
        }
        let number = |i: usize| values[i].0.as_int().unwrap_or(0);
        // Negative severities and states count as 0 and 1.
        let class = number(1).clamp(0, 25) as u8;
        let state = if number(2) < 0 { 1 } else { number(2).min(255) as u8 };
        if class > 18 && !log {
            return Err(SqlError::new(2754, &[&18]).into());
        }
        let rest = &values[3..];
        let (id, format) = match &values[0].0 {
            Value::Int(id) => {
                let id = i32::try_from(*id).unwrap_or(0);
                if !(13_000..=i32::MAX).contains(&id) || id == 50_000 {
                    return Err(SqlError::new(2732, &[&id, &13_000, &i32::MAX]).into());
                }
                match template(id) {
                    Some((_, text)) => (id, text.to_owned()),
                    None => return Err(SqlError::new(18_054, &[&id, &class, &state]).into()),
                }
            }
            Value::Null => (50_000, String::new()),
            text => (50_000, plain(text)),
        };
        let mut text = printf(&format, rest)?;
        truncate(&mut text, LONGEST);
        Ok(SqlError::custom(id, class, state, text))
    }
}

/// The format of RAISERROR: `%[flag][width][.precision][l]type` with types d i o s u x X, and `%%`.
fn printf(format: &str, args: &[(Value, Ty)]) -> Run<String> {
    let mut out = String::with_capacity(format.len());
    let mut args = args.iter().enumerate();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let (mut flags, mut width, mut precision) = (String::new(), None, None);
        let mut spec = String::from("%");
        while let Some(f) = chars.next_if(|c| matches!(c, '-' | '+' | '0' | '#' | ' ')) {
            spec.push(f);
            flags.push(f);
        }
        while let Some(d) = chars.next_if(char::is_ascii_digit) {
            spec.push(d);
            width = Some((width.unwrap_or(0) * 10 + d as usize - 48).min(LONGEST));
        }
        if width.is_none() && chars.next_if_eq(&'*').is_some() {
            width = args.next().and_then(|(_, a)| a.0.as_int()).and_then(|n| usize::try_from(n).ok());
        }
        if chars.next_if_eq(&'.').is_some() {
            precision = Some(0);
            while let Some(d) = chars.next_if(char::is_ascii_digit) {
                precision = Some((precision.unwrap_or(0) * 10 + d as usize - 48).min(LONGEST));
            }
            if chars.next_if_eq(&'*').is_some() {
                precision = args.next().and_then(|(_, a)| a.0.as_int()).and_then(|n| usize::try_from(n).ok());
            }
        }
        for prefix in ['h', 'l', 'I', '6', '4'] {
            if chars.next_if_eq(&prefix).is_some() {
                spec.push(prefix);
            }
        }
        let Some(kind) = chars.next() else { return Err(SqlError::new(2787, &[&spec]).into()) };
        spec.push(kind);
        if kind == '%' {
            out.push('%');
            continue;
        }
        if !matches!(kind, 'd' | 'i' | 'o' | 's' | 'u' | 'x' | 'X') {
            return Err(SqlError::new(2787, &[&spec]).into());
        }
        let text = match args.next() {
            None => "(null)".to_owned(),
            Some((i, (value, ty))) => one(kind, value, *ty, i + 1)?,
        };
        let text = match precision {
            Some(p) if kind == 's' => text.chars().take(p).collect(),
            _ => text,
        };
        let pad = width.unwrap_or(0).saturating_sub(text.chars().count());
        if flags.contains('-') {
            out.push_str(&text);
            out.extend(std::iter::repeat_n(' ', pad));
        } else {
            let fill = if flags.contains('0') && kind != 's' { '0' } else { ' ' };
            out.extend(std::iter::repeat_n(fill, pad));
            out.push_str(&text);
        }
    }
    Ok(out)
}

fn one(kind: char, value: &Value, ty: Ty, position: usize) -> Run<String> {
    let mismatch = || Raised::from(SqlError::new(2786, &[&position]));
    match value {
        Value::Null => Ok("(null)".to_owned()),
        Value::Int(i) if kind != 's' => {
            let i32_value = *i as i32;
            Ok(match kind {
                'x' => format!("{i32_value:x}"),
                'X' => format!("{i32_value:X}"),
                'o' => format!("{i32_value:o}"),
                'u' => (i32_value as u32).to_string(),
                _ => i.to_string(),
            })
        }
        Value::Text(t) if kind == 's' => Ok(t.clone()),
        Value::Int(_) | Value::Text(_) => Err(mismatch()),
        // Only whole numbers and text may be substituted.
        _ => Err(SqlError::new(2748, &[&ty.name(), &(position + 3)]).into()),
    }
}
