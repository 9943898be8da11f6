//! A small model of the OpenCode server that recordings of the real server hold to the facts.

mod exchange;
mod http;
mod play;
mod rival;
mod routes;
mod store;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;
use std::time::Duration;

use serde_json::{Value, json};

use super::WorldState;
use super::core::{Owner, lock};
use super::link::ServerEnd;
use super::script::AgentScript;
use store::{LiveState, ServerStore};

pub use rival::RivalAct;
pub use store::{AskReply, AskTruth, PromptEnd, PromptTruth};

const VERSION: &str = "1.18.33";

/// The time at which every world begins, in milliseconds since 1970.
pub(super) const EPOCH_MS: u64 = 1_795_232_507_035;

/// A simulated OpenCode server. Clones are handles of the same server.
#[derive(Clone)]
pub struct WorldServer {
    inner: Arc<ServerInner>,
}

struct ServerInner {
    shared: Weak<WorldState>,
    port: u16,
    directory: String,
    has_password: bool,
    store: Mutex<ServerStore>,
}

/// Result of all answers to a prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerTruth {
    /// Text of the last message that has any.
    pub text: String,
    /// Text of all messages.
    pub full_text: String,
    /// Tool calls: call id and status.
    pub tools: Vec<(String, String)>,
    /// Sum of the tokens of all messages.
    pub tokens: u64,
    /// Sum of the costs of all messages, in millionths of a dollar.
    pub cost: u64,
}

impl WorldServer {
    pub(super) fn new(shared: &Arc<WorldState>, port: u16, directory: &str) -> Self {
        let inner = ServerInner {
            shared: Arc::downgrade(shared),
            port,
            directory: directory.to_owned(),
            has_password: false,
            store: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(super) fn with_password(mut self) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.has_password = true;
        }
        self
    }

    /// Base URL of the server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.inner.port)
    }

    /// Port that the server listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// Sets the behaviour of the agent for prompts with this text. Other prompts get a random
    /// script.
    pub fn script(&self, prompt: impl Into<String>, script: AgentScript) {
        lock(&self.inner.store).scripts.insert(prompt.into(), script);
    }

    /// Starts the server with the content of the database. Returns `false` when the port is taken.
    pub(super) fn boot(&self, host: u32) -> bool {
        let Some(shared) = self.inner.shared.upgrade() else { return false };
        let inner = Arc::clone(&self.inner);
        let accept = move |end: ServerEnd| {
            let Some(shared) = inner.shared.upgrade() else { return };
            let serving = http::serve(Arc::clone(&inner), end);
            shared.core.spawn(Owner::Host(host), Box::pin(serving));
        };
        if !shared.network.listen(self.inner.port, Arc::new(accept)) {
            return false;
        }
        let mut store = lock(&self.inner.store);
        store.boots += 1;
        store.live = Some(LiveState { host, ..LiveState::default() });
        drop(store);
        shared.core.trace(format_args!("server {} boots", self.inner.port));
        true
    }

    /// Starts the server again after it was killed.
    pub fn restart(&self) {
        let Some(shared) = self.inner.shared.upgrade() else { return };
        let host = shared.processes.next_id();
        assert!(self.boot(host), "the port of a server that was killed is free");
    }

    /// Kills the server. The database stays, with unfinished messages as they are.
    pub fn kill(&self) {
        let Some(shared) = self.inner.shared.upgrade() else { return };
        let mut store = lock(&self.inner.store);
        let Some(live) = store.live.take() else { return };
        for prompt in store.prompts.values_mut() {
            if prompt.end == PromptEnd::Running {
                prompt.end = PromptEnd::Torn;
            }
        }
        for ask in store.asks.values_mut() {
            ask.is_waiting = false;
        }
        drop(store);
        shared.core.count("server: dies");
        shared.core.trace(format_args!("server {} dies", self.inner.port));
        shared.network.close(self.inner.port);
        let host = live.host;
        drop(live);
        shared.core.end_tasks(|owner| owner == Owner::Host(host));
    }

    /// Returns whether the server is running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        lock(&self.inner.store).live.is_some()
    }

    /// Record of a prompt, by the message id; `None` when the prompt never arrived.
    #[must_use]
    pub fn prompt(&self, message: &str) -> Option<PromptTruth> {
        lock(&self.inner.store).prompts.get(message).cloned()
    }

    /// Records of all prompts, with their message ids.
    #[must_use]
    pub fn prompts(&self) -> Vec<(String, PromptTruth)> {
        let store = lock(&self.inner.store);
        store.prompts.iter().map(|(id, prompt)| (id.clone(), prompt.clone())).collect()
    }

    /// Returns whether the server can list the messages of the session that this prompt was posted
    /// to: OpenCode cannot, once a prompt asked for structured output.
    #[must_use]
    pub fn is_listable(&self, text: &str) -> bool {
        let store = lock(&self.inner.store);
        let prompt = store.prompts.values().find(|prompt| prompt.text == text);
        let session = prompt.and_then(|prompt| store.sessions.get(&prompt.session));
        session.is_none_or(|session| !session.has_structured)
    }

    /// Records of all asks.
    #[must_use]
    pub fn asks(&self) -> Vec<AskTruth> {
        lock(&self.inner.store).asks.values().cloned().collect()
    }

    /// Number of requests to this route, such as `POST /session/{id}/abort`.
    #[must_use]
    pub fn requests(&self, route: &str) -> u64 {
        lock(&self.inner.store).requests.get(route).copied().unwrap_or(0)
    }

    /// Number of open event streams.
    #[must_use]
    pub fn streams(&self) -> usize {
        lock(&self.inner.store).live.as_ref().map_or(0, |live| live.streams.len())
    }

    /// Number of sessions that are at work.
    #[must_use]
    pub fn busy(&self) -> usize {
        lock(&self.inner.store).live.as_ref().map_or(0, |live| live.runs.len())
    }

    /// Result of all answers to a prompt.
    #[must_use]
    pub fn answer(&self, message: &str) -> AnswerTruth {
        let store = lock(&self.inner.store);
        let mut truth = AnswerTruth::default();
        let Some(prompt) = store.prompts.get(message) else { return truth };
        let Some(session) = store.sessions.get(&prompt.session) else { return truth };
        for message in &session.messages {
            if !prompt.answers.contains(&message.id) {
                continue;
            }
            let mut text = String::new();
            let is_summary = message.info["summary"] == true;
            for part in &message.parts {
                let id = part["id"].as_str().unwrap_or_default();
                match part["type"].as_str().unwrap_or_default() {
                    "text" if is_summary || message.void.contains(id) => {}
                    "text" => text.push_str(part["text"].as_str().unwrap_or_default()),
                    "tool" => truth.tools.push((
                        part["callID"].as_str().unwrap_or_default().to_owned(),
                        part["state"]["status"].as_str().unwrap_or_default().to_owned(),
                    )),
                    _ => {}
                }
            }
            truth.full_text.push_str(&text);
            if !text.is_empty() {
                truth.text = text;
            }
            truth.tokens += message.info["tokens"]["total"].as_u64().unwrap_or(0);
            truth.cost += micro_dollars(&message.info["cost"]);
        }
        truth
    }
}

fn micro_dollars(cost: &Value) -> u64 {
    let micro = cost.as_f64().unwrap_or(0.0) * 1_000_000.0;
    // Costs in a world are multiples of a quarter dollar.
    format!("{micro:.0}").parse().unwrap_or(0)
}

impl fmt::Debug for WorldServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorldServer").field("port", &self.inner.port).finish_non_exhaustive()
    }
}

fn tokens(is_finished: bool) -> Value {
    match is_finished {
        false => {
            json!({ "input": 0, "output": 0, "reasoning": 0, "cache": { "read": 0, "write": 0 } })
        }
        true => json!({ "total": 120, "input": 100, "output": 20, "reasoning": 0,
            "cache": { "read": 0, "write": 0 } }),
    }
}

impl ServerInner {
    fn shared(&self) -> Arc<WorldState> {
        self.shared.upgrade().expect("a server runs only while its world exists")
    }

    /// Current time in milliseconds since 1970.
    fn now_ms(&self) -> u64 {
        let now = self.shared().core.now();
        EPOCH_MS + u64::try_from(now.as_millis()).unwrap_or(0)
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + use<> {
        self.shared().core.sleep(time)
    }

    fn id(&self, prefix: &str) -> String {
        format!("{prefix}_z{:08}", lock(&self.store).number())
    }

    /// Starts a task that ends with the server process.
    fn spawn(&self, work: store::ServerTask) {
        let host = lock(&self.store).live.as_ref().map(|live| live.host);
        if let Some(host) = host {
            self.shared().core.spawn(Owner::Host(host), work);
        }
    }

    /// Publishes an event to all subscribers of the session's directory.
    fn publish(&self, session: &str, kind: &str, mut properties: Value) {
        let shared = self.shared();
        let disordered = shared.core.weather().disordered;
        // The real server repeats whole snapshots now and then.
        let is_snapshot =
            matches!(kind, "message.updated" | "message.part.updated" | "session.status");
        let times = match is_snapshot && shared.core.random(|random| random.happens(disordered / 8))
        {
            true => 2,
            false => 1,
        };
        for _ in 0..times {
            properties["sessionID"] = json!(session);
            let mut store = lock(&self.store);
            let id = format!("evt_{:08}", store.number());
            let Some(directory) = store.sessions.get(session).map(|known| known.directory.clone())
            else {
                return;
            };
            let event: Arc<str> =
                json!({ "id": id, "type": kind, "properties": properties }).to_string().into();
            let port = self.port;
            shared.core.trace(format_args!(
                "server {port} publishes {kind} {session} {}",
                describe(&properties)
            ));
            let Some(live) = &mut store.live else { return };
            let streams = live.streams.values_mut();
            for stream in streams.filter(|stream| stream.directory == directory) {
                stream.queue.push_back(Arc::clone(&event));
                stream.waker.take().into_iter().for_each(Waker::wake);
            }
        }
    }
}

/// Short form of an event for the trace, without anything that differs between two plays of a seed.
fn describe(properties: &Value) -> String {
    let part = &properties["part"];
    if !part.is_null() {
        return format!(
            "{} {} of {} {}",
            part["type"], part["id"], part["messageID"], part["state"]["status"]
        );
    }
    let info = &properties["info"];
    if !info.is_null() {
        let error = info["error"]["name"].as_str().unwrap_or_default();
        return format!(
            "{} <- {} {} {} {} {error}",
            info["id"], info["parentID"], info["role"], info["finish"], info["time"]["completed"]
        );
    }
    ["status", "error", "delta", "id", "requestID"]
        .map(|name| &properties[name])
        .iter()
        .find(|value| !value.is_null())
        .map_or_else(String::new, |value| value.to_string())
}
