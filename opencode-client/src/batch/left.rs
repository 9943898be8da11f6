//! Work that goes on at a server after the end of a job: subagents in the background, and prompts
//! of plugins. The work takes no slot, and counts in the spend of the batch.

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use opencode_proto::{
    JobNo, MessageId, ServerEventKind, ServerNo, SessionId, SessionStatus, Spend, Transcript,
    TurnEvent, TurnEventKind, TurnOutcome,
};

use super::feed::{Feed, FeedItem};
use super::job::Job;
use super::turn::left_request;
use crate::runtime::latch::Latch;
use crate::runtime::wait::{First, race};
use crate::server::hub::Delivery;
use crate::session::Session;
use crate::session::turn::{TurnError, TurnStream};

/// Session of a job that has ended.
pub(super) struct LeftJob {
    pub(super) no: JobNo,
    pub(super) server: ServerNo,
    job: Arc<Job>,
    session: Session,
    /// Last prompt of the job, when subagents of the job work.
    prompt: Option<MessageId>,
    /// Messages whose spend is known already.
    counted: BTreeSet<MessageId>,
    feed: Feed,
}

/// End of work that a job left.
pub(super) struct LeftEnd {
    /// Spend of the work.
    pub(super) spend: Spend,
    pub(super) still_running: Vec<SessionId>,
}

impl LeftJob {
    pub(super) fn new(
        no: JobNo,
        server: ServerNo,
        job: Arc<Job>,
        session: Session,
        turns: &[TurnOutcome],
        feed: Feed,
    ) -> Self {
        let works_on = turns.iter().any(|turn| !turn.still_running.is_empty());
        let prompt = turns.last().filter(|_| works_on).map(|turn| turn.message.clone());
        let mut counted = BTreeSet::new();
        turns.iter().for_each(|turn| count(turn, &mut counted));
        Self { no, server, job, session, prompt, counted, feed }
    }

    /// Returns whether the work is known to go on.
    pub(super) fn is_at_work(&self) -> bool {
        self.prompt.is_some()
    }

    /// Returns whether a plugin may prompt the session: one of a server that no other client
    /// knows.
    pub(super) fn may_be_prompted(&self) -> bool {
        self.session.core.server.exit().is_local()
    }

    /// Waits until the session works again. Returns `None` when the server is stopped before.
    pub(super) async fn watch(self, closing: Arc<Latch<()>>) -> Option<Self> {
        let (server, state) = (&self.session.core.server, &self.session.core.state);
        let follower = server.follow(state.id.clone(), state.directory.clone());
        let at_work = poll_fn(|cx| {
            loop {
                match follower.mailbox().poll_take(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Delivery::Finished(_)) => return Poll::Ready(false),
                    Poll::Ready(Delivery::Event(event))
                        if event.session.as_ref() == Some(&state.id) && is_work(&event.kind) =>
                    {
                        return Poll::Ready(true);
                    }
                    Poll::Ready(
                        Delivery::Event(_) | Delivery::Interrupted(_) | Delivery::Opened,
                    ) => {}
                }
            }
        });
        match race(closing.wait(), at_work).await {
            First::Other(true) => Some(self),
            First::One(_) | First::Other(false) => None,
        }
    }

    /// Follows the work to the end. Setting the latch aborts the work.
    pub(super) async fn work(mut self, cancelled: Arc<Latch<()>>) -> (Self, LeftEnd) {
        let request = left_request(&self.job, self.prompt.take());
        let stream = self.session.follow(request);
        let outcome = Following {
            stream,
            no: self.no,
            counted: &self.counted,
            spend: Spend::default(),
            feed: self.feed.clone(),
        };
        let outcome = outcome.outcome(cancelled).await;
        let mut end = LeftEnd { spend: Spend::default(), still_running: Vec::new() };
        if let Some(outcome) = outcome {
            end.spend = spend_beyond(&outcome, &self.counted);
            count(&outcome, &mut self.counted);
            end.still_running = outcome.still_running;
        }
        (self, end)
    }
}

/// Work that is followed.
struct Following<'a> {
    stream: TurnStream,
    no: JobNo,
    counted: &'a BTreeSet<MessageId>,
    spend: Spend,
    feed: Feed,
}

impl Following<'_> {
    async fn outcome(mut self, cancelled: Arc<Latch<()>>) -> Option<TurnOutcome> {
        let mut cancelled = pin!(async move { drop(cancelled.wait().await) });
        let mut is_cancelled = false;
        poll_fn(|cx| {
            if !is_cancelled && cancelled.as_mut().poll(cx).is_ready() {
                is_cancelled = true;
                self.stream.cancel();
            }
            self.poll_events(cx)
        })
        .await;
        match self.stream.outcome().await {
            Ok(outcome) => Some(outcome),
            Err(TurnError::Ended(outcome)) => Some(*outcome),
            Err(_) => None,
        }
    }

    fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // The spend needs room on the way to the batch.
            std::task::ready!(self.feed.poll_ready(cx));
            let Some(event) = std::task::ready!(Pin::new(&mut self.stream).poll_next(cx)) else {
                return Poll::Ready(());
            };
            self.add(&event);
        }
    }

    fn add(&mut self, event: &TurnEvent) {
        let TurnEventKind::StepFinished(finish) = &event.kind else { return };
        let message = finish.key.message.as_ref();
        if message.is_some_and(|message| self.counted.contains(message)) {
            return;
        }
        self.spend += Spend::new(finish.tokens, finish.cost);
        self.feed.send(FeedItem::Left(self.no, self.spend));
    }
}

/// Returns whether the event shows that the session works.
#[expect(clippy::wildcard_enum_match_arm, reason = "all other events come from idle sessions")]
fn is_work(kind: &ServerEventKind) -> bool {
    match kind {
        ServerEventKind::SessionStatus(status) => *status != SessionStatus::Idle,
        ServerEventKind::PermissionAsked(_)
        | ServerEventKind::QuestionAsked(_)
        | ServerEventKind::PartDelta { .. } => true,
        _ => false,
    }
}

fn transcripts(turn: &TurnOutcome) -> impl Iterator<Item = &Transcript> {
    std::iter::once(&turn.transcript).chain(&turn.children)
}

/// Adds the messages whose spend is complete.
fn count(turn: &TurnOutcome, counted: &mut BTreeSet<MessageId>) {
    let messages = transcripts(turn).flat_map(Transcript::messages);
    let complete =
        messages.filter(|message| message.info().is_some_and(|info| info.completed_ms.is_some()));
    counted.extend(complete.map(|message| message.id().clone()));
}

/// Returns the spend of the messages that are not counted yet.
fn spend_beyond(turn: &TurnOutcome, counted: &BTreeSet<MessageId>) -> Spend {
    let mut spend = Spend::default();
    let messages = transcripts(turn).flat_map(Transcript::messages);
    for info in messages
        .filter(|message| !counted.contains(message.id()))
        .filter_map(|message| message.info())
    {
        spend += Spend::new(info.tokens, info.cost);
    }
    spend
}
