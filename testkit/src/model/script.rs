use std::fmt::Display;
use std::time::Duration;

use serde_json::{Value, json};

use super::gate::Gate;

/// What the model says in one turn: one [`Step`] per model call.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Script {
    steps: Vec<Step>,
    beyond: Beyond,
}

/// What a call after the last step gets.
#[derive(Debug, Clone, Copy, Default)]
enum Beyond {
    #[default]
    Refuse,
    RepeatLast,
}

impl Script {
    /// A script without steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the answer to the next model call: one [`Reply`], or several that are used one per attempt.
    pub fn then(mut self, step: impl Into<Step>) -> Self {
        self.steps.push(step.into());
        self
    }

    /// Plays the last step for every further call of the turn, instead of refusing it.
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

/// The answer to one model call: the replies to its attempts in order, the last of which repeats.
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

/// One HTTP answer. Actions play in the order in which they are added; how the reply ends is said once, anywhere.
///
/// The head of the response goes out with the first action that sends something. So a pause or a stall
/// that is first holds the head back.
#[derive(Debug, Clone)]
#[must_use]
pub struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) actions: Vec<Action>,
    pub(super) interval: Duration,
    pub(super) usage: Usage,
    pub(super) end: End,
}

#[derive(Debug, Clone)]
pub(super) enum Action {
    Head,
    Pause(Gate),
    Raw(Vec<u8>),
    Reason(String),
    Say(String),
    Use { tool: String, arguments: String },
}

#[derive(Debug, Clone)]
pub(super) enum End {
    /// A plain body instead of a stream.
    Body(String),
    Close,
    Finish(Option<String>),
    HangUp,
    Reset,
    Stall,
}

impl Reply {
    /// An empty answer with status 200 that finishes with `stop`, or `tool_calls` once it has some.
    pub fn new() -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            actions: Vec::new(),
            interval: Duration::ZERO,
            usage: Usage::default(),
            end: End::Finish(None),
        }
    }

    /// An answer with this status and body. JSON bodies are declared as JSON, others as HTML.
    pub fn status(status: u16, body: impl Display) -> Self {
        Self { status, end: End::Body(body.to_string()), ..Self::new() }
    }

    /// An error in the shape of the OpenAI API: `{"error":{message,type,code}}`.
    pub fn error(status: u16, message: &str) -> Self {
        let error =
            json!({ "message": message, "type": "scripted_error", "code": status.to_string() });
        Self::status(status, json!({ "error": error }))
    }

    /// The refusal that OpenCode turns into a `ContextOverflowError`: status 400, code `context_length_exceeded`.
    pub fn context_overflow() -> Self {
        let error = json!({
            "message": "the input exceeds the context window of this model",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
        });
        Self::status(400, json!({ "error": error }))
    }

    /// Adds a header to the head of the response, such as `retry-after` (seconds) or `retry-after-ms`.
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sends the head of the response now.
    pub fn head(self) -> Self {
        self.action(Action::Head)
    }

    /// Says `text` in one delta.
    pub fn text(self, text: impl Into<String>) -> Self {
        self.action(Action::Say(text.into()))
    }

    /// Says texts in one delta each.
    pub fn deltas<T: Into<String>>(self, texts: impl IntoIterator<Item = T>) -> Self {
        texts.into_iter().fold(self, Self::text)
    }

    /// Thinks `text` in one delta of the field `reasoning_content`.
    pub fn reasoning(self, text: impl Into<String>) -> Self {
        self.action(Action::Reason(text.into()))
    }

    /// Calls `tool`. Several calls in one reply are parallel.
    #[expect(clippy::needless_pass_by_value, reason = "callers write json!({ .. })")]
    pub fn tool(self, tool: &str, arguments: Value) -> Self {
        self.tool_raw(tool, arguments.to_string())
    }

    /// Calls `tool` with arguments that need not be JSON.
    pub fn tool_raw(self, tool: &str, arguments: impl Into<String>) -> Self {
        self.action(Action::Use { tool: tool.to_owned(), arguments: arguments.into() })
    }

    /// Sends bytes into the event stream as they are.
    pub fn raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.action(Action::Raw(bytes.into()))
    }

    /// Sends an event whose data is not JSON.
    pub fn malformed(self) -> Self {
        self.raw("data: {\"choices\":[{\"delta\":\n\n")
    }

    /// Goes on when `gate` is open. A client that leaves meanwhile is noticed then.
    pub fn pause_until(self, gate: &Gate) -> Self {
        self.action(Action::Pause(gate.clone()))
    }

    /// Waits between one delta and the next.
    pub fn slow(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Reports these token counts.
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// Finishes with this `finish_reason`, such as `length` or `content_filter`.
    pub fn finish(self, reason: &str) -> Self {
        self.end(End::Finish(Some(reason.to_owned())))
    }

    /// Ends the body properly, but without a `finish_reason`, usage or `[DONE]`.
    ///
    /// OpenCode takes the answer as it is, for the finish reason `unknown`, and asks again at once: the next attempt.
    pub fn close(self) -> Self {
        self.end(End::Close)
    }

    /// Closes the connection in the middle of the body. OpenCode tries again.
    pub fn hang_up(self) -> Self {
        self.end(End::HangUp)
    }

    /// Resets the connection in the middle of the body (a TCP RST). OpenCode tries again.
    pub fn reset(self) -> Self {
        self.end(End::Reset)
    }

    /// Sends nothing more and holds the connection until the client leaves or the server is dropped.
    pub fn stall(self) -> Self {
        self.end(End::Stall)
    }

    /// Whether the model call succeeds with this reply, so that OpenCode goes on to the next.
    pub(super) fn completes(&self) -> bool {
        matches!(self.end, End::Finish(_)) && self.status == 200
    }

    pub(super) fn gates(&self) -> impl Iterator<Item = Gate> {
        self.actions.iter().filter_map(|action| match action {
            Action::Pause(gate) => Some(gate.clone()),
            Action::Head
            | Action::Raw(_)
            | Action::Reason(_)
            | Action::Say(_)
            | Action::Use { .. } => None,
        })
    }

    fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    fn end(mut self, end: End) -> Self {
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
    /// Tokens of the prompt, cached ones included. With the model's context limit this can trigger a compaction.
    pub input: u64,
    /// Tokens of the answer, reasoning included.
    pub output: u64,
    /// Tokens of the prompt that came from the provider's cache.
    pub cached: u64,
    /// Tokens of the answer that were reasoning.
    pub reasoning: u64,
}

impl Default for Usage {
    /// 100 in, 10 out.
    fn default() -> Self {
        Self { input: 100, output: 10, cached: 0, reasoning: 0 }
    }
}
