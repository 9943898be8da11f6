use std::borrow::Cow;
use std::fmt::{self, Formatter};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use thiserror::Error;

use crate::http::Head;

use super::conversation::{Conversation, Kind, role, text};
use super::stage::Cue;

/// One request for a chat completion, as it arrived.
///
/// Its `Debug` shows where it belongs, never prompts, headers or keys.
pub struct Request {
    number: usize,
    kind: Kind,
    script: Option<String>,
    step: usize,
    attempt: usize,
    head: Head,
    body: Value,
    outcome: OnceLock<Outcome>,
}

/// How the answer to a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The whole answer was sent.
    Answer,
    /// The script broke the connection off.
    BreakOff,
    /// The client closed the connection first.
    Leave,
    /// The server was dropped first.
    Stop,
}

/// What the model was told about one tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolResult {
    /// The id that the call had (`tool_call_id`).
    pub call_id: String,
    /// The output of the tool, or its error.
    pub text: String,
}

impl Request {
    pub(super) fn new(number: usize, kind: Kind, cue: &Cue, head: Head, body: Value) -> Self {
        Self {
            number,
            kind,
            script: cue.script.clone(),
            step: cue.step,
            attempt: cue.attempt,
            head,
            body,
            outcome: OnceLock::new(),
        }
    }

    /// Position in the order of arrival, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Why OpenCode asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The script that answered; `None` for the default script and for everything outside a turn.
    #[must_use]
    pub fn script(&self) -> Option<&str> {
        self.script.as_deref()
    }

    /// The step of the script, from 0.
    #[must_use]
    pub fn step(&self) -> usize {
        self.step
    }

    /// The attempt at that step, from 0.
    #[must_use]
    pub fn attempt(&self) -> usize {
        self.attempt
    }

    /// The path, `/v1/chat/completions`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.head.path
    }

    /// The first header of that name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// The id of the session that asks (header `x-session-id`).
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.header("x-session-id")
    }

    /// For a subagent, the id of the session that it works for (header `x-parent-session-id`).
    #[must_use]
    pub fn parent_session(&self) -> Option<&str> {
        self.header("x-parent-session-id")
    }

    /// The model's name, without the provider.
    #[must_use]
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// The last message of the user, exactly as the model got it; text parts are joined by a line break.
    #[must_use]
    pub fn prompt(&self) -> Option<Cow<'_, str>> {
        Conversation::new(self.messages()).user_texts().next_back()
    }

    /// The system prompt: all system messages, joined by a line break.
    #[must_use]
    pub fn system(&self) -> String {
        Conversation::new(self.messages()).system()
    }

    /// The conversation, oldest message first.
    #[must_use]
    pub fn messages(&self) -> &[Value] {
        messages(&self.body)
    }

    /// The results of the tools that the model has called in this conversation, oldest first.
    #[must_use]
    pub fn tool_results(&self) -> Vec<ToolResult> {
        let results = self.messages().iter().filter(|message| role(message) == "tool");
        results
            .map(|message| ToolResult {
                call_id: message["tool_call_id"].as_str().unwrap_or_default().to_owned(),
                text: text(message).into_owned(),
            })
            .collect()
    }

    /// The names of the tools that the model may call.
    #[must_use]
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().map_or(&[][..], Vec::as_slice);
        tools.iter().filter_map(|tool| tool["function"]["name"].as_str()).collect()
    }

    /// The whole body.
    #[must_use]
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// How the answer ended; `None` while it goes on.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.get().copied()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("number", &self.number)
            .field("kind", &self.kind)
            .field("script", &self.script)
            .field("step", &self.step)
            .field("attempt", &self.attempt)
            .field("model", &self.model())
            .field("session", &self.session())
            .field("messages", &self.messages().len())
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}

/// The `messages` of a request's body.
pub(super) fn messages(body: &Value) -> &[Value] {
    body["messages"].as_array().map_or(&[], Vec::as_slice)
}

/// What a [`ModelServer`](super::ModelServer) was asked. A clone looks at the same record and outlives the server.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    log: Arc<(Mutex<Vec<Arc<Request>>>, Condvar)>,
}

/// No request fulfilled a predicate in time.
#[derive(Debug, Clone, Error)]
#[error(
    "the model was not asked for what was expected within {within:?}; it was asked for {seen:#?}"
)]
pub struct Unasked {
    within: Duration,
    seen: Vec<Arc<Request>>,
}

impl Recorder {
    /// What arrived so far, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.lock().clone()
    }

    /// Blocks until a request that arrived earlier or arrives within the time fulfils the predicate.
    ///
    /// The predicate is asked again about every request whenever one arrives or an answer ends.
    ///
    /// # Errors
    ///
    /// [`Unasked`] when none has.
    pub fn wait_for(
        &self,
        within: Duration,
        mut predicate: impl FnMut(&Request) -> bool,
    ) -> Result<Arc<Request>, Unasked> {
        let deadline = Instant::now() + within;
        let mut log = self.lock();
        loop {
            if let Some(request) = log.iter().find(|request| predicate(request)) {
                return Ok(Arc::clone(request));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Unasked { within, seen: log.clone() });
            }
            (log, _) = self.log.1.wait_timeout(log, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Adds the request that `make` returns for its number.
    pub(super) fn record(&self, make: impl FnOnce(usize) -> Request) -> Arc<Request> {
        let mut log = self.lock();
        let request = Arc::new(make(log.len()));
        log.push(Arc::clone(&request));
        self.log.1.notify_all();
        request
    }

    pub(super) fn finish(&self, request: &Request, outcome: Outcome) {
        // Under the lock, or a waiter that has just looked would miss it.
        let _log = self.lock();
        request.outcome.get_or_init(|| outcome);
        self.log.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Request>>> {
        self.log.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
