//! A scripted model: an OpenAI-compatible server for streaming chat completions on loopback.
//!
//! # Choice of the reply
//!
//! The content of a request alone decides the reply, so that many sessions can share one server:
//!
//! - Title requests (OpenCode's `title` agent) and compaction requests are recognised by their
//!   text, get fixed replies and use up no step.
//! - Every other call belongs to the last prompt of the conversation. A marker such as `[[name]]`
//!   anywhere in that prompt selects the script `name`; a prompt without a marker selects the
//!   default script.
//! - The step is the number of assistant messages since that prompt: a script has one step per
//!   model call of the turn. When a compaction has removed the prompt, the session (header
//!   `x-session-id`) continues at the next step.
//! - The attempt is the number of consecutive calls, in this session, to which the step replied
//!   with a failure. A step with fewer replies than attempts repeats the last reply.
//!
//! A marker without a script, or a call beyond the last step, is a mistake of the test. The server
//! refuses such a request with status 400, which OpenCode does not retry, and a message that names
//! the mistake.

mod connection;
mod conversation;
mod gate;
mod play;
mod record;
mod script;
mod stage;
mod state;
#[cfg(test)]
mod tests;

use std::fmt::{self, Formatter};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::listener::Listener;

pub use self::conversation::RequestKind;
pub use self::gate::Gate;
pub use self::record::{ModelRequest, NoSuchRequest, Outcome, Recorder, ToolResult};
pub use self::script::{Reply, Script, Step, Usage};

use self::state::ModelState;

/// A scripted model server. Dropping the server ends the threads and closes the sockets.
pub struct ModelServer {
    shared: Arc<ModelState>,
    listener: Listener,
}

impl ModelServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When the socket cannot be bound or the thread cannot be started.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(ModelState::default());
        let listener = Listener::start("model", {
            let shared = Arc::clone(&shared);
            move |stream| connection::serve(stream, &shared)
        })?;
        Ok(Self { shared, listener })
    }

    /// Plays `script` for every prompt that contains `[[name]]`. Replaces an earlier script of that
    /// name.
    ///
    /// # Panics
    ///
    /// When `name` has characters other than ASCII letters, digits, `-`, `_` and `.`.
    pub fn script(&self, name: &str, script: impl Into<Script>) {
        assert!(conversation::is_name(name), "invalid name of a script: {name:?}");
        let script = script.into();
        self.shared.watch_gates(script.gates());
        self.shared.stage().scripts.insert(name.to_owned(), script);
    }

    /// Plays `script` for prompts without a marker. The initial script answers `Hello from the
    /// scripted model.`
    pub fn default_script(&self, script: impl Into<Script>) {
        let script = script.into();
        self.shared.watch_gates(script.gates());
        self.shared.stage().default = script;
    }

    /// Answers every title request with `reply`. The initial reply is the text `Scripted title`.
    pub fn answer_titles(&self, reply: Reply) {
        self.shared.watch_gates(reply.gates());
        self.shared.stage().title = reply;
    }

    /// Answers every compaction request with `reply`. The initial reply is the text `Scripted
    /// summary.`
    pub fn answer_compactions(&self, reply: Reply) {
        self.shared.watch_gates(reply.gates());
        self.shared.stage().summary = reply;
    }

    /// Address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// `baseURL` of the provider: `http://127.0.0.1:PORT/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address())
    }

    /// `provider` block of an OpenCode config: provider `scripted` with the models `m1` and
    /// `small`.
    #[must_use]
    pub fn provider_config(&self) -> Value {
        let model = |name: &str| {
            json!({
                "name": name,
                "attachment": true,
                "reasoning": true,
                "tool_call": true,
                "limit": { "context": 200_000, "output": 32_000 },
                "cost": { "input": 1.0, "output": 2.0, "cache_read": 0.1, "cache_write": 1.25 },
            })
        };
        json!({
            "scripted": {
                "npm": "@ai-sdk/openai-compatible",
                "name": "Scripted",
                "options": { "baseURL": self.base_url(), "apiKey": "scripted-key" },
                "models": { "m1": model("Scripted"), "small": model("Scripted small") },
            }
        })
    }

    /// A complete OpenCode config: [`Self::provider_config`] as `provider`, `model` and
    /// `small_model`.
    #[must_use]
    pub fn config(&self) -> Value {
        json!({
            "provider": self.provider_config(),
            "model": "scripted/m1",
            "small_model": "scripted/small",
        })
    }

    /// Requests so far, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<ModelRequest>> {
        self.shared.recorder.requests()
    }

    /// Blocks until a request, earlier or later, fulfils the predicate, at most for `within`.
    ///
    /// # Errors
    ///
    /// [`NoSuchRequest`] when no request has fulfilled the predicate in time.
    pub fn wait_for(
        &self,
        within: Duration,
        predicate: impl FnMut(&ModelRequest) -> bool,
    ) -> Result<Arc<ModelRequest>, NoSuchRequest> {
        self.shared.recorder.wait_for(within, predicate)
    }

    /// Record of the requests as a separate handle, which async tests can move to a thread that
    /// may block.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        self.shared.recorder.clone()
    }
}

impl fmt::Debug for ModelServer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelServer").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.shared.stop();
        self.listener.stop();
    }
}
