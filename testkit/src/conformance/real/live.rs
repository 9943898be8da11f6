//! A turn and what it told, and what holds for every turn.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{Either, select};
use opencode_client::{
    Origin, PartId, Session, SessionStatus, TurnError, TurnEvent, TurnEventKind, TurnOutcome,
    TurnRequest, TurnStream,
};

use super::sessions::{LONG, World, prompt};
use crate::model::{ModelRequest, Outcome, Reply};

/// What one call of the scripted model is, as long as a script says nothing else.
pub const CALL_TOKENS: u64 = 110;
const CALL_COST: f64 = 100.0 * 1e-6 + 10.0 * 2e-6;

/// A turn that goes on.
#[derive(Debug)]
pub struct Live {
    /// The turn.
    pub stream: TurnStream,
    told: Vec<TurnEvent>,
}

/// A turn that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its events, in order.
    pub told: Vec<TurnEvent>,
    /// Its outcome, whatever the end.
    pub outcome: TurnOutcome,
}

impl Live {
    /// A turn that told nothing yet.
    pub fn new(stream: TurnStream) -> Self {
        Self { stream, told: Vec::new() }
    }

    /// Goes on until an event is the one.
    #[track_caller]
    pub fn until<'a>(
        &'a mut self,
        mut is_it: impl FnMut(&TurnEvent) -> bool + 'a,
    ) -> impl Future<Output = TurnEvent> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            while let Some(event) = self.stream.next_event().await {
                self.told.push(event.clone());
                if is_it(&event) {
                    return event;
                }
            }
            panic!("{caller}: the turn ended before: {:#?}", self.told);
        }
    }

    /// Goes on until this text is told.
    #[track_caller]
    pub fn until_text<'a>(&'a mut self, text: &'a str) -> impl Future<Output = TurnEvent> + 'a {
        let mut told = String::new();
        self.until(move |event| {
            told.extend(event.text());
            told.ends_with(text)
        })
    }

    /// Goes on while something else is awaited.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            match select(work.as_mut(), pin!(self.stream.next_event())).await {
                Either::Left((done, _)) => return done,
                Either::Right((event, _)) => self.told.push(event.expect("it goes on")),
            }
        }
    }

    /// Goes on until the model is asked for the one.
    pub async fn until_asked(
        &mut self,
        world: &World,
        is_it: impl FnMut(&ModelRequest) -> bool + Send + 'static,
    ) {
        self.during(asked(world, is_it)).await;
    }

    /// Goes on to the end, and checks what holds for every turn.
    pub async fn end(mut self) -> Ended {
        while let Some(event) = self.stream.next_event().await {
            self.told.push(event);
        }
        let outcome = match self.stream.outcome().await {
            Ok(outcome) => outcome,
            Err(TurnError::Ended(outcome)) => *outcome,
            Err(other) => panic!("{other:?}"),
        };
        let ended = Ended { told: self.told, outcome };
        ended.check();
        ended
    }
}

impl Ended {
    /// The name of its end.
    pub fn end(&self) -> &'static str {
        self.outcome.end.name()
    }

    /// What the events told of the answer's text.
    pub fn text(&self) -> String {
        self.told.iter().filter_map(TurnEvent::text).collect()
    }

    /// How many events of this kind were told.
    pub fn count(&self, is_it: impl Fn(&TurnEventKind) -> bool) -> usize {
        self.told.iter().filter(|event| is_it(&event.kind)).count()
    }

    /// The messages of the errors that were told.
    pub fn failures(&self) -> Vec<&str> {
        let failures = self.told.iter().filter_map(|event| match &event.kind {
            TurnEventKind::Failed(error) => Some(&*error.message),
            _ => None,
        });
        failures.collect()
    }

    /// The tool calls of the turn's own session, with their states.
    pub fn tools(&self) -> Vec<(&str, &str)> {
        self.outcome.tools().map(|tool| (&*tool.tool, tool.state.status())).collect()
    }

    /// That this many calls of the model were counted, once each.
    #[track_caller]
    pub fn assert_calls(&self, calls: u32) {
        let cost = f64::from(calls) * CALL_COST;
        assert_eq!(self.outcome.tokens().total, u64::from(calls) * CALL_TOKENS);
        assert!((self.outcome.cost() - cost).abs() < 1e-9, "{} for {cost}", self.outcome.cost());
    }

    fn check(&self) {
        let posted = self.count(|kind| matches!(kind, TurnEventKind::Posted(_)));
        assert!(posted <= 1, "told {posted} times that it was posted");
        let mut finals: Vec<&PartId> = Vec::new();
        for event in &self.told {
            let TurnEventKind::PartFinal { part, .. } = &event.kind else { continue };
            let id = part.key().part.as_ref().unwrap();
            assert!(!finals.contains(&id), "a part is final twice: {part:?}");
            finals.push(id);
        }
        for event in &self.told {
            let is_own = event.session == *self.outcome.transcript.id();
            assert_eq!(event.origin == Origin::Session, is_own, "{event:?}");
        }
        assert_eq!(self.text(), self.outcome.full_text(), "what is told is what it comes to");
    }
}

/// Plays a turn to its end.
pub async fn ended(session: &Session, request: impl Into<TurnRequest>) -> Ended {
    Live::new(session.send(prompt(request))).end().await
}

/// That the session is as good as new: its next turn is answered, and has nothing of those before.
#[track_caller]
pub fn assert_goes_on<'a>(world: &'a World, session: &'a Session) -> impl Future<Output = ()> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        world.model().script("live-next", Reply::new().text("The next answer."));
        let next = ended(session, "And now? [[live-next]]").await;
        let outcome = &next.outcome;
        assert_eq!(outcome.end.name(), "completed", "{caller}: {outcome:#?}");
        assert_eq!(outcome.text(), "The next answer.", "{caller}: {outcome:#?}");
        assert_eq!((outcome.answers().count(), outcome.tools().count()), (1, 0), "{caller}");
        assert_eq!((outcome.errors(), outcome.children.len()), (&[] as &[_], 0), "{caller}");
        assert_eq!(next.failures(), [""; 0], "{caller}");
        next.assert_calls(1);
    }
}

/// Asks until the server says that the session is idle, which it tells on its event stream a moment earlier.
pub async fn until_idle(session: &Session) {
    let begun = Instant::now();
    while session.status().await.expect("the server answers") != SessionStatus::Idle {
        assert!(begun.elapsed() < LONG, "{} is still busy", session.id());
    }
}

/// What the model was asked in a session.
pub fn requests_of(world: &World, session: &Session) -> Vec<Arc<ModelRequest>> {
    let mut requests = world.model().requests();
    requests.retain(|request| request.session() == Some(session.id().as_str()));
    requests
}

/// Waits until the model was asked for the one.
pub async fn asked(
    world: &World,
    is_it: impl FnMut(&ModelRequest) -> bool + Send + 'static,
) -> Arc<ModelRequest> {
    let recorder = world.model().recorder();
    world.host.blocking(move || recorder.wait_for(LONG, is_it).unwrap()).await
}

/// Waits until OpenCode has closed its connection to the model in the middle of this script's answer.
pub async fn left(world: &World, script: &'static str) {
    asked(world, move |request| {
        request.script() == Some(script) && request.outcome() == Some(Outcome::ClientLeft)
    })
    .await;
}
