//! A turn that runs already, and is to be followed.
//!
//! ```text
//!   Unopened ---> (the message is given) ------------------> joined: a look finds the rest
//!      |                                                       ^
//!      +--> Statuses ---> Messages: the prompt that is at work-+
//!              |             |
//!              |             +--> Events: where messages cannot be listed, an answer names it
//!              +--> idle: nothing to follow
//! ```

use std::time::{Duration, Instant};

use super::chain::{is_automatic_compaction, is_command_line, is_compaction};
use super::core::{Purpose, TurnInput};
use super::outcome::{NothingToFollow, TurnEnd};
use super::post::TurnKind;
use crate::api::{ApiErrorKind, ListMessages, MessageCursor, MessageWithParts, SessionStatuses};
use crate::call::{ApiReply, CallFault, read_reply};
use crate::part::{Part, TextOrigin};
use crate::server_event::{Role, ServerEvent, ServerEventKind, SessionStatus};
use crate::{MessageId, StepRole};

/// Messages per page.
const PAGE: u32 = 50;

/// The turn to follow: see [`Turn::follow`](super::Turn::follow).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowTarget {
    /// The last turn of the session that has or gets an answer, ended or not.
    Latest,
    /// The turn of this prompt, ended or not.
    Prompt(MessageId),
    /// The turn that the session works on.
    #[default]
    Running,
}

impl FollowTarget {
    /// Returns the prompt, if the application knows it.
    pub fn prompt(&self) -> Option<&MessageId> {
        match self {
            Self::Prompt(prompt) => Some(prompt),
            Self::Latest | Self::Running => None,
        }
    }
}

impl From<Option<MessageId>> for FollowTarget {
    fn from(prompt: Option<MessageId>) -> Self {
        prompt.map_or(Self::Running, Self::Prompt)
    }
}

impl From<MessageId> for FollowTarget {
    fn from(prompt: MessageId) -> Self {
        Self::Prompt(prompt)
    }
}

/// A turn that waits for the event stream, and for the prompt that the session works on.
#[derive(Debug)]
pub(super) struct JoiningTurn {
    target: FollowTarget,
    step: JoinStep,
    failures: u32,
    /// The turn was cancelled: it is aborted when found, or at this time.
    cancelling: Option<Instant>,
}

#[derive(Debug)]
enum JoinStep {
    /// The messages cannot be listed: an answer names the prompt.
    Events,
    Messages {
        activity: SessionActivity,
        newer: Vec<MessageWithParts>,
        before: Option<MessageCursor>,
    },
    /// A call failed, or the prompt is not stored yet.
    Pausing(Instant),
    Statuses,
    /// The event stream is not open.
    Unopened,
}

/// Work of a session, by the list of statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionActivity {
    Idle,
    Working,
}

impl JoiningTurn {
    pub(super) fn new(target: FollowTarget) -> Self {
        Self { target, step: JoinStep::Unopened, failures: 0, cancelling: None }
    }

    /// Handles that the event stream is open. Returns the prompt, when known.
    pub(super) fn handle_opened(&mut self, input: &mut TurnInput<'_>) -> Option<MessageId> {
        if !matches!(self.step, JoinStep::Unopened) {
            return None;
        }
        if self.target.prompt().is_none() {
            self.look(input);
        }
        self.target.prompt().cloned()
    }

    /// Cancels the turn, which is searched at once: an abort before could end the turn of another
    /// prompt. Returns the prompt, when known.
    pub(super) fn cancel(&mut self, input: &mut TurnInput<'_>) -> Option<MessageId> {
        let limit = input.now.checked_add(input.core.settings.abort_limit);
        self.cancelling = self.cancelling.or(limit);
        if self.target.prompt().is_none() && matches!(self.step, JoinStep::Unopened) {
            self.look(input);
        }
        self.target.prompt().cloned()
    }

    pub(super) fn target(&self) -> &FollowTarget {
        &self.target
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelling.is_some()
    }

    pub(super) fn handle_interrupted(&mut self, input: &mut TurnInput<'_>) {
        if self.is_cancelled() {
            // The search needs no events.
            return;
        }
        self.step = JoinStep::Unopened;
        input.core.calls.retain(|purpose| *purpose != Purpose::Look);
    }

    /// Returns the prompt when the event names it.
    pub(super) fn handle_event(
        &mut self,
        event: &ServerEvent,
        input: &TurnInput<'_>,
    ) -> Option<MessageId> {
        let is_own = event.session.as_ref() == Some(&input.core.session);
        if let (true, JoinStep::Events) = (is_own, &self.step)
            && let ServerEventKind::MessageUpdated(info) = &event.kind
        {
            return info.parent.clone();
        }
        None
    }

    /// Returns the prompt when the reply names it.
    pub(super) fn handle_reply(
        &mut self,
        reply: ApiReply,
        input: &mut TurnInput<'_>,
    ) -> Option<MessageId> {
        match std::mem::replace(&mut self.step, JoinStep::Events) {
            JoinStep::Statuses => self.statuses_listed(reply, input),
            JoinStep::Messages { activity, newer, before } => {
                return self.messages_listed(reply, activity, newer, before, input);
            }
            step @ (JoinStep::Events | JoinStep::Pausing(_) | JoinStep::Unopened) => {
                self.step = step;
            }
        }
        None
    }

    pub(super) fn handle_timeout(&mut self, input: &mut TurnInput<'_>) {
        if let Some(deadline) = input.core.watchdog.passed(input.now) {
            return input.finish(TurnEnd::TimedOut { deadline, failure: None });
        }
        if self.cancelling.is_some_and(|limit| limit <= input.now) {
            input.abort();
            return input.finish(TurnEnd::Cancelled);
        }
        if let JoinStep::Pausing(until) = self.step
            && until <= input.now
        {
            self.look(input);
        }
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        let pause = if let JoinStep::Pausing(until) = self.step { Some(until) } else { None };
        [pause, self.cancelling].into_iter().flatten().min()
    }

    fn look(&mut self, input: &mut TurnInput<'_>) {
        self.step = JoinStep::Statuses;
        input.call(&SessionStatuses, Purpose::Look);
    }

    fn statuses_listed(&mut self, reply: ApiReply, input: &mut TurnInput<'_>) {
        match read_reply(&SessionStatuses, reply) {
            Ok(statuses) => match (statuses.get(&input.core.session), &self.target) {
                (None | Some(SessionStatus::Idle), FollowTarget::Latest) => {
                    self.list(SessionActivity::Idle, Vec::new(), None, input);
                }
                (None | Some(SessionStatus::Idle), _) => {
                    input.finish(TurnEnd::NothingToFollow(NothingToFollow::Idle));
                }
                (Some(_), _) => self.list(SessionActivity::Working, Vec::new(), None, input),
            },
            Err(_) => self.pause(input),
        }
    }

    fn messages_listed(
        &mut self,
        reply: ApiReply,
        activity: SessionActivity,
        newer: Vec<MessageWithParts>,
        before: Option<MessageCursor>,
        input: &mut TurnInput<'_>,
    ) -> Option<MessageId> {
        match read_reply(&list(before, input), reply) {
            Ok(mut page) => {
                page.messages.extend(newer);
                let older = if page.next.is_some() { Older::Unread } else { Older::Absent };
                let prompt = match activity {
                    SessionActivity::Idle => answered_prompt(&page.messages, older),
                    SessionActivity::Working => running_prompt(&page.messages, older),
                };
                match (prompt, page.next, activity) {
                    (Some(prompt), _, _) => return Some(prompt.clone()),
                    (None, Some(next), _) => {
                        self.list(activity, page.messages, Some(next), input);
                    }
                    // The prompt is about to be stored.
                    (None, None, SessionActivity::Working) => self.pause(input),
                    (None, None, SessionActivity::Idle) => {
                        input.finish(TurnEnd::NothingToFollow(NothingToFollow::Idle));
                    }
                }
            }
            Err(CallFault::Api(error)) if matches!(error.kind, ApiErrorKind::NotFound { .. }) => {
                input.finish_deleted();
            }
            // OpenCode 1.18.33 cannot list the messages of sessions with structured output.
            Err(CallFault::Api(_)) if activity == SessionActivity::Working => {
                self.step = JoinStep::Events;
            }
            Err(CallFault::Api(_)) => {
                input.finish(TurnEnd::NothingToFollow(NothingToFollow::Unlisted));
            }
            Err(CallFault::Failed(_)) => self.pause(input),
        }
        None
    }

    fn list(
        &mut self,
        activity: SessionActivity,
        newer: Vec<MessageWithParts>,
        before: Option<MessageCursor>,
        input: &mut TurnInput<'_>,
    ) {
        let operation = list(before.clone(), input);
        input.call(&operation, Purpose::Look);
        self.step = JoinStep::Messages { activity, newer, before };
    }

    fn pause(&mut self, input: &TurnInput<'_>) {
        let delay = input.core.settings.look_delay(self.failures);
        self.failures += 1;
        self.step = JoinStep::Pausing(input.now + delay.max(Duration::from_millis(1)));
    }
}

fn list(before: Option<MessageCursor>, input: &TurnInput<'_>) -> ListMessages {
    let list = ListMessages::new(input.core.session.clone()).with_limit(PAGE);
    match before {
        Some(before) => list.with_before(before),
        None => list,
    }
}

/// Messages of a session before those that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Older {
    Absent,
    Unread,
}

/// Returns the prompt that a session works on, given the newest messages: the one that the open
/// answer answers, or the last one. `None` when older messages decide.
fn running_prompt(messages: &[MessageWithParts], older: Older) -> Option<&MessageId> {
    let answer = messages.iter().rfind(|message| message.info.role == Role::Assistant);
    if answer.is_none() && older == Older::Unread {
        // Before a prompt that waits, an older one may be at work.
        return None;
    }
    let open = answer.filter(|answer| answer.info.completed_ms.is_none());
    let is_prompt =
        |message: &MessageWithParts| match open.and_then(|open| open.info.parent.as_ref()) {
            Some(parent) => message.info.id == *parent,
            None => message.info.role == Role::User,
        };
    original(messages, messages.iter().rposition(is_prompt)?, older)
}

/// Returns the prompt of the last answer of an idle session, given the newest messages. `None` when
/// older messages decide.
fn answered_prompt(messages: &[MessageWithParts], older: Older) -> Option<&MessageId> {
    let answer = messages.iter().rfind(|message| message.info.role == Role::Assistant)?;
    let parent = answer.info.parent.as_ref()?;
    let place = messages.iter().rposition(|message| message.info.id == *parent)?;
    original(messages, place, older)
}

/// Returns the prompt that the message at this place goes on with. `None` when older messages
/// decide.
fn original(messages: &[MessageWithParts], mut place: usize, older: Older) -> Option<&MessageId> {
    while is_inserted(messages, place, older)? {
        let earlier = &messages[..place];
        place = earlier.iter().rposition(|message| message.info.role == Role::User)?;
    }
    Some(&messages[place].info.id)
}

/// Returns whether OpenCode inserted this message of the user's to go on with an earlier prompt;
/// `None` when older messages decide.
fn is_inserted(messages: &[MessageWithParts], place: usize, older: Older) -> Option<bool> {
    let is_continuation =
        |part: &Part| matches!(part, Part::Text(text) if text.origin == TextOrigin::Continuation);
    let parts = &messages[place].parts;
    if parts.iter().any(|part| is_automatic_compaction(part) || is_continuation(part)) {
        return Some(true);
    }
    let unread = if older == Older::Unread { None } else { Some(false) };
    // OpenCode repeats the prompt after the summary.
    let Some((summary, earlier)) = messages[..place].split_last() else { return unread };
    if summary.info.step != StepRole::Summary {
        return Some(false);
    }
    let parent = summary.info.parent.as_ref();
    match earlier.iter().rfind(|message| Some(&message.info.id) == parent) {
        Some(request) => Some(request.parts.iter().any(is_automatic_compaction)),
        None => unread,
    }
}

/// Returns the kind of a turn that began with this message.
pub(super) fn kind_of(prompt: &MessageWithParts) -> TurnKind {
    if prompt.parts.iter().any(is_compaction) {
        TurnKind::Summary
    } else if prompt.parts.first().is_some_and(is_command_line) {
        TurnKind::Shell
    } else {
        TurnKind::Prompt
    }
}
