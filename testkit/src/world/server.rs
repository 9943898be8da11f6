//! A model of the OpenCode server: small, and checked against recordings of the real one.

mod http;
mod play;
mod routes;
mod store;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;
use std::time::Duration;

use serde_json::{Value, json};

use super::Shared;
use super::core::{Owner, lock};
use super::link::ServerEnd;
use super::script::Script;
use store::{Live, Store};

pub use store::{AskReply, AskTruth, PromptEnd, PromptTruth};

const VERSION: &str = "1.18.33";

/// The time at which a world begins, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_795_232_507_035;

/// A server. Cloning it is cheap.
#[derive(Clone)]
pub struct ModelServer {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Weak<Shared>,
    port: u16,
    directory: String,
    has_password: bool,
    store: Mutex<Store>,
}

/// What the answers to a prompt came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerTruth {
    /// The text of the last message that has any.
    pub text: String,
    /// All text.
    pub full_text: String,
    /// The tool calls: call id and status.
    pub tools: Vec<(String, String)>,
    /// All tokens.
    pub tokens: u64,
    /// The costs of all messages, in millionths of a dollar.
    pub cost: u64,
}

impl ModelServer {
    pub(super) fn new(shared: &Arc<Shared>, port: u16, directory: &str) -> Self {
        let inner = Inner {
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

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.inner.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.inner.port
    }

    /// What is to be done for a prompt of this text. Others get any script.
    pub fn script(&self, prompt: impl Into<String>, script: Script) {
        lock(&self.inner.store).scripts.insert(prompt.into(), script);
    }

    /// Starts it, with what its database has. `false`: somebody else has its port.
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
        store.live = Some(Live { host, ..Live::default() });
        drop(store);
        shared.core.trace(format_args!("server {} boots", self.inner.port));
        true
    }

    /// Starts it again after it was killed.
    pub fn restart(&self) {
        let Some(shared) = self.inner.shared.upgrade() else { return };
        let host = shared.processes.next_id();
        assert!(self.boot(host), "its port is its own");
    }

    /// Kills it. Its database stays; what it worked on stays as it is.
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
        shared.core.trace(format_args!("server {} dies", self.inner.port));
        shared.network.close(self.inner.port);
        let host = live.host;
        drop(live);
        shared.core.end_tasks(|owner| owner == Owner::Host(host));
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        lock(&self.inner.store).live.is_some()
    }

    /// What became of a prompt, by its message; `None`: it never got here.
    #[must_use]
    pub fn prompt(&self, message: &str) -> Option<PromptTruth> {
        lock(&self.inner.store).prompts.get(message).cloned()
    }

    /// All prompts, with their messages.
    #[must_use]
    pub fn prompts(&self) -> Vec<(String, PromptTruth)> {
        let store = lock(&self.inner.store);
        store.prompts.iter().map(|(id, prompt)| (id.clone(), prompt.clone())).collect()
    }

    /// All that was asked.
    #[must_use]
    pub fn asks(&self) -> Vec<AskTruth> {
        lock(&self.inner.store).asks.values().cloned().collect()
    }

    /// How often this was requested, as `POST /session/{id}/abort`.
    #[must_use]
    pub fn requests(&self, route: &str) -> u64 {
        lock(&self.inner.store).requests.get(route).copied().unwrap_or(0)
    }

    /// How many event streams are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        lock(&self.inner.store).live.as_ref().map_or(0, |live| live.streams.len())
    }

    /// How many sessions are at work.
    #[must_use]
    pub fn busy(&self) -> usize {
        lock(&self.inner.store).live.as_ref().map_or(0, |live| live.runs.len())
    }

    /// What the answers to a prompt came to.
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
            for part in &message.parts {
                match part["type"].as_str().unwrap_or_default() {
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
    // Costs of the model are whole and small.
    format!("{micro:.0}").parse().unwrap_or(0)
}

impl fmt::Debug for ModelServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelServer").field("port", &self.inner.port).finish_non_exhaustive()
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

impl Inner {
    fn shared(&self) -> Arc<Shared> {
        self.shared.upgrade().expect("a server does nothing without its world")
    }

    /// Milliseconds since 1970.
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

    /// A task that ends with the program.
    fn spawn(&self, work: store::Work) {
        let host = lock(&self.store).live.as_ref().map(|live| live.host);
        if let Some(host) = host {
            self.shared().core.spawn(Owner::Host(host), work);
        }
    }

    /// Tells an event to all who listen to the session's directory.
    fn publish(&self, session: &str, kind: &str, mut properties: Value) {
        let shared = self.shared();
        let disordered = shared.core.weather().disordered;
        // Whole snapshots are told again now and then.
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
            shared
                .core
                .trace(format_args!("server {port} tells {kind} {session} {}", brief(&properties)));
            let Some(live) = &mut store.live else { return };
            let streams = live.streams.values_mut();
            for stream in streams.filter(|stream| stream.directory == directory) {
                stream.queue.push_back(Arc::clone(&event));
                stream.waker.take().into_iter().for_each(Waker::wake);
            }
        }
    }
}

/// What a trace tells of an event: nothing that differs from run to run.
fn brief(properties: &Value) -> String {
    let part = &properties["part"];
    if !part.is_null() {
        return format!("{} {} {}", part["type"], part["id"], part["state"]["status"]);
    }
    let info = &properties["info"];
    if !info.is_null() {
        let id = info["id"].as_str().filter(|_| info["role"] != "user").unwrap_or_default();
        return format!("{id} {} {} {}", info["role"], info["finish"], info["time"]["completed"]);
    }
    ["status", "error", "delta", "id", "requestID"]
        .map(|name| &properties[name])
        .iter()
        .find(|value| !value.is_null())
        .map_or_else(String::new, |value| value.to_string())
}
