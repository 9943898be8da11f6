//! Sessions behind a proxy that breaks connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use opencode_client::event::StreamedText;
use opencode_client::server::HubSettings;
use opencode_client::{
    AttachRequest, CreateSession, Session, TurnError, TurnEvent, TurnEventKind, TurnOutcome,
    TurnStream,
};

use super::sessions::{LONG, SessionWorld, credentials};
use crate::conformance::Host;
use crate::model::ModelRequest;
use crate::proxy::Proxy;

/// A session behind a proxy.
#[derive(Debug)]
pub struct ProxiedSession {
    /// World with a direct connection to the server.
    pub world: SessionWorld,
    /// The proxy.
    pub proxy: Arc<Proxy>,
    /// Session through the proxy.
    pub session: Session,
}

impl ProxiedSession {
    /// Creates a session with default settings.
    pub async fn new(on: &Host) -> Self {
        Self::with(on, HubSettings::default(), CreateSession::new()).await
    }

    /// Creates a session with these settings of the event stream and this request.
    pub async fn with(on: &Host, events: HubSettings, create: CreateSession) -> Self {
        let world = SessionWorld::new(on).await;
        let url = world.server.url();
        let port = url.rsplit(':').next().unwrap().parse().unwrap();
        let proxy = Arc::new(Proxy::start(port).unwrap());
        let request = AttachRequest::new(proxy.url())
            .with_credentials(credentials())
            .with_directory(world.project().to_str().unwrap())
            .with_events(events);
        let server = on.opencode().attach(request).await.unwrap();
        let session = server.create_session(create.with_title("a test")).await.unwrap();
        Self { world, proxy, session }
    }

    /// Runs work with the proxy on a thread that may block.
    pub async fn proxied<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Proxy) -> T + Send + 'static,
    ) -> T {
        let proxy = Arc::clone(&self.proxy);
        self.world.host.blocking(move || work(&proxy)).await
    }

    /// Waits until the model has received a request.
    pub async fn wait_for_model_request(
        &self,
        is_meant: impl Fn(&ModelRequest) -> bool + Send + 'static,
    ) -> Arc<ModelRequest> {
        let recorder = self.world.model().recorder();
        let wait = move || recorder.wait_for(LONG, is_meant).unwrap();
        self.world.host.blocking(wait).await
    }

    /// Number of requests at the proxy so far.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.proxy.requests_to(method, path).len()
    }

    /// Number of prompts at the proxy so far.
    pub fn posts(&self) -> usize {
        self.count("POST", "/session/{id}/prompt_async")
    }

    /// Number of model calls so far that belong to this script.
    pub fn calls(&self, script: &str) -> usize {
        let requests = self.world.model().requests();
        requests.iter().filter(|request| request.script() == Some(script)).count()
    }
}

/// A running turn, and the events so far.
#[derive(Debug)]
pub struct TurnFollower {
    /// The turn.
    pub turn: TurnStream,
    /// Events so far.
    pub events: Vec<TurnEvent>,
}

/// Starts to follow a turn.
pub fn follow(turn: TurnStream) -> TurnFollower {
    TurnFollower { turn, events: Vec::new() }
}

impl TurnFollower {
    /// Reads events until the condition holds.
    pub async fn until(&mut self, is_reached: impl Fn(&Self) -> bool) {
        while !is_reached(self) {
            let event = self.turn.next_event().await;
            self.events.push(event.unwrap_or_else(|| panic!("turn ended: {:#?}", self.events)));
        }
    }

    /// Reads events until the text so far equals `text`.
    pub async fn until_text(&mut self, text: &str) {
        self.until(|turn| turn.text() == text).await;
    }

    /// Reads events until the stream has reconnected this many times.
    pub async fn until_reconnected(&mut self, times: usize) {
        self.until(|turn| turn.count(is_reconnected) == times).await;
    }

    /// Text so far.
    pub fn text(&self) -> String {
        let mut text = StreamedText::new();
        self.events.iter().for_each(|event| text.handle_turn_event(event));
        text.to_str().into_owned()
    }

    /// Number of events of this kind so far.
    pub fn count(&self, is_meant: impl Fn(&TurnEventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_meant(&event.kind)).count()
    }

    /// Reads the remaining events.
    pub async fn end(mut self) -> FollowedTurn {
        while let Some(event) = self.turn.next_event().await {
            self.events.push(event);
        }
        let Self { turn, events } = self;
        FollowedTurn { events, result: turn.outcome().await }
    }
}

/// Events and result of a turn.
#[derive(Debug)]
pub struct FollowedTurn {
    /// Events, in order.
    pub events: Vec<TurnEvent>,
    /// Result of the turn.
    pub result: Result<TurnOutcome, TurnError>,
}

impl FollowedTurn {
    /// Outcome of the turn, successful or not.
    pub fn outcome(&self) -> &TurnOutcome {
        match &self.result {
            Ok(outcome) => outcome,
            Err(error) => error.outcome().unwrap(),
        }
    }

    /// Text of all events.
    pub fn text(&self) -> String {
        let mut text = StreamedText::new();
        self.events.iter().for_each(|event| text.handle_turn_event(event));
        text.to_str().into_owned()
    }

    /// Number of events of this kind.
    pub fn count(&self, is_meant: impl Fn(&TurnEventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_meant(&event.kind)).count()
    }

    /// Checks that the turn is complete, that outcome and events have this text, and that no event
    /// was repeated.
    pub fn assert_answer(&self, full_text: &str) -> &TurnOutcome {
        let outcome = self.outcome();
        assert_eq!(outcome.end.name(), "completed", "{:#?}", self.events);
        let text = self.text();
        assert_eq!((&*text, &*outcome.full_text()), (full_text, full_text), "{:#?}", self.events);
        self.assert_no_repeats();
        outcome
    }

    /// Checks that no event was repeated.
    pub fn assert_no_repeats(&self) {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for event in &self.events {
            let label = match &event.kind {
                TurnEventKind::Posted(message) => format!("posted {message}"),
                TurnEventKind::PartAdded(part) => format!("added {:?}", part.key().part),
                TurnEventKind::PartFinal { part, .. } => format!("final {:?}", part.key().part),
                TurnEventKind::StepStarted(step) => format!("step {:?}", step.key.part),
                TurnEventKind::StepFinished(step) => format!("finished {:?}", step.key.part),
                TurnEventKind::ChildStarted(child) => format!("child {}", child.id),
                TurnEventKind::PermissionAsked(request) => format!("asked {}", request.id),
                TurnEventKind::PermissionReplied { request, .. } => format!("replied {request}"),
                _ => continue,
            };
            *counts.entry(label).or_default() += 1;
        }
        counts.retain(|_, times| *times > 1);
        assert!(counts.is_empty(), "repeated events: {counts:#?}");
        assert_eq!(self.count(|kind| matches!(kind, TurnEventKind::Posted(_))), 1);
    }

    /// Checks the number of gaps in events and outcome.
    pub fn assert_gaps(&self, gaps: usize) {
        let counts = [self.count(is_lost), self.count(is_reconnected)];
        assert_eq!((counts, self.outcome().gaps as usize), ([gaps, gaps], gaps));
    }
}

/// Returns whether the connection was lost.
pub fn is_lost(kind: &TurnEventKind) -> bool {
    matches!(kind, TurnEventKind::ConnectionLost(_))
}

/// Returns whether the stream has reconnected.
pub fn is_reconnected(kind: &TurnEventKind) -> bool {
    matches!(kind, TurnEventKind::Reconnected)
}
