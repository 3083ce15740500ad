//! A shell: one runspace pool, the pipelines in it, and what they have to send.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use pchat_psrp::codec::command::{WirePipeline, session_capability};
use pchat_psrp::codec::fragment::{Defragmenter, Fragmenter};
use pchat_psrp::codec::message::{Destination, Message, MessageType};
use pchat_psrp::{Object, Value};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::fault::{self, Refused};

/// Largest message that a client may send.
const MAX_MESSAGE: usize = 4 << 20;
/// Largest fragment that we send, PowerShell's own.
const FRAGMENT: usize = 32 << 10;

/// One shell.
pub(crate) struct Shell {
    pub id: String,
    /// Who opened it; nobody else sees it.
    pub owner: String,
    /// Resource URI it was opened with; requests for another plug-in do not reach it.
    pub resource: String,
    /// Name of its session configuration.
    pub configuration: String,
    /// One runspace runs one pipeline at a time; others wait.
    pub runspace: Semaphore,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    pool: Uuid,
    opened: bool,
    closed: bool,
    input: Defragmenter,
    cutter: Fragmenter,
    fragment: usize,
    queue: VecDeque<Vec<u8>>,
    pipelines: HashMap<Uuid, Pipeline>,
    used: Instant,
}

struct Pipeline {
    input: Defragmenter,
    queue: VecDeque<Vec<u8>>,
    started: bool,
    done: bool,
    stop: CancellationToken,
    awaited: CancellationToken,
}

/// Fragments to send, and whether they are the last.
type News = (Vec<Vec<u8>>, bool);

/// What a client's bytes ask for.
pub(crate) enum Asked {
    /// Run this.
    Run { id: Uuid, pipeline: WirePipeline, stop: CancellationToken, awaited: CancellationToken },
}

impl Shell {
    pub(crate) fn new(
        id: String,
        owner: String,
        resource: String,
        configuration: String,
        budget: usize,
    ) -> Arc<Self> {
        let state = State {
            pool: Uuid::nil(),
            opened: false,
            closed: false,
            input: Defragmenter::new(MAX_MESSAGE),
            cutter: Fragmenter::default(),
            fragment: FRAGMENT.min(budget),
            queue: VecDeque::new(),
            pipelines: HashMap::new(),
            used: Instant::now(),
        };
        Arc::new(Self {
            id,
            owner,
            resource,
            configuration,
            runspace: Semaphore::new(1),
            state: Mutex::new(state),
            changed: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves queues that are still whole.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether it was idle for so long that nobody will come back.
    pub(crate) fn is_abandoned(&self, idle: Duration) -> bool {
        let state = self.lock();
        state.used.elapsed() > idle && state.pipelines.values().all(|p| p.done || !p.started)
    }

    /// Adds a command, unless there are too many.
    pub(crate) fn add_command(&self, id: Uuid, limit: usize) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.pipelines.len() >= limit {
            return Err(fault::too_many_commands());
        }
        if state.pipelines.contains_key(&id) {
            return Err(fault::malformed(format!("The CommandId {id} is in use.")));
        }
        let pipeline = Pipeline {
            input: Defragmenter::new(MAX_MESSAGE),
            queue: VecDeque::new(),
            started: false,
            done: false,
            stop: CancellationToken::new(),
            awaited: CancellationToken::new(),
        };
        state.pipelines.insert(id, pipeline);
        Ok(())
    }

    /// Takes bytes of the client, for the pool or for a command.
    pub(crate) fn feed(&self, command: Option<Uuid>, data: &[u8]) -> Result<Vec<Asked>, Refused> {
        let mut state = self.lock();
        state.used = Instant::now();
        let input = match command {
            None => &mut state.input,
            Some(id) => {
                let no_command = || fault::no_command(&id.to_string());
                &mut state.pipelines.get_mut(&id).ok_or_else(no_command)?.input
            }
        };
        let messages = input.feed(data).map_err(fault::bad_message)?;
        let mut asked = Vec::new();
        for bytes in messages {
            let message = Message::decode(&bytes).map_err(fault::bad_message)?;
            asked.extend(state.take(&message)?);
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(asked)
    }

    /// Puts a message of a pipeline into its queue. Says whether anybody will still fetch it.
    pub(crate) fn emit(&self, id: Uuid, kind: MessageType, value: &Value) -> bool {
        let mut state = self.lock();
        let sent = state.push(Some(id), kind, value);
        drop(state);
        self.changed.notify_waiters();
        sent
    }

    /// Marks a pipeline as over: everything it had to say is in its queue.
    pub(crate) fn finish(&self, id: Uuid) {
        let mut state = self.lock();
        state.used = Instant::now();
        if let Some(pipeline) = state.pipelines.get_mut(&id) {
            pipeline.done = true;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// What the pool or a command has to send, up to `budget` bytes, waiting for it until `deadline`; and
    /// whether that was all.
    pub(crate) async fn receive(
        &self,
        command: Option<Uuid>,
        budget: usize,
        deadline: tokio::time::Instant,
    ) -> Result<News, Refused> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed, although the queue is looked at first.
            changed.as_mut().enable();
            if let Some(news) = self.lock().news(command, budget, &self.id)? {
                return Ok(news);
            }
            if let Some(pipeline) =
                command.and_then(|id| self.lock().pipelines.get(&id).map(|p| p.awaited.clone()))
            {
                pipeline.cancel();
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return Err(fault::timed_out());
            }
        }
    }

    /// Asks a command to stop.
    pub(crate) fn stop(&self, id: Uuid) -> Result<(), Refused> {
        match self.lock().pipelines.get(&id) {
            Some(pipeline) => {
                pipeline.stop.cancel();
                Ok(())
            }
            None => Err(fault::no_command(&id.to_string())),
        }
    }

    /// Forgets a command; one that still runs is asked to stop.
    pub(crate) fn forget(&self, id: Uuid) -> Result<(), Refused> {
        self.stop(id)?;
        self.lock().pipelines.remove(&id);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Ends everything.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.pipelines.values().for_each(|p| p.stop.cancel());
        drop(state);
        self.changed.notify_waiters();
    }
}

impl State {
    fn take(&mut self, message: &Message) -> Result<Option<Asked>, Refused> {
        match message.kind {
            MessageType::SessionCapability => {
                self.pool = message.pool;
                self.push(None, MessageType::SessionCapability, &session_capability());
            }
            MessageType::InitRunspacePool => {
                self.opened = true;
                let nothing = Object::message([("ApplicationPrivateData", Value::Null)]);
                self.push(None, MessageType::ApplicationPrivateData, &nothing.into());
                let opened = Object::message([("RunspaceState", Value::I32(2))]);
                self.push(None, MessageType::RunspacePoolState, &opened.into());
            }
            MessageType::CreatePipeline => {
                if !self.opened {
                    return Err(fault::bad_message("a pipeline came before the pool was opened"));
                }
                let value = message.value().map_err(fault::bad_message)?;
                let wire =
                    WirePipeline::read(&value).ok_or_else(|| fault::bad_message("this is no pipeline"))?;
                let id = message.pipeline;
                let pipeline =
                    self.pipelines.get_mut(&id).ok_or_else(|| fault::no_command(&id.to_string()))?;
                if std::mem::replace(&mut pipeline.started, true) {
                    return Err(fault::bad_message("the pipeline was started already"));
                }
                return Ok(Some(Asked::Run {
                    id,
                    pipeline: wire,
                    stop: pipeline.stop.clone(),
                    awaited: pipeline.awaited.clone(),
                }));
            }
            MessageType::GetAvailableRunspaces
            | MessageType::SetMaxRunspaces
            | MessageType::SetMinRunspaces => {
                let value = message.value().map_err(fault::bad_message)?;
                let response = match message.kind {
                    MessageType::GetAvailableRunspaces => Value::I64(1),
                    // One runspace is what there is; asking for another number is not granted.
                    _ => Value::Bool(false),
                };
                let id = value.property("ci").cloned().unwrap_or_default();
                let answer = Object::message([("SetMinMaxRunspacesResponse", response), ("ci", id)]);
                self.push(None, MessageType::RunspaceAvailability, &answer.into());
            }
            // Nothing here reads pipeline input, has a host or keeps secrets.
            _ => {}
        }
        Ok(None)
    }

    fn push(&mut self, command: Option<Uuid>, kind: MessageType, value: &Value) -> bool {
        let message = Message::new(Destination::Client, kind, self.pool, command.unwrap_or_default(), value);
        let queue = match command {
            None => &mut self.queue,
            Some(id) => match self.pipelines.get_mut(&id) {
                Some(pipeline) => &mut pipeline.queue,
                None => return false,
            },
        };
        queue.extend(self.cutter.cut(&message.encode(), self.fragment));
        true
    }

    fn news(&mut self, command: Option<Uuid>, budget: usize, shell: &str) -> Result<Option<News>, Refused> {
        if self.closed {
            return Err(fault::no_shell(shell));
        }
        self.used = Instant::now();
        let (queue, done) = match command {
            None => (&mut self.queue, false),
            Some(id) => {
                let pipeline =
                    self.pipelines.get_mut(&id).ok_or_else(|| fault::no_command(&id.to_string()))?;
                (&mut pipeline.queue, pipeline.done)
            }
        };
        if queue.is_empty() && !done {
            return Ok(None);
        }
        let (mut chunks, mut size) = (Vec::new(), 0);
        while let Some(next) = queue.front() {
            if !chunks.is_empty() && size + next.len() > budget {
                break;
            }
            size += next.len();
            chunks.extend(queue.pop_front());
        }
        Ok(Some((chunks, done && queue.is_empty())))
    }
}
