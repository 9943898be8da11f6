use std::borrow::Cow;
use std::fmt::{self, Formatter};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use crate::http::Head;
use crate::watched::Watched;

use super::conversation::{Conversation, RequestKind, role, text};
use super::stage::Cue;

/// One request for a chat completion.
///
/// `Debug` shows session, script and step, never prompts, headers or keys.
pub struct ModelRequest {
    number: usize,
    kind: RequestKind,
    script: Option<String>,
    step: usize,
    attempt: usize,
    head: Head,
    body: Value,
    outcome: OnceLock<Outcome>,
}

/// ReplyEnd of the answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The complete answer was sent.
    Answered,
    /// The script broke the connection off.
    BrokenOff,
    /// The client closed the connection before the end.
    ClientLeft,
    /// The server was dropped before the end.
    Stopped,
}

/// Result of one tool call, as the model receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolResult {
    /// Id of the call (`tool_call_id`).
    pub call_id: String,
    /// Output or error of the tool.
    pub text: String,
}

impl ModelRequest {
    pub(super) fn new(
        number: usize,
        kind: RequestKind,
        cue: &Cue,
        head: Head,
        body: Value,
    ) -> Self {
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

    /// Number of the request in the order of arrival, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Purpose of the request.
    #[must_use]
    pub fn kind(&self) -> RequestKind {
        self.kind
    }

    /// Name of the script that answered; `None` for the default script and outside a turn.
    #[must_use]
    pub fn script(&self) -> Option<&str> {
        self.script.as_deref()
    }

    /// Step of the script, from 0.
    #[must_use]
    pub fn step(&self) -> usize {
        self.step
    }

    /// Attempt at the step, from 0.
    #[must_use]
    pub fn attempt(&self) -> usize {
        self.attempt
    }

    /// Path of the request, `/v1/chat/completions`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.head.path
    }

    /// Value of the first header of this name, in upper or lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Id of the session (header `x-session-id`).
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.header("x-session-id")
    }

    /// Id of the parent session of a subagent (header `x-parent-session-id`).
    #[must_use]
    pub fn parent_session(&self) -> Option<&str> {
        self.header("x-parent-session-id")
    }

    /// Name of the model, without the provider.
    #[must_use]
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// Last message of the user, unchanged; the text parts are joined by line breaks.
    #[must_use]
    pub fn prompt(&self) -> Option<Cow<'_, str>> {
        Conversation::new(self.messages()).user_texts().next_back()
    }

    /// System prompt: all system messages, joined by line breaks.
    #[must_use]
    pub fn system(&self) -> String {
        Conversation::new(self.messages()).system()
    }

    /// Messages of the conversation, oldest first.
    #[must_use]
    pub fn messages(&self) -> &[Value] {
        messages(&self.body)
    }

    /// Results of all tool calls in this conversation, oldest first.
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

    /// Names of the tools that the model may call.
    #[must_use]
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().map_or(&[][..], Vec::as_slice);
        tools.iter().filter_map(|tool| tool["function"]["name"].as_str()).collect()
    }

    /// Body of the request.
    #[must_use]
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// ReplyEnd of the answer; `None` while the answer goes on.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.get().copied()
    }
}

impl fmt::Debug for ModelRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelRequest")
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

/// `messages` of a request's body.
pub(super) fn messages(body: &Value) -> &[Value] {
    body["messages"].as_array().map_or(&[], Vec::as_slice)
}

/// Record of the requests to a [`ModelServer`](super::ModelServer). A clone shares the record and
/// outlives the server.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    log: Arc<Watched<Vec<Arc<ModelRequest>>>>,
}

/// No request fulfilled the predicate in time.
#[derive(Debug, Clone, Error)]
#[error("no model request as expected within {within:?}; requests so far: {seen:#?}")]
pub struct NoSuchRequest {
    within: Duration,
    seen: Vec<Arc<ModelRequest>>,
}

impl Recorder {
    /// Requests so far, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<ModelRequest>> {
        self.log.read(Clone::clone)
    }

    /// Blocks until a request, earlier or later, fulfils the predicate, at most for `within`.
    ///
    /// The predicate is called again for every request whenever a request arrives or an answer
    /// ends.
    ///
    /// # Errors
    ///
    /// [`NoSuchRequest`] when no request has fulfilled the predicate in time.
    pub fn wait_for(
        &self,
        within: Duration,
        mut predicate: impl FnMut(&ModelRequest) -> bool,
    ) -> Result<Arc<ModelRequest>, NoSuchRequest> {
        let found = self.log.wait_within(within, |log| {
            log.iter().find(|request| predicate(request)).map(Arc::clone)
        });
        found.ok_or_else(|| NoSuchRequest { within, seen: self.requests() })
    }

    /// Adds the request that `make` returns for the number.
    pub(super) fn record(&self, make: impl FnOnce(usize) -> ModelRequest) -> Arc<ModelRequest> {
        self.log.update(|log| {
            let request = Arc::new(make(log.len()));
            log.push(Arc::clone(&request));
            request
        })
    }

    pub(super) fn finish(&self, request: &ModelRequest, outcome: Outcome) {
        // Under the lock, because a waiter that has just looked would miss the end otherwise.
        self.log.update(|_| request.outcome.get_or_init(|| outcome));
    }
}
