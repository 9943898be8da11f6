//! Driver of the machine of a turn: carries out actions and hands in events, replies and time.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use opencode_proto::{
    BackgroundWork, LeftAsks, Transcript, Turn, TurnAction, TurnEvent, TurnOutcome,
};

use super::agent;
use super::ask_desk::AskDesk;
use super::driven::{AbortOnDrop, DrivenTurn};
use super::error::TurnError;
use super::handler::AskHandlers;
use super::left::LeftWork;
use super::request::{TurnBegin, TurnStart};
use super::token::Ask;
use crate::http::Calls;
use crate::log::{EventLog, EventLogError, Log};
use crate::runtime::Timer;
use crate::runtime::blocking::unblock;
use crate::runtime::wait::{BoxFuture, is_due};
use crate::server::files::check;
use crate::server::hub::{Delivery, Follower};
use crate::session::core::SessionCore;

pub(super) struct TurnDriver {
    core: SessionCore,
    driven: AbortOnDrop,
    source: EventSource,
    log: Option<Log>,
    asks: AskDesk,
    /// Work that the turn leaves is cared for in this way.
    left: Option<LeftAsks>,
    timer: Option<Pin<Box<dyn Timer>>>,
}

/// Events of the session.
enum EventSource {
    /// Agent and files are checked and the log is opened first: nothing is posted when that fails.
    Preparing(BoxFuture<Result<Option<Log>, TurnError>>),
    Unopened,
    Following(Follower),
}

pub(super) enum TurnProgress {
    Event(Box<TurnEvent>),
    /// Nothing was posted.
    Failed(TurnError),
    Finished(Box<TurnOutcome>),
}

impl TurnDriver {
    pub(super) fn new(core: SessionCore, start: TurnStart) -> Self {
        let TurnStart { begin, settings, log, handlers } = start;
        let (server, state) = (&core.server, &core.state);
        if let TurnBegin::Follow(..) = &begin {
            // The new turn has the asks of work that an earlier one left.
            state.end_left_work();
        }
        let leaves_work = settings.background() == BackgroundWork::Leave;
        let left = leaves_work.then(|| settings.left_asks());
        let runtime = Arc::clone(&server.host.runtime);
        let calls = Calls::new(core.http.clone(), state.directory.clone());
        // The id for a turn that ends before it is posted.
        let message = server.next_message_id();
        let attaching = match &begin {
            TurnBegin::Post(post) if post.files().next().is_some() => Some(post.clone()),
            TurnBegin::Follow(..) | TurnBegin::Post(_) => None,
        };
        let agent = match &begin {
            TurnBegin::Post(post) => agent::unreported(&core, post),
            TurnBegin::Follow(..) => None,
        };
        let source = if log.is_none() && attaching.is_none() && agent.is_none() {
            EventSource::Unopened
        } else {
            let (runtime, machine, core) = (Arc::clone(&runtime), server.machine(), core.clone());
            EventSource::Preparing(Box::pin(async move {
                agent::check(&core, agent).await?;
                if let Some(post) = attaching {
                    check(&runtime, post, machine).await.map_err(TurnError::Attachment)?;
                }
                let Some(log) = log else { return Ok(None) };
                let opened = unblock(&runtime, move || EventLog::open(log)).await;
                Ok(Some(Log::new(opened.map_err(TurnError::LogOpen)?, runtime)))
            }))
        };
        let driven =
            DrivenTurn::new(calls, Arc::clone(state), runtime, |session, now| match begin {
                TurnBegin::Follow(target, dropped) => {
                    Turn::follow(target, dropped, settings, message, session, now)
                }
                TurnBegin::Post(post) => Turn::new(post, settings, message, session, now),
            });
        Self {
            driven: AbortOnDrop::new(driven),
            source,
            log: None,
            asks: AskDesk::new(handlers),
            left,
            timer: None,
            core,
        }
    }

    pub(super) fn turn(&self) -> &Turn {
        self.driven.turn()
    }

    pub(super) fn transcript(&self) -> Option<&Transcript> {
        self.turn().transcript()
    }

    pub(super) fn cancel(&mut self) {
        self.driven.input(Turn::cancel);
    }

    pub(super) fn take_ask(&mut self) -> Option<Ask> {
        self.asks.take_offered()
    }

    /// Carries out actions until there is something to hand out.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<TurnProgress> {
        // An ask that was not taken with the event is refused.
        drop(self.asks.take_offered());
        self.driven.poll_session(cx);
        loop {
            match self.driven.poll_action() {
                TurnAction::AskPermission(ask) => self.asks.ask(ask),
                TurnAction::AskQuestion(ask) => self.asks.ask(ask),
                TurnAction::Call(_) => unreachable!("calls are sent by the driven turn"),
                TurnAction::Event(event) => return Poll::Ready(TurnProgress::Event(event)),
                TurnAction::Finished(mut outcome) => {
                    outcome.version = self.core.server.version().cloned();
                    let (session, end) = (&self.core.state.id, outcome.end.name());
                    tracing::debug!(%session, end, "turn ended");
                    self.asks.close();
                    self.leave_work(&outcome);
                    return Poll::Ready(TurnProgress::Finished(outcome));
                }
                TurnAction::Link { child, parent } => {
                    if let EventSource::Following(follower) = &self.source {
                        follower.link(&child, &parent);
                    }
                }
                TurnAction::Ready => {
                    if let Err(error) = self.post() {
                        return Poll::Ready(TurnProgress::Failed(error));
                    }
                }
                TurnAction::Wait(wake) => {
                    let has_moved = match self.poll_world(cx) {
                        Ok(has_moved) => has_moved,
                        Err(error) => return Poll::Ready(TurnProgress::Failed(error)),
                    };
                    let runtime = &*self.core.server.host.runtime;
                    let is_due = is_due(runtime, &mut self.timer, wake, cx);
                    if !has_moved && !is_due {
                        return Poll::Pending;
                    }
                    // The clock decides, not the timer: runtimes wake timers late, and for other
                    // reasons.
                    self.driven.input(Turn::handle_timeout);
                }
            }
        }
    }

    /// Has the asks of subagents answered that the turn leaves at work.
    fn leave_work(&mut self, outcome: &TurnOutcome) {
        let Some(asks) = self.left.filter(|_| !outcome.still_running.is_empty()) else { return };
        if asks == LeftAsks::OtherClients {
            return;
        }
        let handlers = if asks == LeftAsks::Handlers {
            self.asks.take_handlers().without_reader()
        } else {
            AskHandlers::default()
        };
        LeftWork::spawn(&self.core, outcome.message.clone(), handlers);
    }

    /// Hands everything that has happened to the machine. Returns whether anything has.
    fn poll_world(&mut self, cx: &mut Context<'_>) -> Result<bool, TurnError> {
        let has_written = self.log.as_mut().is_some_and(|log| log.poll(cx));
        let has_events = self.poll_source(cx)?;
        let has_replies = self.driven.poll_replies(cx);
        let answers = self.asks.poll_answers(cx);
        let has_answers = !answers.is_empty();
        for answer in answers {
            self.driven.input(|turn, session, now| turn.answer(answer, session, now));
        }
        Ok(has_written || has_events || has_replies || has_answers)
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Result<bool, TurnError> {
        let delivery = match &mut self.source {
            EventSource::Preparing(prepared) => {
                let Poll::Ready(log) = prepared.as_mut().poll(cx) else { return Ok(false) };
                self.log = log?;
                self.source = EventSource::Unopened;
                return Ok(true);
            }
            EventSource::Unopened => {
                let state = &self.core.state;
                let follower = self.core.server.follow(state.id.clone(), state.directory.clone());
                self.source = EventSource::Following(follower);
                return Ok(true);
            }
            // A log that cannot keep up holds the events back.
            EventSource::Following(_) if self.log.as_ref().is_some_and(Log::is_full) => {
                return Ok(false);
            }
            EventSource::Following(follower) => follower.mailbox().poll_take(cx),
        };
        let Poll::Ready(delivery) = delivery else { return Ok(false) };
        self.deliver(&delivery)?;
        Ok(true)
    }

    fn deliver(&mut self, delivery: &Delivery) -> Result<(), TurnError> {
        let is_waiting = self.turn().is_waiting();
        match delivery {
            Delivery::Event(event) => {
                // Here, since an event may say several things of the turn, or nothing.
                if let Some(log) = self.log.as_mut().filter(|_| !is_waiting) {
                    log.add(event.event_type(), event.raw.clone());
                }
            }
            Delivery::Finished(end) if is_waiting => return Err(TurnError::Events(end.clone())),
            Delivery::Finished(_) | Delivery::Interrupted(_) | Delivery::Opened => {}
        }
        self.driven.deliver(delivery);
        Ok(())
    }

    /// Posts the prompt, after the events that are there: those are not about it.
    fn post(&mut self) -> Result<(), TurnError> {
        while let EventSource::Following(follower) = &self.source
            && let Some(delivery) = follower.mailbox().take_waiting()
        {
            self.deliver(&delivery)?;
        }
        let message = self.core.server.next_message_id();
        self.driven.input(|turn, session, now| turn.post(message, session, now));
        Ok(())
    }

    pub(super) fn close(
        &mut self,
    ) -> impl Future<Output = Result<(), EventLogError>> + Send + use<> {
        let log = mem::take(&mut self.log);
        async move {
            match log {
                Some(log) => log.close().await,
                None => Ok(()),
            }
        }
    }
}
