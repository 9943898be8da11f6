//! A turn and its machine.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_channel::oneshot;
use opencode_proto::api::{AbortSession, ConfiguredModel, Pending as Asked};
use opencode_proto::{
    Arrival, AskId, HubEnd, LookError, MessageId, PermissionAsk, PermissionReply, Posted,
    QuestionAsk, QuestionReply, Transcript, Turn, TurnAction, TurnEvent, TurnOutcome,
};

use crate::log::Log;
use crate::log::{EventLog, EventLogError};
use crate::runtime::blocking::unblock;
use crate::runtime::wait::poll_timer;
use crate::runtime::{Runtime, Timer};
use crate::server::hub::{Delivery, Follower, Mailbox};
use crate::server::sessions::Abort;
use crate::session::core::SessionCore;

use super::answer::{Answer, Answers, Ask, PermissionToken, QuestionToken, reply};
use super::error::TurnError;
use super::handler::{Answerers, Taker};
use super::look::{Found, Site, look};
use super::pending::Pending;
use super::post::post;
use super::request::{TurnRequest, Work};
use crate::runtime::wait::BoxFuture;

pub(super) struct Running {
    core: SessionCore,
    follower: Follower,
    turn: Turn,
    site: Site,
    work: Option<Work>,
    /// The model that the prompt names.
    model: Option<opencode_config::ModelRef>,
    answerers: Answerers,
    answers: Answers,
    /// What was told last and nobody took yet.
    ask: Option<Ask>,
    /// What this turn answers.
    taken: Vec<String>,
    /// What another turn of the session answers, unless it gives that up.
    left: Vec<LeftAsk>,
    posting: Option<BoxFuture<Posted>>,
    looking: Option<BoxFuture<Result<Found, LookError>>>,
    aborting: Option<BoxFuture<()>>,
    deciding: Pending<()>,
    replying: Pending<(AskId, Arrival)>,
    timer: Option<Pin<Box<dyn Timer>>>,
    log: Option<Log>,
    is_posted: bool,
    is_over: bool,
    heir: Option<oneshot::Sender<BoxFuture<()>>>,
}

/// What another turn of the session is to answer.
enum LeftAsk {
    Permission(PermissionAsk),
    Question(QuestionAsk),
}

pub(super) enum Progress {
    Event(Box<TurnEvent>),
    Finished(Box<TurnOutcome>),
}

/// Waits until the event stream is open and nothing is being aborted, and begins.
pub(super) async fn start(
    core: SessionCore,
    mut request: TurnRequest,
    begun: Instant,
) -> Result<Running, TurnError> {
    let runtime = Arc::clone(&core.server.host.runtime);
    let log = match request.log.take() {
        Some(config) => {
            let opened = unblock(&runtime, move || EventLog::open(config)).await;
            Some(Log::new(opened.map_err(TurnError::LogOpen)?, Arc::clone(&runtime)))
        }
        None => None,
    };
    let follower = core.server.follow(core.state.id.clone(), core.state.directory.clone());
    follower.mailbox().opened().await.map_err(TurnError::Events)?;
    let site = Site { http: core.server.http.clone(), directory: core.state.directory.clone() };
    guard_model(&core, &site, &mut request).await;
    core.state.aborts.wait().await;
    up_to_date(follower.mailbox()).await.map_err(TurnError::Events)?;
    let message = core.server.next_message_id();
    let turn = Turn::new(core.state.id.clone(), message, request.settings.clone(), begun);
    Ok(Running {
        follower,
        turn,
        site,
        model: request.model().cloned(),
        work: Some(request.work),
        answerers: request.answerers,
        answers: Answers::default(),
        ask: None,
        taken: Vec::new(),
        left: Vec::new(),
        posting: None,
        looking: None,
        aborting: None,
        deciding: Pending::default(),
        replying: Pending::default(),
        timer: None,
        log,
        is_posted: false,
        is_over: false,
        heir: Some(heir(&*runtime)),
        core,
    })
}

/// Drops what the event stream told until now: it is not about a prompt that is not posted. When it was interrupted, waits
/// until it is open again.
async fn up_to_date(mailbox: &Mailbox) -> Result<(), HubEnd> {
    while let Some(delivery) = mailbox.take_waiting() {
        match delivery {
            Delivery::Event(_) | Delivery::Opened => {}
            Delivery::Finished(end) => return Err(end),
            Delivery::Interrupted(_) => mailbox.opened().await?,
        }
    }
    Ok(())
}

/// Has the prompt name its model where the session's own is one that does not exist.
async fn guard_model(core: &SessionCore, site: &Site, request: &mut TurnRequest) {
    let (None, Some(advice)) = (request.model(), core.state.models.advice()) else { return };
    let model = match advice {
        Some(model) => Some(model),
        None => {
            let configured =
                site.http.call(&ConfiguredModel::new(), site.directory.as_deref()).await;
            configured
                .inspect_err(|error| tracing::warn!(%error, "cannot read the configured model"))
                .ok()
                .flatten()
        }
    };
    match (&mut request.work, model) {
        (Work::Prompt(prompt), Some(model)) => *prompt = mem::take(prompt).with_model(model),
        (Work::Command { model: slot, .. }, Some(model)) => *slot = Some(model),
        (Work::Prompt(_) | Work::Command { .. }, None) => {
            tracing::warn!(session = %core.state.id, "no model is known that the session could use");
        }
        (Work::Init { .. } | Work::Shell { .. }, _) => {}
    }
}

impl Running {
    pub(super) fn transcript(&self) -> &Transcript {
        self.turn.transcript()
    }

    pub(super) fn message(&self) -> &MessageId {
        self.turn.message()
    }

    pub(super) fn cancel(&mut self) {
        self.turn.cancel(self.core.server.host.runtime.now());
    }

    pub(super) fn take_ask(&mut self) -> Option<Ask> {
        self.ask.take()
    }

    /// Does what the machine says until there is something to hand out.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        // What was not taken with its event is refused.
        drop(self.ask.take());
        loop {
            match self.turn.poll_action() {
                TurnAction::Abort => self.aborting = Some(self.abort_again()),
                TurnAction::AskPermission(ask) => self.ask_permission(ask),
                TurnAction::AskQuestion(ask) => self.ask_question(ask),
                TurnAction::Event(event) => return Poll::Ready(Progress::Event(event)),
                TurnAction::Finished(outcome) => {
                    tracing::debug!(session = %self.core.state.id, end = outcome.end.name(), "turn ended");
                    self.core.state.models.learn(self.model.as_ref(), &outcome);
                    self.is_over = true;
                    self.deciding.clear();
                    return Poll::Ready(Progress::Finished(outcome));
                }
                TurnAction::Look(about) => {
                    self.looking = Some(Box::pin(look(self.site.clone(), about)));
                }
                TurnAction::Post => self.posting = self.post(),
                TurnAction::Reply(answer) => {
                    self.replying.push(Box::pin(reply(self.site.clone(), answer)));
                }
                TurnAction::Wait(wake) => {
                    let moved = self.poll_world(cx);
                    let woken = wake.is_some_and(|wake| {
                        let runtime = &*self.core.server.host.runtime;
                        poll_timer(runtime, &mut self.timer, wake, cx).is_ready()
                    });
                    if !moved && !woken {
                        return Poll::Pending;
                    }
                    // The clock is asked, not the timer: runtimes wake timers late and for other reasons.
                    self.turn.handle_timeout(self.core.server.host.runtime.now());
                }
            }
        }
    }

    /// Looks at everything that can happen. Says whether anything did.
    fn poll_world(&mut self, cx: &mut Context<'_>) -> bool {
        let log = self.log.as_mut().is_some_and(|log| log.poll(cx));
        // A log that cannot keep up holds the events back.
        let full = self.log.as_ref().is_some_and(Log::is_full);
        let events = !full && self.poll_mailbox(cx);
        let replies = self.poll_replies(cx);
        self.take_left(cx);
        let answers = self.answer_now(cx);
        log || events || replies || answers
    }

    fn poll_mailbox(&mut self, cx: &mut Context<'_>) -> bool {
        let Poll::Ready(delivery) = self.follower.mailbox().poll_take(cx) else { return false };
        let now = self.core.server.host.runtime.now();
        match delivery {
            Delivery::Event(event) => {
                // Here, since an event may say several things of the turn, or nothing.
                if let Some(log) = &mut self.log {
                    log.add(event.event_type(), event.raw.clone());
                }
                self.turn.handle_event(&event, now);
            }
            Delivery::Finished(end) => self.turn.handle_lost(&end, now),
            Delivery::Interrupted(why) => self.turn.handle_interrupted(&why),
            Delivery::Opened => self.turn.handle_reopened(now),
        }
        true
    }

    fn poll_replies(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.core.server.host.runtime.now();
        let mut moved = false;
        if let Some(posted) = poll_once(&mut self.posting, cx) {
            self.turn.handle_posted(posted, now);
            moved = true;
        }
        if let Some(found) = poll_once(&mut self.looking, cx) {
            let found = found.map(|(snapshot, links)| {
                for (child, parent) in &links {
                    self.follower.link(child, parent);
                }
                snapshot
            });
            self.turn.handle_look(found, now);
            moved = true;
        }
        if poll_once(&mut self.aborting, cx).is_some() {
            self.turn.handle_aborted(now);
            moved = true;
        }
        for (id, arrival) in self.replying.poll(cx) {
            self.turn.handle_replied(&id, arrival, now);
            moved = true;
        }
        self.deciding.poll(cx);
        moved
    }

    /// Hands the answers that were given to the machine.
    fn answer_now(&mut self, cx: &mut Context<'_>) -> bool {
        let now = self.core.server.host.runtime.now();
        let answers = self.answers.take(cx);
        let moved = !answers.is_empty();
        for answer in answers {
            match answer {
                Answer::Permission(ask, reply) => {
                    self.core.state.claims.answered(ask.request.id.as_str());
                    self.turn.answer_permission(ask, reply, now);
                }
                Answer::Question(ask, reply) => {
                    self.core.state.claims.answered(ask.request.id.as_str());
                    self.turn.answer_question(ask, reply, now);
                }
            }
        }
        moved
    }

    fn post(&mut self) -> Option<BoxFuture<Posted>> {
        let work = self.work.take()?;
        self.is_posted = true;
        let (http, session) = (self.site.http.clone(), self.core.state.id.clone());
        Some(Box::pin(post(http, session, self.turn.message().clone(), work)))
    }

    /// Aborts the session, after the abort that is on its way: until that is answered, the turn is winding down.
    fn abort_again(&mut self) -> BoxFuture<()> {
        let before = self.aborting.take();
        let abort =
            abort(self.site.clone(), self.core.state.id.clone(), self.core.state.aborts.begin());
        Box::pin(async move {
            if let Some(before) = before {
                before.await;
            }
            abort.await;
        })
    }

    /// Takes what another turn gave up.
    fn take_left(&mut self, cx: &Context<'_>) {
        if self.left.is_empty() {
            return;
        }
        self.core.state.claims.wait(cx);
        for ask in mem::take(&mut self.left) {
            match ask {
                LeftAsk::Permission(ask) => self.ask_permission(ask),
                LeftAsk::Question(ask) => self.ask_question(ask),
            }
        }
    }

    /// Whether this turn is to answer an ask.
    fn takes(&mut self, ask: &str) -> bool {
        let takes = self.core.state.claims.take(ask);
        if takes {
            self.taken.push(ask.to_owned());
        }
        takes
    }

    fn ask_permission(&mut self, ask: PermissionAsk) {
        if !self.takes(ask.request.id.as_str()) {
            return self.left.push(LeftAsk::Permission(ask));
        }
        // The token refuses by itself when it is dropped: when the handler panics, also before it has a future, or nobody
        // takes it.
        let asked = Asked::new(ask.session.clone(), (*ask.request).clone());
        let token = PermissionToken::new(ask, self.answers.clone());
        match (&self.answerers.permission, self.answerers.taker) {
            (Some(handler), _) => {
                let handler = Arc::clone(handler);
                let deciding = async move { token.reply(handler(asked).await) };
                self.deciding.push(Box::pin(deciding));
            }
            (None, Taker::Reader) => self.ask = Some(Ask::Permission(token)),
            (None, Taker::Nobody) => token.reply(PermissionReply::reject()),
        }
    }

    fn ask_question(&mut self, ask: QuestionAsk) {
        if !self.takes(ask.request.id.as_str()) {
            return self.left.push(LeftAsk::Question(ask));
        }
        let asked = Asked::new(ask.session.clone(), (*ask.request).clone());
        let token = QuestionToken::new(ask, self.answers.clone());
        match (&self.answerers.question, self.answerers.taker) {
            (Some(handler), _) => {
                let handler = Arc::clone(handler);
                let answering = async move { token.reply(handler(asked).await) };
                self.deciding.push(Box::pin(answering));
            }
            (None, Taker::Reader) => self.ask = Some(Ask::Question(token)),
            (None, Taker::Nobody) => token.reply(QuestionReply::Dismiss),
        }
    }

    pub(super) fn close(
        &mut self,
    ) -> impl Future<Output = Result<(), EventLogError>> + Send + use<> {
        let log = self.log.take();
        async move {
            match log {
                Some(log) => log.close().await,
                None => Ok(()),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.core.state.claims.give_up(&self.taken);
        let Some(heir) = self.heir.take() else { return };
        let left: BoxFuture<()> = if self.is_over {
            // One that goes with the end: nobody waits for it.
            let Some(aborting) = self.aborting.take() else { return };
            aborting
        } else if self.is_posted {
            // The prompt may still be on its way: it has to be there before it can be aborted.
            let (posting, aborting) = (self.posting.take(), self.abort_again());
            Box::pin(async move {
                if let Some(posting) = posting {
                    posting.await;
                }
                aborting.await;
            })
        } else {
            return;
        };
        // Without a runtime nobody is left to do it.
        drop(heir.send(left));
    }
}

/// A task that does what is left to do when the turn is dropped, which may happen where nothing can be spawned.
fn heir(runtime: &dyn Runtime) -> oneshot::Sender<BoxFuture<()>> {
    let (leave, left) = oneshot::channel::<BoxFuture<()>>();
    runtime.spawn(Box::pin(async move {
        if let Ok(left) = left.await {
            left.await;
        }
    }));
    leave
}

/// Aborts the session. Prompts wait for it.
async fn abort(site: Site, session: opencode_proto::SessionId, abort: Abort) {
    let aborted = site.http.call(&AbortSession::new(session), site.directory.as_deref()).await;
    if let Err(error) = aborted {
        tracing::warn!(%error, "cannot abort a turn");
    }
    drop(abort);
}

fn poll_once<T>(future: &mut Option<BoxFuture<T>>, cx: &mut Context<'_>) -> Option<T> {
    let Poll::Ready(value) = future.as_mut()?.as_mut().poll(cx) else { return None };
    *future = None;
    Some(value)
}
