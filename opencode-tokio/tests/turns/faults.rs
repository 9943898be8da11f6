//! What breaks between the server and us: connections that are cut by a proxy of ours.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of many")]

mod asks;
mod calls;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use opencode_tokio::{
    AttachRequest, CreateSession, HubSettings, Session, TurnError, TurnEvent, TurnEventKind,
    TurnOutcome, TurnStream,
};
use testkit::model::Request;
use testkit::proxy::Proxy;

use crate::world::{LONG, World, credentials};

/// A session behind a proxy of its own.
struct Behind {
    world: World,
    proxy: Arc<Proxy>,
    session: Session,
}

impl Behind {
    async fn new() -> Self {
        Self::with(HubSettings::default(), CreateSession::new()).await
    }

    async fn with(events: HubSettings, create: CreateSession) -> Self {
        let world = World::new().await;
        let url = world.server.url();
        let port = url.rsplit(':').next().unwrap().parse().unwrap();
        let proxy = Arc::new(Proxy::start(port).unwrap());
        let request = AttachRequest::new(proxy.url())
            .with_credentials(credentials())
            .with_directory(world.project().to_str().unwrap())
            .with_events(events);
        let server = opencode_tokio::opencode().attach(request).await.unwrap();
        let session = server.create_session(create.with_title("a test")).await.unwrap();
        Self { world, proxy, session }
    }

    async fn proxied<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Proxy) -> T + Send + 'static,
    ) -> T {
        let proxy = Arc::clone(&self.proxy);
        tokio::task::spawn_blocking(move || work(&proxy)).await.unwrap()
    }

    /// Waits until the model was asked for this.
    async fn asked(&self, is_meant: impl Fn(&Request) -> bool + Send + 'static) -> Arc<Request> {
        let recorder = self.world.model().recorder();
        let wait = move || recorder.wait_for(LONG, is_meant).unwrap();
        tokio::task::spawn_blocking(wait).await.unwrap()
    }

    fn count(&self, method: &str, path: &str) -> usize {
        self.proxy.requests_to(method, path).len()
    }

    fn posts(&self) -> usize {
        self.count("POST", "/session/{id}/prompt_async")
    }

    /// How often the model was asked for a step of this script.
    fn calls(&self, script: &str) -> usize {
        let requests = self.world.model().requests();
        requests.iter().filter(|request| request.script() == Some(script)).count()
    }
}

/// A turn, and what it told so far.
pub(crate) struct Follow {
    pub(crate) turn: TurnStream,
    pub(crate) events: Vec<TurnEvent>,
}

pub(crate) fn follow(turn: TurnStream) -> Follow {
    Follow { turn, events: Vec::new() }
}

impl Follow {
    /// Goes on until the events tell what is meant.
    pub(crate) async fn until(&mut self, is_told: impl Fn(&Self) -> bool) {
        while !is_told(self) {
            let event = self.turn.next_event().await;
            self.events.push(event.unwrap_or_else(|| panic!("it ended: {:#?}", self.events)));
        }
    }

    pub(crate) async fn until_text(&mut self, text: &str) {
        self.until(|turn| turn.text() == text).await;
    }

    /// Goes on until the stream was lost and found this often.
    async fn until_reconnected(&mut self, times: usize) {
        self.until(|turn| turn.count(is_reconnected) == times).await;
    }

    fn text(&self) -> String {
        self.events.iter().filter_map(TurnEvent::text).collect()
    }

    fn count(&self, is_meant: impl Fn(&TurnEventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_meant(&event.kind)).count()
    }

    pub(crate) async fn end(mut self) -> Told {
        while let Some(event) = self.turn.next_event().await {
            self.events.push(event);
        }
        let Self { turn, events } = self;
        Told { events, result: turn.outcome().await }
    }
}

/// All that a turn told, and what it came to.
pub(crate) struct Told {
    pub(crate) events: Vec<TurnEvent>,
    pub(crate) result: Result<TurnOutcome, TurnError>,
}

impl Told {
    pub(crate) fn outcome(&self) -> &TurnOutcome {
        match &self.result {
            Ok(outcome) => outcome,
            Err(error) => error.outcome().unwrap(),
        }
    }

    pub(crate) fn text(&self) -> String {
        self.events.iter().filter_map(TurnEvent::text).collect()
    }

    fn count(&self, is_meant: impl Fn(&TurnEventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_meant(&event.kind)).count()
    }

    /// It is complete, its text is this and was told by its events, and nothing was told twice.
    pub(crate) fn assert_answer(&self, full_text: &str) -> &TurnOutcome {
        let outcome = self.outcome();
        assert_eq!(outcome.end.name(), "completed", "{:#?}", self.events);
        let told = self.text();
        assert_eq!((&*told, &*outcome.full_text()), (full_text, full_text), "{:#?}", self.events);
        self.assert_told_once();
        outcome
    }

    pub(crate) fn assert_told_once(&self) {
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
    fn assert_gaps(&self, gaps: usize) {
        let told = [self.count(is_lost), self.count(is_reconnected)];
        assert_eq!((told, self.outcome().gaps as usize), ([gaps, gaps], gaps));
    }
}

fn is_lost(kind: &TurnEventKind) -> bool {
    matches!(kind, TurnEventKind::ConnectionLost(_))
}

fn is_reconnected(kind: &TurnEventKind) -> bool {
    matches!(kind, TurnEventKind::Reconnected)
}
