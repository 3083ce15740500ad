//! EXEC of procedures and of text, sp_executesql, and remote calls of both.

use super::{Frame, Kind, Raised, Run, Session};
use crate::ast::{Arg, Exec, Target};
use crate::bind::names::resolve;
use crate::convert::{Way, convert_from, way};
use crate::error::SqlError;
use crate::host::{Call, Event, Host, Signature, Sink};
use crate::parse;
use crate::types::{Ty, Value};

/// A parameter of a remote procedure call.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcParameter {
    /// Name with `@`, or `None` for one by position.
    pub name: Option<String>,
    /// Type on the wire.
    pub ty: Ty,
    /// Value.
    pub value: Value,
    /// Passed by reference?
    pub output: bool,
}

/// An argument with its value.
struct Given {
    name: Option<String>,
    value: Value,
    ty: Ty,
    output: bool,
    /// DEFAULT was written.
    default: bool,
}

/// What a call gives back: return code, output values by parameter name.
struct Outcome {
    code: i32,
    outputs: Vec<(String, Value, Ty)>,
}

impl<H: Host> Session<H> {
    /// Runs a remote procedure call: sp_executesql or a procedure of the host. Errors, the return status and
    /// the output parameters (in the order of `parameters`) go to `out`.
    pub async fn rpc(&mut self, procedure: &str, parameters: Vec<RpcParameter>, out: &mut dyn Sink) {
        (self.tries, self.capturing, self.state.nesting) = (0, false, 0);
        self.state.caught.clear();
        self.database = self.host.session().database;
        let settings = self.settings;
        let wanted: Vec<(Option<String>, Ty, bool)> =
            parameters.iter().map(|p| (p.name.clone(), p.ty, p.output)).collect();
        let given = parameters
            .into_iter()
            .map(|p| Given { name: p.name, value: p.value, ty: p.ty, output: p.output, default: false })
            .collect();
        let name = parse::name_parts(procedure);
        let result = match &name {
            Some(name) => self.call(name, given, true, out).await,
            None => Err(SqlError::new(2812, &[&procedure]).with_state(62).into()),
        };
        self.settings = settings;
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(raised) => {
                self.report(&raised.errors, true, out);
                return;
            }
        };
        out.send(Event::ReturnStatus(outcome.code));
        let mut positional = outcome.outputs.iter();
        for (name, ty, output) in wanted {
            let found = match &name {
                Some(n) => outcome.outputs.iter().find(|o| o.0.eq_ignore_ascii_case(n)),
                None if output => positional.next(),
                None => None,
            };
            if let (true, Some((name, value, from))) = (output, found) {
                let value = convert_from(value.clone(), *from, ty, 0).unwrap_or(Value::Null);
                out.send(Event::Output { name: name.clone(), ty, value });
            }
        }
    }

    pub(super) async fn exec(&mut self, exec: &Exec, frame: &mut Frame, out: &mut dyn Sink) -> Run<()> {
        let name = match &exec.target {
            Target::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    text.push_str(&self.argument_text(part, frame)?.unwrap_or_default());
                }
                return self.nested_text(&text, Vec::new(), out).await.map(|_| ());
            }
            Target::Var(name) => {
                let text = self.argument_text(&Arg::Var(name.clone()), frame)?.unwrap_or_default();
                let missing = || SqlError::new(2812, &[&text]).with_state(62);
                parse::name_parts(&text).ok_or_else(missing)?
            }
            Target::Proc(name) => name.clone(),
        };
        let mut given = Vec::with_capacity(exec.args.len());
        for arg in &exec.args {
            let (value, ty) = self.argument(&arg.value, frame)?;
            let default = matches!(arg.value, Arg::Default);
            given.push(Given { name: arg.name.clone(), value, ty, output: arg.output, default });
        }
        let outcome = self.call(&name, given, false, out).await?;
        // Output values go back to the variables that were passed.
        let mut position = 0;
        for arg in exec.args.iter().filter(|a| a.output) {
            let found = match &arg.name {
                Some(n) => outcome.outputs.iter().find(|o| o.0.eq_ignore_ascii_case(n)),
                None => {
                    position += 1;
                    outcome.outputs.get(position - 1)
                }
            };
            if let (Some((_, value, from)), Arg::Var(variable)) = (found, &arg.value) {
                self.store(variable, value.clone(), *from, frame)?;
            }
        }
        if let Some(variable) = &exec.returns {
            let code = match name.last().is_some_and(|n| self.host.withheld(n)) {
                true => Value::Null,
                false => Value::Int(outcome.code.into()),
            };
            self.store(variable, code, Ty::Int, frame)?;
        }
        Ok(())
    }

    fn store(&self, variable: &str, value: Value, from: Ty, frame: &Frame) -> Run<()> {
        let (slot, to) = frame.vars.find(variable)?;
        frame.values.borrow_mut()[slot] = convert_from(value, from, to, 0)?;
        Ok(())
    }

    /// A text one level down: its USE and SET end with it, its compile errors can be caught above.
    async fn nested_text(
        &mut self,
        text: &str,
        parameters: Vec<(String, Ty, Value)>,
        out: &mut dyn Sink,
    ) -> Run<Vec<Value>> {
        if self.state.nesting >= super::NESTING {
            return Err(SqlError::new(217, &[&super::NESTING]).into());
        }
        self.state.nesting += 1;
        let (settings, database) = (self.settings, self.database.clone());
        let result = self.text(text, parameters, true, out).await;
        self.state.nesting -= 1;
        self.settings = settings;
        if self.database != database {
            self.database = self.host.use_database(&database).map_err(Raised::from)?;
            out.send(Event::Database(self.database.clone()));
        }
        result.map_err(|mut raised| {
            if raised.kind == Kind::Compile {
                raised.kind = Kind::Statement;
            }
            raised.at(1)
        })
    }

    async fn call(
        &mut self,
        name: &[String],
        given: Vec<Given>,
        remote: bool,
        out: &mut dyn Sink,
    ) -> Run<Outcome> {
        if name.last().is_some_and(|n| n.eq_ignore_ascii_case("sp_executesql")) {
            return self.execute_sql(given, remote, out).await;
        }
        let missing = || SqlError::new(2812, &[&name.join(".")]).with_state(62);
        let object = resolve(name, &self.database)?;
        if remote {
            // A batch told the host through its statement already.
            self.host.statement(crate::host::StatementKind::Procedure).await?;
        }
        let signature = self.host.procedure(&object).ok_or_else(missing)?;
        let (arguments, outputs) = arguments(&signature, given)?;
        let lower = object.name.to_lowercase();
        let changing = ["sp_add", "sp_update", "sp_delete", "sp_drop", "sp_change"];
        self.dirty |= self.state.trancount > 0 && changing.iter().any(|c| lower.starts_with(c));
        let call = Call { name: object, arguments, in_transaction: self.state.trancount > 0 };
        self.state.error = 0;
        self.state.rowcount = 0;
        let mut counted = Counted { inner: out, rows: None };
        let returned = self.host.call(call, &mut counted).await?;
        if let Some(rows) = counted.rows {
            self.state.rowcount = rows;
        }
        if let Some(last) = returned.errors.last() {
            self.state.error = last.number;
            if self.tries > 0 || returned.errors.iter().any(|e| e.class >= 20) || self.settings.xact_abort {
                return Err(crate::error::Failure(returned.errors).into());
            }
            for error in returned.errors {
                out.send(Event::Message(error.at(1)));
            }
        }
        out.send(Event::Done { rows: None, error: self.state.error != 0, in_procedure: remote });
        let typed = |(name, ty): (String, Ty)| {
            let value = returned.outputs.iter().find(|o| o.0.eq_ignore_ascii_case(&name));
            let value = value.map_or(Value::Null, |o| o.1.clone());
            (name, value, ty)
        };
        Ok(Outcome { code: returned.code, outputs: outputs.into_iter().map(typed).collect() })
    }

    /// sp_executesql @statement, @parameters, values...
    async fn execute_sql(&mut self, mut given: Vec<Given>, remote: bool, out: &mut dyn Sink) -> Run<Outcome> {
        let wide = |g: &Given, name: &str| -> Run<String> {
            if !matches!(g.ty, Ty::NVarChar(_) | Ty::NChar(_)) && !g.value.is_null() {
                return Err(SqlError::new(214, &[&name, &"ntext/nchar/nvarchar"]).into());
            }
            Ok(g.value.as_text().unwrap_or_default().to_owned())
        };
        if given.is_empty() {
            return Err(SqlError::new(201, &[&"sp_executesql", &"@statement"]).into());
        }
        let text = wide(&given.remove(0), "@statement")?;
        let mut declared = Vec::new();
        if !given.is_empty() {
            let list = wide(&given.remove(0), "@parameters")?;
            declared = parse::parameters(&list, self.host.version()).map_err(|e| Raised::from(e.at(1)))?;
        }
        let mut values: Vec<Option<Value>> = vec![None; declared.len()];
        let mut back = Vec::new();
        for (position, g) in given.into_iter().enumerate() {
            let at = match &g.name {
                Some(n) => declared.iter().position(|d| d.0.eq_ignore_ascii_case(n)),
                None if position < declared.len() => Some(position),
                None => return Err(SqlError::new(8144, &[&""]).into()),
            };
            let Some(at) = at else {
                let name = g.name.as_deref().unwrap_or_default();
                return Err(SqlError::new(8145, &[&name, &""]).into());
            };
            let (name, ty, output) = &declared[at];
            if g.output && !output {
                return Err(SqlError::new(8162, &[name]).into());
            }
            if g.output {
                back.push(at);
            }
            values[at] = Some(parameter_value(g.value, g.ty, *ty)?);
        }
        let mut parameters = Vec::with_capacity(declared.len());
        for ((name, ty, _), value) in declared.iter().zip(values) {
            let unsupplied = || {
                let list: Vec<String> = declared.iter().map(|d| format!("{} {}", d.0, d.1)).collect();
                SqlError::new(8178, &[&format!("({}){text}", list.join(",")), name])
            };
            parameters.push((name.clone(), *ty, value.ok_or_else(unsupplied)?));
        }
        let result = self.nested_text(&text, parameters, out).await;
        let finals = match result {
            Ok(values) => values,
            // A remote caller gets the errors and a status; a batch decides by its own rules.
            Err(raised) if remote => {
                let code = raised.errors.last().map_or(1, |e| e.number);
                self.report(&raised.errors, true, out);
                return Ok(Outcome { code, outputs: Vec::new() });
            }
            Err(raised) => return Err(raised),
        };
        let outputs = back
            .into_iter()
            .map(|at| {
                (declared[at].0.clone(), finals.get(at).cloned().unwrap_or(Value::Null), declared[at].1)
            })
            .collect();
        Ok(Outcome { code: self.state.error, outputs })
    }
}

/// A value as a parameter's type: 206 for types that never meet, 8114 for a value that does not fit.
fn parameter_value(value: Value, from: Ty, to: Ty) -> Run<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    // A remote client may send any type; what CAST would do is done.
    if way(from, to) == Way::Never {
        return Err(SqlError::new(206, &[&from.name(), &to.name()]).into());
    }
    convert_from(value, from, to, 0).map_err(|e| match e.number {
        245 | 241 | 8169 => SqlError::new(8114, &[&from.name(), &to.name()]).into(),
        _ => e.into(),
    })
}

type Bound = (Vec<(String, Option<Value>)>, Vec<(String, Ty)>);

/// Binds arguments to a signature; also says which parameters give a value back, in the order passed.
fn arguments(signature: &Signature, given: Vec<Given>) -> Run<Bound> {
    let name = &signature.name;
    let mut bound: Vec<(String, Option<Value>)> =
        signature.parameters.iter().map(|p| (p.name.clone(), None)).collect();
    let mut set = vec![false; bound.len()];
    let mut outputs = Vec::new();
    for (position, g) in given.into_iter().enumerate() {
        let at = match &g.name {
            // Extended procedures take their arguments by position, whatever they are called.
            Some(n) if !signature.extended => {
                let at = signature.parameters.iter().position(|p| p.name.eq_ignore_ascii_case(n));
                at.ok_or_else(|| SqlError::new(8145, &[n, name]))?
            }
            _ => position,
        };
        let Some(parameter) = signature.parameters.get(at) else {
            return Err(SqlError::new(8144, &[name]).into());
        };
        if set[at] {
            return Err(SqlError::new(8143, &[&parameter.name]).into());
        }
        set[at] = true;
        if g.output {
            if !parameter.output {
                return Err(SqlError::new(8162, &[&parameter.name]).into());
            }
            outputs.push((parameter.name.clone(), parameter.ty));
        }
        if g.default {
            set[at] = !parameter.required;
            continue;
        }
        let to = if parameter.ty == Ty::Variant { g.ty } else { parameter.ty };
        bound[at].1 = Some(parameter_value(g.value, g.ty, to)?);
    }
    for (parameter, set) in signature.parameters.iter().zip(set) {
        if parameter.required && !set {
            return Err(SqlError::new(201, &[name, &parameter.name]).into());
        }
    }
    Ok((bound, outputs))
}

/// Passes events on and remembers the last row count, for `@@ROWCOUNT`.
struct Counted<'a> {
    inner: &'a mut dyn Sink,
    rows: Option<i64>,
}

impl Sink for Counted<'_> {
    fn send(&mut self, event: Event) {
        if let Event::Done { rows: Some(rows), .. } = event {
            self.rows = Some(rows as i64);
        }
        self.inner.send(event);
    }

    fn flush(&mut self) -> crate::host::Boxed<'_, ()> {
        self.inner.flush()
    }
}
