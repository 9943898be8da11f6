//! Messages of a session that belong to a turn.

mod answers;
mod classify;
mod member;
mod user_message;

use std::collections::BTreeMap;

use super::others::{AnswerShare, OtherPrompts, UserPart};
use super::post::TurnKind;
use crate::part::Part;
use crate::server_event::{MessageInfo, Role, SessionStatus};
use crate::{AgentError, MessageId, StepRole};
pub(super) use member::Belongs;
use member::{CompactionStage, Member, ReportedStatus, Sight, Succession, belongs};
use user_message::{decide, user_part};
pub(super) use user_message::{is_automatic_compaction, is_command_line, is_compaction};

/// The turn's own message, messages that OpenCode inserted to continue the turn, and the answers to
/// all of these.
///
/// An answer names the message that it answers (`parentID`), and OpenCode inserts messages of the
/// user's when it compacts the conversation: so the end of the answer is found by following
/// parents, never by the order of events.
#[derive(Debug)]
pub(super) struct Chain {
    /// The turn's own message. `None` for a summary, until the message that OpenCode makes has
    /// come.
    own: Option<MessageId>,
    kind: TurnKind,
    members: BTreeMap<MessageId, Member>,
    /// Prompts after the turn's own that the turn may be answered together with, in order.
    later: Vec<MessageId>,
    sight: Sight,
    /// An event reported the turn's own message or an answer, so that later events of the session
    /// are about this turn. A look may find the message before.
    is_reported: bool,
    /// Events were missed at some time.
    has_gaps: bool,
    pub(super) others: OtherPrompts,
    compaction: CompactionStage,
    /// Number of compactions of the turn whose end no event has reported.
    compactions: usize,
    /// The answers in order, each in the last known state.
    answers: Vec<MessageInfo>,
    /// Status of the session, as events reported it since the turn's own message.
    status: ReportedStatus,
    succession: Succession,
    /// When the server stored the turn's own message, in milliseconds since 1970.
    own_created_ms: Option<u64>,
    /// The last failure of an answer to a message before the turn's own, with the time of the
    /// failure.
    earlier_failure: Option<(u64, Box<AgentError>)>,
    /// A request of another client for a summary, which came while the session worked.
    summary_request: Option<MessageId>,
    /// The prompt that took over, if it is such a request.
    replaced_by: Option<MessageId>,
}

impl Chain {
    pub(super) fn new(own: MessageId, kind: TurnKind) -> Self {
        Self {
            own: Some(own),
            kind,
            members: BTreeMap::new(),
            later: Vec::new(),
            sight: Sight::Clear,
            is_reported: false,
            has_gaps: false,
            others: OtherPrompts::default(),
            compaction: CompactionStage::Absent,
            compactions: 0,
            answers: Vec::new(),
            status: ReportedStatus::Working,
            succession: Succession::Open,
            own_created_ms: None,
            earlier_failure: None,
            summary_request: None,
            replaced_by: None,
        }
    }

    /// Creates the chain of a summary, whose message OpenCode makes.
    pub(super) fn of_summary() -> Self {
        Self { own: None, ..Self::new(MessageId::from(""), TurnKind::Summary) }
    }

    /// Returns whether the turn's own message may be there without having been seen.
    pub(super) fn is_hidden(&self) -> bool {
        self.sight == Sight::Hidden && !self.is_seen()
    }

    /// Notes that the server cannot list the messages of a turn that began before.
    pub(super) fn hide(&mut self) {
        self.sight = Sight::Hidden;
    }

    /// Sets the kind of the turn, when the turn's own message shows it.
    pub(super) fn set_kind(&mut self, kind: TurnKind) {
        self.kind = kind;
    }

    /// Returns the turn's own message.
    pub(super) fn own(&self) -> Option<&MessageId> {
        self.own.as_ref()
    }

    /// Returns whether messages of the user's have to be kept until their parts come.
    pub(super) fn awaits_compaction(&self) -> bool {
        self.own.is_none()
    }

    /// Returns whether the server has reported the turn's own message.
    pub(super) fn is_seen(&self) -> bool {
        self.own.as_ref().is_some_and(|own| self.members.contains_key(own))
    }

    /// Returns whether the events of the session are about this turn from now on.
    pub(super) fn is_reported(&self) -> bool {
        self.is_reported
    }

    /// Notes that an event is about this message. Returns whether the event is the first one about
    /// the turn.
    pub(super) fn report(&mut self, message: &MessageId) -> bool {
        let is_own = matches!(self.members.get(message), Some(Member::Answer | Member::Prompt));
        is_own && !std::mem::replace(&mut self.is_reported, true)
    }

    /// Returns whether events were missed that no look has found yet.
    pub(super) fn is_torn(&self) -> bool {
        self.sight == Sight::Torn
    }

    pub(super) fn interrupt(&mut self) {
        self.sight = Sight::Torn;
        self.has_gaps = true;
        // What was looked up is older than the next event.
        self.is_reported |= self.is_seen();
        self.others.interrupt();
        self.status = ReportedStatus::Working;
    }

    /// A look has found the contents of the missed events.
    pub(super) fn mend(&mut self) {
        self.sight = Sight::Clear;
    }

    /// The server lists these messages before the turn's own: they are of earlier turns, also when
    /// events of them come after the turn's own message.
    pub(super) fn set_earlier(&mut self, messages: &[MessageInfo]) {
        for message in messages {
            self.members.entry(message.id.clone()).or_insert(Member::Earlier);
            if message.role == Role::Assistant {
                self.others.close_answered(message);
                self.note_failure(message);
            }
        }
    }

    /// Notes that the agent stopped at the last answer, which was missed.
    pub(super) fn stop(&mut self) {
        self.succession = Succession::Stopped;
    }

    /// Returns the failure of an earlier prompt that took the turn's own along: OpenCode stops at a
    /// failure, and never answers the prompts that wait.
    pub(super) fn failed_before(&self) -> Option<&AgentError> {
        let (failed, error) = self.earlier_failure.as_ref()?;
        let is_along = self.own_created_ms.is_some_and(|created| created <= *failed);
        (self.answers.is_empty() && is_along).then_some(error)
    }

    fn note_failure(&mut self, info: &MessageInfo) {
        let error = info.error.as_ref().filter(|error| !error.is_abort());
        if let (Some(error), Some(completed)) = (error, info.completed_ms) {
            self.earlier_failure = Some((completed, Box::new(error.detach())));
        }
    }

    /// Notes the status of the session that an event reports.
    pub(super) fn set_status(&mut self, status: &SessionStatus) {
        self.status = match status {
            SessionStatus::Idle => {
                self.others.idle();
                ReportedStatus::Idle
            }
            SessionStatus::Busy | SessionStatus::Other { .. } | SessionStatus::Retry { .. } => {
                ReportedStatus::Working
            }
        };
    }

    /// Returns whether events were missed at some time.
    pub(super) fn has_gaps(&self) -> bool {
        self.has_gaps
    }

    pub(super) fn is_superseded(&self) -> bool {
        matches!(self.succession, Succession::CutShort | Succession::Superseded)
    }

    /// Returns the answer that another prompt cut short, and that an abort may be about to complete.
    pub(super) fn cut_short(&self) -> Option<&MessageId> {
        self.answer_open().filter(|_| self.succession == Succession::CutShort)
    }

    /// Returns the request of another client whose summary took the place of the answer.
    pub(super) fn replaced_by(&self) -> Option<&MessageId> {
        self.replaced_by.as_ref()
    }

    pub(super) fn message(&mut self, info: &MessageInfo) -> Belongs {
        let member = match self.members.get(&info.id) {
            Some(member) => *member,
            None => match self.classify(info) {
                Some(member) => member,
                None => {
                    // An unknown prompt is one from before the turn.
                    let is_later =
                        |parent| self.members.contains_key(parent) && !self.others.is_open(parent);
                    if info.role == Role::Assistant && !info.parent.as_ref().is_some_and(is_later) {
                        self.note_other(info);
                    }
                    return Belongs::Unknown;
                }
            },
        };
        self.members.insert(info.id.clone(), member);
        if self.own.as_ref() == Some(&info.id) {
            self.own_created_ms = self.own_created_ms.or(info.created_ms);
        }
        match member {
            Member::Answer => self.answered(info),
            Member::Earlier if info.role == Role::Assistant => {
                if self.is_of_earlier_prompt(info) {
                    self.note_failure(info);
                }
                self.note_other(info);
            }
            Member::Earlier if !self.is_seen() => self.others.user_message(&info.id),
            Member::Earlier | Member::Later | Member::Next | Member::Prompt | Member::Undecided => {
            }
        }
        belongs(member)
    }

    /// Notes a message of the model's that answers another prompt, as far as is known.
    fn note_other(&mut self, info: &MessageInfo) {
        match info.step {
            StepRole::Answer => self.others.answer(info),
            StepRole::Summary => {
                let is_for_prompt = self.others.requested_by(info) == Some(UserPart::Inserted);
                let is_complete = info.completed_ms.is_some() && info.error.is_none();
                let waits = self.is_seen()
                    && self.answers.is_empty()
                    && self.status == ReportedStatus::Working;
                let may_replace = is_complete && !is_for_prompt && self.is_of_earlier_prompt(info);
                if waits && may_replace {
                    self.replaced_by.clone_from(&info.parent);
                }
                self.others.summary(info);
            }
        }
    }

    /// Returns where the part of a message belongs.
    pub(super) fn part(&mut self, message: &MessageId, part: Option<&Part>) -> Belongs {
        let Some(member) = self.members.get_mut(message) else {
            return Belongs::Unknown;
        };
        if *member == Member::Undecided
            && let Some(part) = part
        {
            if self.own.is_none() {
                *member = if is_compaction(part) { Member::Prompt } else { Member::Earlier };
                if *member == Member::Prompt {
                    self.own = Some(message.clone());
                }
                return belongs(*member);
            }
            *member = decide(part, self.status);
            if *member == Member::Later {
                self.later.push(message.clone());
            }
            if is_compaction(part) && self.status == ReportedStatus::Working {
                self.summary_request = Some(message.clone());
            }
            if is_automatic_compaction(part) {
                self.compaction = CompactionStage::Requested;
                self.compactions += 1;
            }
            if *member == Member::Prompt {
                self.join_later(None);
                return Belongs::Yes;
            }
        }
        let member = *member;
        if member == Member::Earlier
            && let Some(part) = part
        {
            self.others.part(message, user_part(part));
        }
        belongs(member)
    }

    /// Joins the prompts that came after the turn's own and before this one, or before a message
    /// that OpenCode inserts now.
    fn join_later(&mut self, before: Option<&MessageId>) {
        let place = before.and_then(|prompt| self.later.iter().position(|later| later == prompt));
        let joined: Vec<_> = self.later.drain(..place.unwrap_or(self.later.len())).collect();
        for message in &joined {
            self.members.insert(message.clone(), Member::Prompt);
        }
        self.others.covered(joined);
    }

    pub(super) fn is_prompt(&self, message: &MessageId) -> bool {
        self.members.get(message) == Some(&Member::Prompt)
    }
}
