//! What breaks between the server and us: connections that are cut by a proxy of ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use opencode_client::{
    AttachRequest, CreateSession, HubSettings, Session, TurnError, TurnEvent, TurnEventKind,
    TurnOutcome, TurnStream,
};

use super::sessions::{LONG, World, credentials};
use crate::conformance::Host;
use crate::model::ModelRequest;
use crate::proxy::Proxy;

/// A session behind a proxy of its own.
#[derive(Debug)]
pub struct Behind {
    /// Its project, and the server past the proxy.
    pub world: World,
    /// The proxy.
    pub proxy: Arc<Proxy>,
    /// The session, through the proxy.
    pub session: Session,
}

impl Behind {
    /// A session like any other.
    pub async fn new(on: &Host) -> Self {
        Self::with(on, HubSettings::default(), CreateSession::new()).await
    }

    /// A session made like this, whose events are followed like this.
    pub async fn with(on: &Host, events: HubSettings, create: CreateSession) -> Self {
        let world = World::new(on).await;
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

    /// Does something with the proxy that blocks.
    pub async fn proxied<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Proxy) -> T + Send + 'static,
    ) -> T {
        let proxy = Arc::clone(&self.proxy);
        self.world.host.blocking(move || work(&proxy)).await
    }

    /// Waits until the model was asked for this.
    pub async fn asked(
        &self,
        is_meant: impl Fn(&ModelRequest) -> bool + Send + 'static,
    ) -> Arc<ModelRequest> {
        let recorder = self.world.model().recorder();
        let wait = move || recorder.wait_for(LONG, is_meant).unwrap();
        self.world.host.blocking(wait).await
    }

    /// How many such requests came to the proxy.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.proxy.requests_to(method, path).len()
    }

    /// How many prompts came to the proxy.
    pub fn posts(&self) -> usize {
        self.count("POST", "/session/{id}/prompt_async")
    }

    /// How often the model was asked for a step of this script.
    pub fn calls(&self, script: &str) -> usize {
        let requests = self.world.model().requests();
        requests.iter().filter(|request| request.script() == Some(script)).count()
    }
}

/// A turn, and what it told so far.
#[derive(Debug)]
pub struct Follow {
    /// The turn.
    pub turn: TurnStream,
    /// What it told so far.
    pub events: Vec<TurnEvent>,
}

/// A turn that told nothing yet.
pub fn follow(turn: TurnStream) -> Follow {
    Follow { turn, events: Vec::new() }
}

impl Follow {
    /// Goes on until the events tell what is meant.
    pub async fn until(&mut self, is_told: impl Fn(&Self) -> bool) {
        while !is_told(self) {
            let event = self.turn.next_event().await;
            self.events.push(event.unwrap_or_else(|| panic!("it ended: {:#?}", self.events)));
        }
    }

    /// Goes on until this and nothing else is told.
    pub async fn until_text(&mut self, text: &str) {
        self.until(|turn| turn.text() == text).await;
    }

    /// Goes on until the stream was lost and found this often.
    pub async fn until_reconnected(&mut self, times: usize) {
        self.until(|turn| turn.count(is_reconnected) == times).await;
    }

    /// The text that was told.
    pub fn text(&self) -> String {
        self.events.iter().filter_map(TurnEvent::text).collect()
    }

    /// How many events of this kind were told.
    pub fn count(&self, is_meant: impl Fn(&TurnEventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_meant(&event.kind)).count()
    }

    /// Goes on to the end.
    pub async fn end(mut self) -> Told {
        while let Some(event) = self.turn.next_event().await {
            self.events.push(event);
        }
        let Self { turn, events } = self;
        Told { events, result: turn.outcome().await }
    }
}

/// All that a turn told, and what it came to.
#[derive(Debug)]
pub struct Told {
    /// Its events, in order.
    pub events: Vec<TurnEvent>,
    /// Its end.
    pub result: Result<TurnOutcome, TurnError>,
}

impl Told {
    /// The outcome, whatever the end.
    pub fn outcome(&self) -> &TurnOutcome {
        match &self.result {
            Ok(outcome) => outcome,
            Err(error) => error.outcome().unwrap(),
        }
    }

    /// The text that was told.
    pub fn text(&self) -> String {
        self.events.iter().filter_map(TurnEvent::text).collect()
    }

    /// How many events of this kind were told.
    pub fn count(&self, is_meant: impl Fn(&TurnEventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_meant(&event.kind)).count()
    }

    /// It is complete, its text is this and was told by its events, and nothing was told twice.
    pub fn assert_answer(&self, full_text: &str) -> &TurnOutcome {
        let outcome = self.outcome();
        assert_eq!(outcome.end.name(), "completed", "{:#?}", self.events);
        let told = self.text();
        assert_eq!((&*told, &*outcome.full_text()), (full_text, full_text), "{:#?}", self.events);
        self.assert_told_once();
        outcome
    }

    /// Nothing was told twice.
    pub fn assert_told_once(&self) {
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for event in &self.events {
            let what = match &event.kind {
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
            *told.entry(what).or_default() += 1;
        }
        told.retain(|_, times| *times > 1);
        assert!(told.is_empty(), "told more than once: {told:#?}");
        assert_eq!(self.count(|kind| matches!(kind, TurnEventKind::Posted(_))), 1);
    }

    /// The stream was lost and found this often.
    pub fn assert_gaps(&self, gaps: usize) {
        let told = [self.count(is_lost), self.count(is_reconnected)];
        assert_eq!((told, self.outcome().gaps as usize), ([gaps, gaps], gaps));
    }
}

/// The connection was lost.
pub fn is_lost(kind: &TurnEventKind) -> bool {
    matches!(kind, TurnEventKind::ConnectionLost(_))
}

/// The connection was found again.
pub fn is_reconnected(kind: &TurnEventKind) -> bool {
    matches!(kind, TurnEventKind::Reconnected)
}
