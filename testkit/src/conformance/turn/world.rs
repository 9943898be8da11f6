//! A fake server with a session, and turns in tasks of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opencode_client::server::{HttpLimits, HubSettings, RetryPolicy};
use opencode_client::{
    AttachRequest, CreateSession, Server, Session, TurnError, TurnEvent, TurnEventKind,
    TurnOutcome, TurnRequest, TurnStream,
};
use serde_json::{Value, json};

use crate::conformance::{Host, SpawnedTask};
use crate::server::{FakeServer, ServerReply, ServerScript, turn_events};

/// A fake server, and a session on it.
#[derive(Debug)]
pub struct TurnWorld {
    host: Host,
    /// The fake server.
    pub fake: Arc<FakeServer>,
    /// Client handle of the server.
    pub server: Server,
    /// Session of the turns.
    pub session: Session,
}

/// Events and result of a turn.
#[derive(Debug)]
pub struct PlayedTurn {
    /// Events, in order.
    pub events: Vec<TurnEvent>,
    /// Result of the turn.
    pub result: Result<TurnOutcome, TurnError>,
}

/// Settings under which event streams may be silent.
pub fn patient() -> HubSettings {
    HubSettings::default().with_silence_limit(Duration::from_secs(30 * 24 * 60 * 60))
}

impl TurnWorld {
    /// Creates a world whose server plays this script.
    pub async fn new(on: &Host, script: ServerScript) -> Self {
        Self::with_events(on, script, patient()).await
    }

    /// Creates a world with these settings of the event stream.
    pub async fn with_events(on: &Host, script: ServerScript, events: HubSettings) -> Self {
        // Failed requests are retried almost at once.
        let soon = Duration::from_millis(5);
        let retry = RetryPolicy::default().with_delay_first(soon).with_delay_max(soon);
        Self::with_limits(on, script, events, HttpLimits::default().with_retry(retry)).await
    }

    /// Creates a world with these settings of the event stream and these limits.
    pub async fn with_limits(
        on: &Host,
        script: ServerScript,
        events: HubSettings,
        limits: HttpLimits,
    ) -> Self {
        let fake = Arc::new(FakeServer::start(script).unwrap());
        let request = AttachRequest::new(fake.url()).with_limits(limits).with_events(events);
        let server = on.opencode().attach(request).await.unwrap();
        let session = server.create_session(CreateSession::new()).await.unwrap();
        Self { host: on.clone(), fake, server, session }
    }

    /// Starts a turn in a task.
    pub fn begin(&self, request: impl Into<TurnRequest>) -> SpawnedTask<PlayedTurn> {
        self.host.spawn(play(self.session.send(request)))
    }

    /// Starts a turn in a task, waits for the prompt, and returns the id of the prompt's message.
    pub async fn begin_and_wait_for_prompt(
        &self,
        request: impl Into<TurnRequest>,
    ) -> (SpawnedTask<PlayedTurn>, String) {
        let turn = self.begin(request);
        let message = self.wait_for_prompt(1).await;
        (turn, message)
    }

    /// Waits for the `n`th prompt and returns the id of the message.
    pub async fn wait_for_prompt(&self, n: usize) -> String {
        let posts = self.wait_for_bodies("POST", "/session/{id}/prompt_async", n).await;
        posts[n - 1]["messageID"].as_str().unwrap().to_owned()
    }

    /// Waits for `n` requests and returns the bodies of all.
    pub async fn wait_for_bodies(
        &self,
        method: &'static str,
        path: &'static str,
        n: usize,
    ) -> Vec<Value> {
        let requests = self.blocking(move |fake| fake.wait_for_requests(method, path, n)).await;
        requests.iter().map(|request| request.json()).collect()
    }

    /// Waits for the fake server on a thread that may block.
    pub async fn blocking<T: Send + 'static>(
        &self,
        wait: impl FnOnce(&FakeServer) -> T + Send + 'static,
    ) -> T {
        let fake = Arc::clone(&self.fake);
        self.host.blocking(move || wait(&fake)).await
    }

    /// Number of requests so far.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.fake.requests_to(method, path).len()
    }

    /// Number of prompts of the session so far.
    pub fn posts(&self) -> usize {
        self.count("POST", "/session/ses_1/prompt_async")
    }

    /// Number of aborts so far.
    pub fn aborts(&self) -> usize {
        self.count("POST", "/session/{id}/abort")
    }

    /// Events of a successful turn.
    pub fn events_of(&self, message: &str, text: &str) -> Vec<String> {
        turn_events(self.session.id().as_str(), message, text)
    }

    /// Sends events to all subscribers.
    pub fn send(&self, events: impl IntoIterator<Item = impl AsRef<str>>) {
        events.into_iter().for_each(|event| self.fake.send_event(event.as_ref()));
    }

    /// Waits until all events sent so far are delivered: a turn in another session, whose events
    /// come after them, has ended.
    pub async fn wait_for_delivery(&self) {
        let other = self.server.create_session(CreateSession::new()).await.unwrap();
        let n = self.fake.requests_to("POST", "/session/{id}/prompt_async").len() + 1;
        let turn = self.host.spawn(play(other.send("And you?")));
        let message = self.wait_for_prompt(n).await;
        self.send(turn_events(other.id().as_str(), &message, "Me too."));
        turn.await.assert_answer("Me too.");
    }

    /// Creates an event of the session.
    pub fn event(&self, kind: &str, mut properties: Value) -> String {
        properties["sessionID"] = json!(self.session.id().as_str());
        json!({ "id": format!("evt_{kind}"), "type": kind, "properties": properties }).to_string()
    }

    /// Makes the server list the messages that these events describe.
    pub fn store(&self, events: &[String]) {
        self.fake.on("GET", "/session/{id}/message$", [ServerReply::json(messages(events))]);
    }

    /// Makes the server list the session as busy.
    pub fn list_as_busy(&self) {
        let busy = json!({ (self.session.id().as_str()): { "type": "busy" } });
        self.fake.on("GET", "/session/status", [ServerReply::json(busy)]);
    }
}

/// Reads a turn to the end.
pub async fn play(mut turn: TurnStream) -> PlayedTurn {
    let mut events = Vec::new();
    while let Some(event) = turn.next_event().await {
        events.push(event);
    }
    PlayedTurn { events, result: turn.outcome().await }
}

impl PlayedTurn {
    /// Text of all events.
    pub fn text(&self) -> String {
        self.events.iter().filter_map(TurnEvent::text).collect()
    }

    /// Outcome of the turn, successful or not.
    pub fn outcome(&self) -> &TurnOutcome {
        match &self.result {
            Ok(outcome) => outcome,
            Err(error) => error.outcome().unwrap(),
        }
    }

    /// Name of the turn's end.
    pub fn end(&self) -> &'static str {
        self.outcome().end.name()
    }

    /// Number of events of this kind.
    pub fn count(&self, is_meant: impl Fn(&TurnEventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_meant(&event.kind)).count()
    }

    /// Checks that the turn is complete, with this text, and that no event was repeated.
    pub fn assert_answer(&self, text: &str) {
        assert_eq!((self.end(), &*self.text()), ("completed", text));
        assert_eq!(self.outcome().text(), text);
        let counts = [
            self.count(|kind| matches!(kind, TurnEventKind::Posted(_))),
            self.count(|kind| matches!(kind, TurnEventKind::StepFinished(_))),
            self.count(|kind| matches!(kind, TurnEventKind::PartFinal { .. })),
        ];
        assert_eq!(counts, [1, 1, 1], "{:#?}", self.events);
    }
}

/// Body of `GET /session/{id}/message` after these events.
pub fn messages(events: &[String]) -> Value {
    let mut messages: BTreeMap<String, (Value, BTreeMap<String, Value>)> = BTreeMap::new();
    for event in events {
        let event: Value = serde_json::from_str(event).unwrap();
        let properties = &event["properties"];
        let id = |value: &Value| value.as_str().unwrap().to_owned();
        match event["type"].as_str() {
            Some("message.updated") => {
                let info = &properties["info"];
                messages.entry(id(&info["id"])).or_default().0 = info.clone();
            }
            Some("message.part.updated") => {
                let part = &properties["part"];
                let (_, parts) = messages.entry(id(&part["messageID"])).or_default();
                parts.insert(id(&part["id"]), part.clone());
            }
            Some(_) | None => {}
        }
    }
    let messages = messages.into_values();
    messages
        .map(|(info, parts)| {
            json!({ "info": info, "parts": parts.into_values().collect::<Vec<_>>() })
        })
        .collect()
}
