//! One pretended server, a session of it, and turns that go on by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opencode_client::{
    AttachRequest, CreateSession, HttpLimits, HubSettings, RetryPolicy, Server, Session, TurnError,
    TurnEvent, TurnEventKind, TurnOutcome, TurnRequest, TurnStream,
};
use serde_json::{Value, json};

use crate::conformance::{Host, Task};
use crate::server::{FakeServer, ServerReply, ServerScript, turn_events};

/// A server that only pretends, and a session of it.
#[derive(Debug)]
pub struct World {
    host: Host,
    /// The server as the test sees it.
    pub fake: Arc<FakeServer>,
    /// The server as the client sees it.
    pub server: Server,
    /// The session that has the turns.
    pub session: Session,
}

/// All that a turn told, and what it came to.
#[derive(Debug)]
pub struct Played {
    /// Its events, in order.
    pub events: Vec<TurnEvent>,
    /// Its end.
    pub result: Result<TurnOutcome, TurnError>,
}

/// Streams are as silent as the test likes.
pub fn patient() -> HubSettings {
    HubSettings::default().with_silence_limit(Duration::from_secs(30 * 24 * 60 * 60))
}

impl World {
    /// With a server that does as the script says.
    pub async fn new(on: &Host, script: ServerScript) -> Self {
        Self::with_events(on, script, patient()).await
    }

    /// With an event stream that is followed in a way of its own.
    pub async fn with_events(on: &Host, script: ServerScript, events: HubSettings) -> Self {
        // What failed is tried again at once.
        let soon = Duration::from_millis(5);
        let retry = RetryPolicy::default().with_delay_first(soon).with_delay_max(soon);
        Self::with_limits(on, script, events, HttpLimits::default().with_retry(retry)).await
    }

    /// With limits of its own as well.
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

    /// Begins a turn, which goes on by itself.
    pub fn begin(&self, request: impl Into<TurnRequest>) -> Task<Played> {
        self.host.spawn(play(self.session.send(request)))
    }

    /// Begins a turn, and returns the id of its message when the server has the prompt.
    pub async fn prompted(&self, request: impl Into<TurnRequest>) -> (Task<Played>, String) {
        let turn = self.begin(request);
        let message = self.posted(1).await;
        (turn, message)
    }

    /// The message of the `n`th prompt.
    pub async fn posted(&self, n: usize) -> String {
        let posts = self.asked("POST", "/session/{id}/prompt_async", n).await;
        posts[n - 1]["messageID"].as_str().unwrap().to_owned()
    }

    /// The bodies of requests, when `n` have come.
    pub async fn asked(&self, method: &'static str, path: &'static str, n: usize) -> Vec<Value> {
        let requests = self.on_a_thread(move |fake| fake.wait_for_requests(method, path, n)).await;
        requests.iter().map(|request| request.json()).collect()
    }

    /// Waits for the server, where that blocks nobody.
    pub async fn on_a_thread<T: Send + 'static>(
        &self,
        wait: impl FnOnce(&FakeServer) -> T + Send + 'static,
    ) -> T {
        let fake = Arc::clone(&self.fake);
        self.host.blocking(move || wait(&fake)).await
    }

    /// How many such requests have come.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.fake.requests_to(method, path).len()
    }

    /// How many prompts of the session have come.
    pub fn posts(&self) -> usize {
        self.count("POST", "/session/ses_1/prompt_async")
    }

    /// How many aborts have come.
    pub fn aborts(&self) -> usize {
        self.count("POST", "/session/{id}/abort")
    }

    /// The events of a turn that succeeds.
    pub fn events_of(&self, message: &str, text: &str) -> Vec<String> {
        turn_events(self.session.id().as_str(), message, text)
    }

    /// Sends these events to whoever follows.
    pub fn send(&self, events: impl IntoIterator<Item = impl AsRef<str>>) {
        events.into_iter().for_each(|event| self.fake.send_event(event.as_ref()));
    }

    /// Waits until all events that were sent have been told to whoever follows: those of another session, which come
    /// behind them, have.
    pub async fn told(&self) {
        let other = self.server.create_session(CreateSession::new()).await.unwrap();
        let n = self.fake.requests_to("POST", "/session/{id}/prompt_async").len() + 1;
        let turn = self.host.spawn(play(other.send("And you?")));
        let message = self.posted(n).await;
        self.send(turn_events(other.id().as_str(), &message, "Me too."));
        turn.await.assert_answer("Me too.");
    }

    /// An event of the session.
    pub fn event(&self, kind: &str, mut properties: Value) -> String {
        properties["sessionID"] = json!(self.session.id().as_str());
        json!({ "id": format!("evt_{kind}"), "type": kind, "properties": properties }).to_string()
    }

    /// Lets whoever looks find what these events tell.
    pub fn store(&self, events: &[String]) {
        self.fake.on("GET", "/session/{id}/message$", [ServerReply::json(messages(events))]);
    }

    /// Lets whoever looks find the session at work.
    pub fn is_busy(&self) {
        let busy = json!({ (self.session.id().as_str()): { "type": "busy" } });
        self.fake.on("GET", "/session/status", [ServerReply::json(busy)]);
    }
}

/// Plays a turn to its end.
pub async fn play(mut turn: TurnStream) -> Played {
    let mut events = Vec::new();
    while let Some(event) = turn.next_event().await {
        events.push(event);
    }
    Played { events, result: turn.outcome().await }
}

impl Played {
    /// All text that the events tell.
    pub fn text(&self) -> String {
        self.events.iter().filter_map(TurnEvent::text).collect()
    }

    /// The outcome, whatever the end.
    pub fn outcome(&self) -> &TurnOutcome {
        match &self.result {
            Ok(outcome) => outcome,
            Err(error) => error.outcome().unwrap(),
        }
    }

    /// The name of its end.
    pub fn end(&self) -> &'static str {
        self.outcome().end.name()
    }

    /// How many events are of this kind.
    pub fn count(&self, is_meant: impl Fn(&TurnEventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_meant(&event.kind)).count()
    }

    /// It is complete, and its events tell this, once.
    pub fn assert_answer(&self, text: &str) {
        assert_eq!((self.end(), &*self.text()), ("completed", text));
        assert_eq!(self.outcome().text(), text);
        let told = [
            self.count(|kind| matches!(kind, TurnEventKind::Posted(_))),
            self.count(|kind| matches!(kind, TurnEventKind::StepFinished(_))),
            self.count(|kind| matches!(kind, TurnEventKind::PartFinal { .. })),
        ];
        assert_eq!(told, [1, 1, 1], "{:#?}", self.events);
    }
}

/// The messages of `GET /session/{id}/message` after these events.
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
        .map(|(info, parts)| json!({ "info": info, "parts": parts.into_values().collect::<Vec<_>>() }))
        .collect()
}
