//! One pretended server, a session of it, and turns that go on by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opencode_tokio::{
    AttachRequest, CreateSession, HubSettings, OpenCode, Server, Session, TurnError, TurnEvent,
    TurnEventKind, TurnOutcome, TurnRequest, TurnStream,
};
use serde_json::{Value, json};
use testkit::server::{FakeServer, Reply, Script, turn_events};
use tokio::task::JoinHandle;

use crate::still::Still;

pub(crate) struct World {
    pub(crate) fake: Arc<FakeServer>,
    pub(crate) still: Still,
    pub(crate) server: Server,
    pub(crate) session: Session,
}

/// All that a turn told, and what it came to.
pub(crate) struct Played {
    pub(crate) events: Vec<TurnEvent>,
    pub(crate) result: Result<TurnOutcome, TurnError>,
}

/// Streams are as silent as the test likes.
pub(crate) fn patient() -> HubSettings {
    HubSettings::default().with_silence_limit(Duration::from_secs(30 * 24 * 60 * 60))
}

impl World {
    pub(crate) async fn new(script: Script) -> Self {
        Self::with_events(script, patient()).await
    }

    pub(crate) async fn with_events(script: Script, events: HubSettings) -> Self {
        let fake = Arc::new(FakeServer::start(script).unwrap());
        let still = Still::new();
        let request =
            AttachRequest::new(fake.url()).with_limits(Still::limits()).with_events(events);
        let server = OpenCode::new(still.clone()).attach(request).await.unwrap();
        let session = server.create_session(CreateSession::new()).await.unwrap();
        Self { fake, still, server, session }
    }

    /// Begins a turn, which goes on by itself.
    pub(crate) fn begin(&self, request: impl Into<TurnRequest>) -> JoinHandle<Played> {
        tokio::spawn(play(self.session.send(request)))
    }

    /// Begins a turn, and returns the id of its message when the server has the prompt.
    pub(crate) async fn prompted(
        &self,
        request: impl Into<TurnRequest>,
    ) -> (JoinHandle<Played>, String) {
        let turn = self.begin(request);
        let message = self.posted(1).await;
        (turn, message)
    }

    /// The message of the `n`th prompt.
    pub(crate) async fn posted(&self, n: usize) -> String {
        let posts = self.asked("POST", "/session/{id}/prompt_async", n).await;
        posts[n - 1]["messageID"].as_str().unwrap().to_owned()
    }

    /// The bodies of requests, when `n` have come.
    pub(crate) async fn asked(
        &self,
        method: &'static str,
        path: &'static str,
        n: usize,
    ) -> Vec<Value> {
        let requests = self.on_a_thread(move |fake| fake.wait_for_requests(method, path, n)).await;
        requests.iter().map(|request| request.json()).collect()
    }

    pub(crate) async fn on_a_thread<T: Send + 'static>(
        &self,
        wait: impl FnOnce(&FakeServer) -> T + Send + 'static,
    ) -> T {
        let fake = Arc::clone(&self.fake);
        tokio::task::spawn_blocking(move || wait(&fake)).await.unwrap()
    }

    /// How many such requests have come.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        self.fake.requests_to(method, path).len()
    }

    /// How many prompts of the session have come.
    pub(crate) fn posts(&self) -> usize {
        self.count("POST", "/session/ses_1/prompt_async")
    }

    pub(crate) fn aborts(&self) -> usize {
        self.count("POST", "/session/{id}/abort")
    }

    /// The events of a turn that succeeds.
    pub(crate) fn events_of(&self, message: &str, text: &str) -> Vec<String> {
        turn_events(self.session.id().as_str(), message, text)
    }

    pub(crate) fn send(&self, events: impl IntoIterator<Item = impl AsRef<str>>) {
        events.into_iter().for_each(|event| self.fake.send_event(event.as_ref()));
    }

    /// Waits until all events that were sent have been told to whoever follows: those of another session, which come
    /// behind them, have.
    pub(crate) async fn told(&self) {
        let other = self.server.create_session(CreateSession::new()).await.unwrap();
        let n = self.fake.requests_to("POST", "/session/{id}/prompt_async").len() + 1;
        let turn = tokio::spawn(play(other.send("And you?")));
        let message = self.posted(n).await;
        self.send(turn_events(other.id().as_str(), &message, "Me too."));
        turn.await.unwrap().assert_answer("Me too.");
    }

    /// An event of the session.
    pub(crate) fn event(&self, kind: &str, mut properties: Value) -> String {
        properties["sessionID"] = json!(self.session.id().as_str());
        json!({ "id": format!("evt_{kind}"), "type": kind, "properties": properties }).to_string()
    }

    /// Lets whoever looks find what these events tell.
    pub(crate) fn store(&self, events: &[String]) {
        self.fake.on("GET", "/session/{id}/message$", [Reply::json(messages(events))]);
    }

    /// Lets whoever looks find the session at work.
    pub(crate) fn is_busy(&self) {
        let busy = json!({ (self.session.id().as_str()): { "type": "busy" } });
        self.fake.on("GET", "/session/status", [Reply::json(busy)]);
    }

    /// Lets time pass, in small steps, until the turn is over.
    pub(crate) async fn pass_until_over(&self, turn: JoinHandle<Played>) -> Played {
        while !turn.is_finished() {
            self.still.pass(Duration::from_millis(100)).await;
        }
        turn.await.unwrap()
    }
}

pub(crate) async fn play(mut turn: TurnStream) -> Played {
    let mut events = Vec::new();
    while let Some(event) = turn.next_event().await {
        events.push(event);
    }
    Played { events, result: turn.outcome().await }
}

impl Played {
    /// All text that the events tell.
    pub(crate) fn text(&self) -> String {
        self.events.iter().filter_map(TurnEvent::text).collect()
    }

    /// The outcome, whatever the end.
    pub(crate) fn outcome(&self) -> &TurnOutcome {
        match &self.result {
            Ok(outcome) => outcome,
            Err(error) => error.outcome().unwrap(),
        }
    }

    pub(crate) fn end(&self) -> &'static str {
        self.outcome().end.name()
    }

    pub(crate) fn count(&self, is_meant: impl Fn(&TurnEventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_meant(&event.kind)).count()
    }

    /// It is complete, and its events tell this, once.
    pub(crate) fn assert_answer(&self, text: &str) {
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
pub(crate) fn messages(events: &[String]) -> Value {
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
