use std::fmt::Display;
use std::time::Duration;

use serde_json::{Value, json};

use super::gate::Gate;

/// Replies of the model in one turn: one [`Step`] per model call.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Script {
    steps: Vec<Step>,
    beyond: Beyond,
}

/// Behaviour for calls after the last step.
#[derive(Debug, Clone, Copy, Default)]
enum Beyond {
    #[default]
    Refuse,
    RepeatLast,
}

impl Script {
    /// Creates a script without steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the answer to the next model call: one [`Reply`], or several, one per attempt.
    pub fn then(mut self, step: impl Into<Step>) -> Self {
        self.steps.push(step.into());
        self
    }

    /// Repeats the last step for every further call of the turn instead of refusing the call.
    pub fn repeat_last(mut self) -> Self {
        self.beyond = Beyond::RepeatLast;
        self
    }

    pub(super) fn step(&self, index: usize) -> Option<&Step> {
        match self.beyond {
            Beyond::Refuse => self.steps.get(index),
            Beyond::RepeatLast => self.steps.get(index).or_else(|| self.steps.last()),
        }
    }

    pub(super) fn gates(&self) -> impl Iterator<Item = Gate> {
        self.steps.iter().flat_map(|step| &step.attempts).flat_map(Reply::gates)
    }
}

impl From<Reply> for Script {
    fn from(reply: Reply) -> Self {
        Self::new().then(reply)
    }
}

/// Answer to one model call: the replies to the attempts in order, of which the last repeats.
#[derive(Debug, Clone)]
pub struct Step {
    attempts: Vec<Reply>,
}

impl Step {
    pub(super) fn attempt(&self, index: usize) -> &Reply {
        &self.attempts[index.min(self.attempts.len() - 1)]
    }
}

impl From<Reply> for Step {
    fn from(reply: Reply) -> Self {
        Self { attempts: vec![reply] }
    }
}

impl From<Vec<Reply>> for Step {
    /// # Panics
    ///
    /// When there is no reply.
    fn from(attempts: Vec<Reply>) -> Self {
        assert!(!attempts.is_empty(), "a step needs a reply");
        Self { attempts }
    }
}

impl<const N: usize> From<[Reply; N]> for Step {
    fn from(attempts: [Reply; N]) -> Self {
        Self::from(Vec::from(attempts))
    }
}

/// One HTTP answer: actions in the order in which they are added, and one end, set at any point.
///
/// The head of the response is sent with the first action that sends something. A pause or a stall
/// before that holds the head back.
#[derive(Debug, Clone)]
#[must_use]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) actions: Vec<ReplyAction>,
    pub(super) interval: Duration,
    pub(super) usage: Usage,
    pub(super) end: ReplyEnd,
}

#[derive(Debug, Clone)]
pub(super) enum ReplyAction {
    Head,
    Pause(Gate),
    Raw(Vec<u8>),
    Reason(String),
    Say(String),
    Use { tool: String, arguments: String },
}

#[derive(Debug, Clone)]
pub(super) enum ReplyEnd {
    /// A plain body instead of a stream.
    Body(String),
    Close,
    Finish(Option<String>),
    HangUp,
    Reset,
    Stall,
}

impl Reply {
    /// Creates an empty answer with status 200, which finishes with `stop`, or with `tool_calls`
    /// once tool calls are added.
    pub fn new() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            actions: Vec::new(),
            interval: Duration::ZERO,
            usage: Usage::default(),
            end: ReplyEnd::Finish(None),
        }
    }

    /// Creates an answer with this status and body. A JSON body gets a JSON content type, any other
    /// body HTML.
    pub fn status(status: u16, body: impl Display) -> Self {
        Self { status, end: ReplyEnd::Body(body.to_string()), ..Self::new() }
    }

    /// Creates an error in the shape of the OpenAI API: `{"error":{message,type,code}}`.
    pub fn error(status: u16, message: &str) -> Self {
        let error =
            json!({ "message": message, "type": "scripted_error", "code": status.to_string() });
        Self::status(status, json!({ "error": error }))
    }

    /// Creates the refusal that OpenCode reports as `ContextOverflowError`: status 400, code
    /// `context_length_exceeded`.
    pub fn context_overflow() -> Self {
        let error = json!({
            "message": "the input exceeds the context window of this model",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
        });
        Self::status(400, json!({ "error": error }))
    }

    /// Adds a header to the response, such as `retry-after` (seconds) or `retry-after-ms`.
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sends the head of the response at this point.
    pub fn head(self) -> Self {
        self.action(ReplyAction::Head)
    }

    /// Sends `text` as one delta.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.action(ReplyAction::Say(text.into()))
    }

    /// Sends each text as a separate delta.
    pub fn deltas<T: Into<String>>(self, texts: impl IntoIterator<Item = T>) -> Self {
        texts.into_iter().fold(self, Self::text)
    }

    /// Sends `text` as one delta of the field `reasoning_content`.
    pub fn reasoning(self, text: impl Into<String>) -> Self {
        self.action(ReplyAction::Reason(text.into()))
    }

    /// Calls `tool`. Several calls in one reply run in parallel.
    #[expect(clippy::needless_pass_by_value, reason = "callers write json!({ .. })")]
    pub fn tool(self, tool: &str, arguments: Value) -> Self {
        self.tool_raw(tool, arguments.to_string())
    }

    /// Calls `tool` with arguments that may be invalid JSON.
    pub fn tool_raw(self, tool: &str, arguments: impl Into<String>) -> Self {
        self.action(ReplyAction::Use { tool: tool.to_owned(), arguments: arguments.into() })
    }

    /// Sends bytes unchanged into the event stream.
    pub fn raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.action(ReplyAction::Raw(bytes.into()))
    }

    /// Sends an event with invalid JSON.
    pub fn malformed(self) -> Self {
        self.raw("data: {\"choices\":[{\"delta\":\n\n")
    }

    /// Waits until `gate` is open. A client that disconnects meanwhile is noticed after that.
    pub fn pause_until(self, gate: &Gate) -> Self {
        self.action(ReplyAction::Pause(gate.clone()))
    }

    /// Sets the pause between deltas.
    pub fn slow(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the reported token counts.
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// Sets the `finish_reason`, such as `length` or `content_filter`.
    pub fn finish(self, reason: &str) -> Self {
        self.end(ReplyEnd::Finish(Some(reason.to_owned())))
    }

    /// Ends the body correctly, but without a `finish_reason`, usage or `[DONE]`.
    ///
    /// OpenCode accepts the answer with the finish reason `unknown` and calls the model again at
    /// once: the next attempt.
    pub fn close(self) -> Self {
        self.end(ReplyEnd::Close)
    }

    /// Closes the connection in the middle of the body. OpenCode retries the call.
    pub fn hang_up(self) -> Self {
        self.end(ReplyEnd::HangUp)
    }

    /// Resets the connection in the middle of the body (TCP RST). OpenCode retries the call.
    pub fn reset(self) -> Self {
        self.end(ReplyEnd::Reset)
    }

    /// Sends nothing more, and keeps the connection open until the client or the server closes it.
    pub fn stall(self) -> Self {
        self.end(ReplyEnd::Stall)
    }

    /// Returns whether the model call succeeds with this reply, so that OpenCode continues with the
    /// next call.
    pub(super) fn completes(&self) -> bool {
        matches!(self.end, ReplyEnd::Finish(_)) && self.status == 200
    }

    pub(super) fn gates(&self) -> impl Iterator<Item = Gate> {
        self.actions.iter().filter_map(|action| match action {
            ReplyAction::Pause(gate) => Some(gate.clone()),
            ReplyAction::Head
            | ReplyAction::Raw(_)
            | ReplyAction::Reason(_)
            | ReplyAction::Say(_)
            | ReplyAction::Use { .. } => None,
        })
    }

    fn action(mut self, action: ReplyAction) -> Self {
        self.actions.push(action);
        self
    }

    fn end(mut self, end: ReplyEnd) -> Self {
        self.end = end;
        self
    }
}

impl Default for Reply {
    fn default() -> Self {
        Self::new()
    }
}

/// Token counts as a provider reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, cached tokens included. Near the context limit of the model they
    /// trigger a compaction.
    pub input: u64,
    /// Tokens of the answer, reasoning tokens included.
    pub output: u64,
    /// Tokens of the prompt from the provider's cache.
    pub cached: u64,
    /// Reasoning tokens of the answer.
    pub reasoning: u64,
}

impl Default for Usage {
    /// 100 input tokens and 10 output tokens.
    fn default() -> Self {
        Self { input: 100, output: 10, cached: 0, reasoning: 0 }
    }
}
