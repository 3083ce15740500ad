//! Runs batches: compiles the whole batch first, then walks its statements, keeping variables, `@@ERROR`,
//! `@@ROWCOUNT`, TRY/CATCH and temp tables as SQL Server does.
//!
//! Errors come in three kinds, and the difference is the point: after most the batch goes on, some end it,
//! and those of compiling are not seen by a CATCH of the same batch.

mod admin;
mod check;
mod cursor;
mod dml;
mod exec;
mod kind;
mod message;
mod select;
mod tables;
mod temps;
mod values;

use crate::ast::{Batch, Node, SetOption, Stmt};
use crate::bind::names::Variables;
use crate::error::{Failure, SqlError};
use crate::eval::{self, SessionState};
use crate::host::{Boxed, Event, Host, Sink};
use crate::parse;
use crate::plan::{Plan, Pred};
use crate::types::{Ty, Value};
use kind::{resets_error, statement_kind};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use temps::Temps;

pub use exec::RpcParameter;

/// What an error does to the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Ends the statement.
    Statement,
    /// Ends the batch; a CATCH sees it.
    Batch,
    /// Ends the batch; a CATCH of the same batch does not see it.
    Compile,
}

/// Errors on their way up.
#[derive(Debug)]
struct Raised {
    errors: Vec<SqlError>,
    kind: Kind,
}

type Run<T> = Result<T, Raised>;

impl Raised {
    fn compile(error: SqlError) -> Raised {
        Raised { errors: vec![error], kind: Kind::Compile }
    }

    fn at(mut self, line: u32) -> Raised {
        self.errors = self.errors.into_iter().map(|e| e.at(line)).collect();
        self
    }
}

impl From<SqlError> for Raised {
    fn from(error: SqlError) -> Raised {
        // Conversion errors end the batch ("TRY...CATCH" and XACT_ABORT apart); 911 and 4060 do too.
        let ends = matches!(error.number, 241 | 242 | 245 | 248 | 8114 | 8169 | 911) || error.class >= 20;
        Raised { errors: vec![error], kind: if ends { Kind::Batch } else { Kind::Statement } }
    }
}

impl From<Failure> for Raised {
    fn from(failure: Failure) -> Raised {
        let fatal = failure.0.iter().any(|e| e.class >= 20);
        Raised { errors: failure.0, kind: if fatal { Kind::Batch } else { Kind::Statement } }
    }
}

/// Where the walk goes after a statement.
#[derive(Debug, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
    Return,
    Goto(String),
}

/// SET options that the language itself obeys.
#[derive(Clone, Copy, Debug, Default)]
struct Settings {
    nocount: bool,
    xact_abort: bool,
    implicit_transactions: bool,
}

/// One batch under way.
struct Frame {
    batch: Arc<Batch>,
    vars: Variables,
    values: RefCell<Vec<Value>>,
    tables: Temps,
    /// Plans of the queries by their address in `batch`, kept where they can't go stale.
    plans: HashMap<usize, Arc<Plan>>,
    conditions: HashMap<usize, Arc<Pred>>,
    /// Inside a procedure, EXEC or an RPC.
    nested: bool,
    /// Temp tables made here; they go with a nested frame.
    created: Vec<String>,
    labels: HashSet<String>,
}

/// A client's session: what lasts from batch to batch.
pub struct Session<H> {
    host: H,
    state: SessionState,
    settings: Settings,
    temps: Temps,
    cursors: HashMap<String, cursor::Cursor>,
    database: String,
    /// TRY blocks under way, over all levels of nesting.
    tries: u32,
    /// INSERT ... EXEC under way.
    capturing: bool,
    /// Something was changed in the open transaction that ROLLBACK would have to undo.
    dirty: bool,
    /// Turns of loops, to let others run now and then.
    turns: u32,
}

/// What ROLLBACK answers when there is something to undo: to pretend that it was undone would be worse.
fn irrevocable() -> SqlError {
    SqlError::custom(50_000, 16, 1, "ROLLBACK of changes is beyond this simulated server.")
}

/// Deepest nesting of procedures and EXEC (error 217).
const NESTING: i32 = 32;

impl<H: Host> Session<H> {
    /// A session as after login.
    pub fn new(host: H) -> Session<H> {
        let database = host.session().database;
        Session {
            host,
            state: SessionState::default(),
            settings: Settings::default(),
            temps: Temps::default(),
            cursors: HashMap::new(),
            database,
            tries: 0,
            capturing: false,
            dirty: false,
            turns: 0,
        }
    }

    /// The host behind the session.
    pub fn host(&self) -> &H {
        &self.host
    }

    /// The host behind the session.
    pub fn host_mut(&mut self) -> &mut H {
        &mut self.host
    }

    /// Forgets temp tables, options and transactions, as when a pooled connection is reset.
    pub fn reset(&mut self) {
        self.state = SessionState::default();
        self.settings = Settings::default();
        self.temps.clear();
        self.cursors.clear();
        self.dirty = false;
    }

    /// Runs a batch. Its answers and errors go to `out`; it has no other result.
    pub async fn batch(&mut self, text: &str, out: &mut dyn Sink) {
        // A dropped future may have left these standing.
        (self.tries, self.capturing, self.state.nesting) = (0, false, 0);
        self.state.caught.clear();
        self.database = self.host.session().database;
        if let Err(raised) = self.text(text, Vec::new(), false, out).await.map(|_| ()) {
            self.report(&raised.errors, false, out);
        }
    }

    /// Parses, checks and runs a text with its own variables; returns their final values.
    fn text<'a>(
        &'a mut self,
        text: &'a str,
        parameters: Vec<(String, Ty, Value)>,
        nested: bool,
        out: &'a mut dyn Sink,
    ) -> Boxed<'a, Run<Vec<Value>>> {
        Box::pin(async move {
            let batch = Arc::new(parse::batch(text, self.host.version()).map_err(Raised::compile)?);
            let mut frame = Frame {
                batch: Arc::clone(&batch),
                vars: Variables::default(),
                values: RefCell::default(),
                tables: Temps::default(),
                plans: HashMap::new(),
                conditions: HashMap::new(),
                nested,
                created: Vec::new(),
                labels: HashSet::new(),
            };
            for (name, ty, value) in parameters {
                frame.vars.declare(&name, ty).map_err(Raised::compile)?;
                frame.values.borrow_mut().push(value);
            }
            self.check(&batch.nodes, &mut frame)?;
            let result = self.nodes(&batch.nodes, &mut frame, out).await;
            if nested {
                for name in std::mem::take(&mut frame.created) {
                    self.temps.remove(&name);
                }
            }
            let result = match result {
                Err(mut raised) if raised.kind != Kind::Compile && self.tries == 0 => {
                    if self.settings.xact_abort && self.state.trancount > 0 {
                        raised.errors.extend(self.dirty.then(irrevocable));
                        self.set_trancount(0);
                    }
                    Err(raised)
                }
                other => other,
            };
            match result? {
                Flow::Goto(label) => Err(Raised::compile(SqlError::new(133, &[&label]))),
                _ => Ok(frame.values.into_inner()),
            }
        })
    }

    /// Loops without a waiting statement must not keep the thread for themselves.
    async fn breathe(&mut self, out: &mut dyn Sink) {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(64) {
            out.flush().await;
            let mut again = true;
            std::future::poll_fn(move |cx| {
                if std::mem::take(&mut again) {
                    cx.waker().wake_by_ref();
                    return std::task::Poll::Pending;
                }
                std::task::Poll::Ready(())
            })
            .await;
        }
    }

    fn set_trancount(&mut self, count: i32) {
        if self.state.trancount != count {
            self.state.trancount = count;
            if count == 0 {
                self.dirty = false;
            }
            self.host.transaction(count);
        }
    }

    fn nodes<'a>(
        &'a mut self,
        nodes: &'a [Node],
        frame: &'a mut Frame,
        out: &'a mut dyn Sink,
    ) -> Boxed<'a, Run<Flow>> {
        Box::pin(async move {
            let mut at = 0;
            while let Some(node) = nodes.get(at) {
                match self.node(node, frame, out).await? {
                    Flow::Next => at += 1,
                    Flow::Goto(label) => {
                        let target =
                            nodes.iter().position(|n| matches!(&n.stmt, Stmt::Label(l) if *l == label));
                        match target {
                            Some(target) => {
                                at = target;
                                self.breathe(out).await;
                            }
                            None => return Ok(Flow::Goto(label)),
                        }
                    }
                    other => return Ok(other),
                }
            }
            Ok(Flow::Next)
        })
    }

    /// One statement; its error is reported here unless it goes further up.
    async fn node(&mut self, node: &Node, frame: &mut Frame, out: &mut dyn Sink) -> Run<Flow> {
        let kind = statement_kind(&node.stmt);
        let told = self.host.statement(kind).await.map_err(Raised::from);
        let result = match told {
            Ok(()) => self.statement(node, frame, out).await,
            Err(raised) => Err(raised),
        };
        match result {
            Ok(flow) => {
                if resets_error(&node.stmt) {
                    self.state.error = 0;
                }
                Ok(flow)
            }
            Err(raised) => {
                let raised = raised.at(node.line);
                let raiserror = matches!(node.stmt, Stmt::Raiserror { .. });
                let aborts = raised.kind != Kind::Statement || self.settings.xact_abort && !raiserror;
                if let Some(last) = raised.errors.last() {
                    self.state.error = last.number;
                }
                self.state.rowcount = 0;
                if self.tries > 0 {
                    return Err(raised);
                }
                if aborts {
                    let kind = if raised.kind == Kind::Statement { Kind::Batch } else { raised.kind };
                    return Err(Raised { kind, ..raised });
                }
                self.report(&raised.errors, frame.nested, out);
                Ok(Flow::Next)
            }
        }
    }

    fn report(&mut self, errors: &[SqlError], nested: bool, out: &mut dyn Sink) {
        for error in errors {
            if error.class > 10 {
                self.state.error = error.number;
            }
            out.send(Event::Message(error.clone().at(1)));
        }
        out.send(Event::Done { rows: None, error: true, in_procedure: nested });
    }

    /// Tells how many rows a statement returned or changed.
    fn done(&mut self, rows: Option<u64>, frame: &Frame, out: &mut dyn Sink) {
        self.state.rowcount = rows.unwrap_or(0) as i64;
        let rows = if self.settings.nocount { None } else { rows };
        out.send(Event::Done { rows, error: false, in_procedure: frame.nested });
    }

    async fn statement(&mut self, node: &Node, frame: &mut Frame, out: &mut dyn Sink) -> Run<Flow> {
        match &node.stmt {
            Stmt::Block(nodes) => return self.nodes(nodes, frame, out).await,
            Stmt::If(condition, then, otherwise) => {
                let holds = self.holds(condition, frame)?;
                self.state.error = 0;
                self.state.rowcount = 0;
                let branch = if holds { Some(then) } else { otherwise.as_ref() };
                return match branch {
                    Some(node) => self.nodes(std::slice::from_ref(&**node), frame, out).await,
                    None => Ok(Flow::Next),
                };
            }
            Stmt::While(condition, body) => {
                while self.holds(condition, frame)? {
                    self.state.error = 0;
                    match self.nodes(std::slice::from_ref(&**body), frame, out).await? {
                        Flow::Next | Flow::Continue => {}
                        Flow::Break => break,
                        other => return Ok(other),
                    }
                    self.breathe(out).await;
                }
            }
            Stmt::Try(body, handler) => return self.try_catch(body, handler, frame, out).await,
            Stmt::Break => return Ok(Flow::Break),
            Stmt::Continue => return Ok(Flow::Continue),
            Stmt::Return => return Ok(Flow::Return),
            Stmt::Goto(label) => return Ok(Flow::Goto(label.clone())),
            Stmt::Label(_) => {}
            Stmt::Declare(list) => {
                for (name, ty, initial) in list {
                    if let Some(initial) = initial {
                        let (slot, _) = frame.vars.find(name)?;
                        let value = self.scalar_as(initial, *ty, frame)?;
                        frame.values.borrow_mut()[slot] = value;
                        self.state.rowcount = 1;
                    }
                }
            }
            // Made when the batch was compiled; a loop does not empty it.
            Stmt::DeclareTable(..) => {}
            Stmt::SetVar(name, op, expr) => {
                let (slot, ty) = frame.vars.find(name)?;
                let value = match op {
                    None => self.scalar_as(expr, ty, frame)?,
                    Some(op) => {
                        let (value, from) = self.scalar(expr, frame)?;
                        let old = frame.values.borrow()[slot].clone();
                        eval::arith::compound(*op, old, ty, value, from)?
                    }
                };
                frame.values.borrow_mut()[slot] = value;
                self.state.rowcount = 1;
            }
            Stmt::SetOption(option) => {
                if let SetOption::Flag(names, on) = option {
                    for name in names {
                        match name.as_str() {
                            "NOCOUNT" => self.settings.nocount = *on,
                            "XACT_ABORT" => self.settings.xact_abort = *on,
                            "IMPLICIT_TRANSACTIONS" => self.settings.implicit_transactions = *on,
                            _ => {}
                        }
                    }
                }
                self.state.rowcount = 0;
            }
            Stmt::Query(query) => self.select(query, frame, out).await?,
            Stmt::Insert { table, columns, source } => {
                self.insert(table, columns, source, frame, out).await?;
            }
            Stmt::Update { table, sets, filter } => {
                self.update(table, sets, filter.as_ref(), frame, out).await?;
            }
            Stmt::Delete { table, filter } => self.delete(table, filter.as_ref(), frame, out).await?,
            Stmt::CreateTable(name, defs) => {
                self.create_table(name, defs, frame)?;
                self.done(None, frame, out);
            }
            Stmt::DropTable(names, lenient) => {
                for name in names {
                    self.drop_table(name, *lenient)?;
                }
                self.done(None, frame, out);
            }
            Stmt::Exec(exec) => self.exec(exec, frame, out).await?,
            Stmt::Raiserror { .. } | Stmt::Throw(_) | Stmt::Print(_) => {
                self.message(node, frame, out).await?;
            }
            Stmt::Cursor(name, op) => self.cursor(name, op, frame, out)?,
            _ => self.administer(&node.stmt, frame, out).await?,
        }
        Ok(Flow::Next)
    }

    async fn try_catch(
        &mut self,
        body: &[Node],
        handler: &[Node],
        frame: &mut Frame,
        out: &mut dyn Sink,
    ) -> Run<Flow> {
        self.tries += 1;
        let result = self.nodes(body, frame, out).await;
        self.tries -= 1;
        match result {
            Ok(flow) => Ok(flow),
            Err(raised) if raised.kind == Kind::Compile => Err(raised),
            Err(raised) if raised.errors.iter().any(|e| e.class >= 20) => Err(raised),
            Err(raised) => {
                // A failed RESTORE reports its cause and then 3013: CATCH sees the last one only.
                let Some(last) = raised.errors.into_iter().next_back() else { return Ok(Flow::Next) };
                self.state.error = last.number;
                self.state.caught.push(last);
                let result = self.nodes(handler, frame, out).await;
                self.state.caught.pop();
                result
            }
        }
    }
}
