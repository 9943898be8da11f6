//! Running and ended turns, with checks that apply to every turn.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{Either, select};
use opencode_client::event::{PartId, StreamedText};
use opencode_client::session::SessionStatus;
use opencode_client::turn::Origin;
use opencode_client::{
    Session, TurnError, TurnEvent, TurnEventKind, TurnOutcome, TurnRequest, TurnStream,
};

use super::sessions::{LONG, SessionWorld, prompt};
use crate::model::{ModelRequest, Outcome, Reply};

/// Tokens of one call of the scripted model with default usage.
pub const CALL_TOKENS: u64 = 110;
const CALL_COST: f64 = 100.0 * 1e-6 + 10.0 * 2e-6;

/// A running turn.
#[derive(Debug)]
pub struct LiveTurn {
    /// The turn.
    pub stream: TurnStream,
    events: Vec<TurnEvent>,
}

/// An ended turn.
#[derive(Debug)]
pub struct EndedTurn {
    /// Events, in order.
    pub events: Vec<TurnEvent>,
    /// Outcome of the turn, successful or not.
    pub outcome: TurnOutcome,
}

impl LiveTurn {
    /// Starts to follow a turn.
    pub fn new(stream: TurnStream) -> Self {
        Self { stream, events: Vec::new() }
    }

    /// Reads events until one of them matches.
    #[track_caller]
    pub fn until<'a>(
        &'a mut self,
        mut is_match: impl FnMut(&TurnEvent) -> bool + 'a,
    ) -> impl Future<Output = TurnEvent> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            while let Some(event) = self.stream.next_event().await {
                self.events.push(event.clone());
                if is_match(&event) {
                    return event;
                }
            }
            panic!("{caller}: the turn ended without the event: {:#?}", self.events);
        }
    }

    /// Reads events until the text so far ends with `text`.
    #[track_caller]
    pub fn until_text<'a>(&'a mut self, text: &'a str) -> impl Future<Output = TurnEvent> + 'a {
        let mut so_far = String::new();
        self.until(move |event| {
            so_far.extend(event.text());
            so_far.ends_with(text)
        })
    }

    /// Reads events until `work` is done.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            match select(work.as_mut(), pin!(self.stream.next_event())).await {
                Either::Left((done, _)) => return done,
                Either::Right((event, _)) => self.events.push(event.expect("the turn is running")),
            }
        }
    }

    /// Reads events until the model has received a matching request.
    pub async fn until_model_request(
        &mut self,
        world: &SessionWorld,
        is_match: impl FnMut(&ModelRequest) -> bool + Send + 'static,
    ) {
        self.during(wait_for_model_request(world, is_match)).await;
    }

    /// Reads the remaining events, and checks the turn.
    pub async fn end(mut self) -> EndedTurn {
        while let Some(event) = self.stream.next_event().await {
            self.events.push(event);
        }
        let outcome = match self.stream.outcome().await {
            Ok(outcome) => outcome,
            Err(TurnError::Ended(outcome)) => *outcome,
            Err(other) => panic!("{other:?}"),
        };
        let ended = EndedTurn { events: self.events, outcome };
        ended.check();
        ended
    }
}

impl EndedTurn {
    /// Name of the turn's end.
    pub fn end(&self) -> &'static str {
        self.outcome.end.name()
    }

    /// Text of all events, without that of abandoned attempts.
    pub fn text(&self) -> String {
        let mut text = StreamedText::new();
        self.events.iter().for_each(|event| text.handle_turn_event(event));
        text.to_str().into_owned()
    }

    /// Number of events of this kind.
    pub fn count(&self, is_match: impl Fn(&TurnEventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_match(&event.kind)).count()
    }

    /// Messages of all error events.
    pub fn failures(&self) -> Vec<&str> {
        let failures = self.events.iter().filter_map(|event| match &event.kind {
            TurnEventKind::Failed(error) => Some(&*error.message),
            _ => None,
        });
        failures.collect()
    }

    /// Tool calls of the turn's own session, with their states.
    pub fn tools(&self) -> Vec<(&str, &str)> {
        self.outcome.tools().map(|tool| (&*tool.tool, tool.state.status())).collect()
    }

    /// Checks that the outcome counts this many model calls, each once.
    #[track_caller]
    pub fn assert_calls(&self, calls: u32) {
        let cost = f64::from(calls) * CALL_COST;
        assert_eq!(self.outcome.tokens().total, u64::from(calls) * CALL_TOKENS);
        assert!((self.outcome.cost() - cost).abs() < 1e-9, "{} for {cost}", self.outcome.cost());
    }

    fn check(&self) {
        let posted = self.count(|kind| matches!(kind, TurnEventKind::Posted(_)));
        assert!(posted <= 1, "{posted} events for one prompt");
        let mut finals: Vec<&PartId> = Vec::new();
        for event in &self.events {
            let TurnEventKind::PartFinal { part, .. } = &event.kind else { continue };
            let id = part.key().part.as_ref().unwrap();
            assert!(!finals.contains(&id), "a part has two final snapshots: {part:?}");
            finals.push(id);
        }
        for event in &self.events {
            let is_own = event.session == *self.outcome.transcript.id();
            assert_eq!(event.origin == Origin::Session, is_own, "{event:?}");
        }
        assert_eq!(self.text(), self.outcome.full_text(), "events and outcome differ");
    }
}

/// Runs a turn to the end.
pub async fn run_turn(session: &Session, request: impl Into<TurnRequest>) -> EndedTurn {
    LiveTurn::new(session.send(prompt(request))).end().await
}

/// Checks that the next turn of the session is answered, without anything of earlier turns.
#[track_caller]
pub fn assert_session_continues<'a>(
    world: &'a SessionWorld,
    session: &'a Session,
) -> impl Future<Output = ()> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        world.model().script("live-next", Reply::new().text("The next answer."));
        let next = run_turn(session, "And now? [[live-next]]").await;
        let outcome = &next.outcome;
        assert_eq!(outcome.end.name(), "completed", "{caller}: {outcome:#?}");
        assert_eq!(outcome.text(), "The next answer.", "{caller}: {outcome:#?}");
        assert_eq!((outcome.answers().count(), outcome.tools().count()), (1, 0), "{caller}");
        assert_eq!((outcome.errors(), outcome.children.len()), (&[] as &[_], 0), "{caller}");
        assert_eq!(next.failures(), [""; 0], "{caller}");
        next.assert_calls(1);
    }
}

/// Polls until the server lists the session as idle, which follows `session.idle` after a moment.
pub async fn until_idle(session: &Session) {
    let begun = Instant::now();
    while session.status().await.expect("the server answers") != SessionStatus::Idle {
        assert!(begun.elapsed() < LONG, "{} is still busy", session.id());
    }
}

/// Model requests of a session.
pub fn requests_of(world: &SessionWorld, session: &Session) -> Vec<Arc<ModelRequest>> {
    let mut requests = world.model().requests();
    requests.retain(|request| request.session() == Some(session.id().as_str()));
    requests
}

/// Waits until the model has received a matching request.
pub async fn wait_for_model_request(
    world: &SessionWorld,
    is_match: impl FnMut(&ModelRequest) -> bool + Send + 'static,
) -> Arc<ModelRequest> {
    let recorder = world.model().recorder();
    world.host.blocking(move || recorder.wait_for(LONG, is_match).unwrap()).await
}

/// Waits until OpenCode has closed the connection to the model in the middle of this script's
/// answer.
pub async fn wait_for_model_disconnect(world: &SessionWorld, script: &'static str) {
    wait_for_model_request(world, move |request| {
        request.script() == Some(script) && request.outcome() == Some(Outcome::ClientLeft)
    })
    .await;
}
