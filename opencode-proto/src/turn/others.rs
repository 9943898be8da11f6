//! Prompts of the session besides the turn's own, as far as one answer covers both.

use std::collections::BTreeSet;

use crate::MessageId;
use crate::server_event::MessageInfo;

/// Other prompts around the turn's own.
///
/// OpenCode folds prompts that arrive while a session works into one loop, whoever wrote them: the
/// next answer names the last prompt, and is the only one that the prompts before it get.
#[derive(Debug, Default)]
pub(super) struct OtherPrompts {
    /// User messages before the turn's own whose parts have not come.
    new: BTreeSet<MessageId>,
    /// Prompts before the turn's own that have no complete answer, as far as events show.
    open: BTreeSet<MessageId>,
    /// Prompts before the turn's own whose answer is complete, or never will be.
    closed: BTreeSet<MessageId>,
    /// Messages before the turn's own that OpenCode inserted to go on after a compaction.
    inserted: BTreeSet<MessageId>,
    /// A summary for another prompt is complete. A user message before the end of the compaction is
    /// one that OpenCode inserts.
    is_summarised: bool,
    /// Prompts that the turn's answer covers as well, in order.
    answered_with: Vec<MessageId>,
    takeover: Option<Takeover>,
    /// Later prompts of others belong to the turn.
    is_adopting: bool,
}

/// First part of a user message before the turn's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserPart {
    /// OpenCode wrote the message itself, for example to ask for a summary.
    Inserted,
    Other,
}

/// A later prompt that got the rest of the turn's answer.
#[derive(Clone, Debug)]
pub(super) struct Takeover {
    pub(super) prompt: MessageId,
    pub(super) share: AnswerShare,
}

/// Share of a turn's own prompt in an answer that names another prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerShare {
    /// The answer was begun for the turn's own prompt, and finished for the other one.
    Begun,
    /// Both prompts were there before the model was asked.
    Whole,
    /// Events were missed: the server may have given the turn's own prompt up before the other one.
    Unknown,
}

impl OtherPrompts {
    /// Notes a user message that comes before the turn's own.
    pub(super) fn user_message(&mut self, message: &MessageId) {
        if !self.closed.contains(message) && !self.open.contains(message) {
            self.new.insert(message.clone());
        }
    }

    /// Notes a part of a message before the turn's own. OpenCode publishes the parts of a prompt
    /// once, and the message again later.
    pub(super) fn part(&mut self, message: &MessageId, part: UserPart) {
        if !self.new.remove(message) {
            return;
        }
        let is_inserted = part == UserPart::Inserted || self.take_insertion();
        let set = if is_inserted { &mut self.inserted } else { &mut self.open };
        set.insert(message.clone());
    }

    /// Notes a summary for another prompt.
    pub(super) fn summary(&mut self, info: &MessageInfo) {
        self.is_summarised = info.completed_ms.is_some() && info.error.is_none();
    }

    /// Notes the end of a compaction.
    pub(super) fn compacted(&mut self) {
        self.is_summarised = false;
    }

    /// Returns whether the next user message is one that OpenCode inserts for another prompt.
    pub(super) fn take_insertion(&mut self) -> bool {
        std::mem::replace(&mut self.is_summarised, false)
    }

    /// Notes the state of an answer to a prompt before the turn's own.
    pub(super) fn answer(&mut self, info: &MessageInfo) {
        let Some(prompt) = &info.parent else { return };
        if self.inserted.contains(prompt) {
            return;
        }
        let is_finished = info.finish.as_ref().is_some_and(|finish| !finish.expects_more());
        if info.error.is_some() || info.completed_ms.is_some() && is_finished {
            self.open.remove(prompt);
            self.closed.insert(prompt.clone());
        } else if !self.closed.contains(prompt) {
            self.open.insert(prompt.clone());
        }
    }

    /// Returns whether a prompt before the turn's own has no complete answer.
    pub(super) fn is_open(&self, prompt: &MessageId) -> bool {
        self.open.contains(prompt)
    }

    /// Notes that the session was idle: nothing before goes on.
    pub(super) fn idle(&mut self) {
        self.closed.append(&mut self.open);
        self.closed.append(&mut self.new);
    }

    /// Notes that events were missed: the prompts before may have been answered.
    pub(super) fn interrupt(&mut self) {
        self.open.clear();
        self.new.clear();
        self.is_summarised = false;
    }

    /// The model answers the turn's own prompt, and so all open ones before it.
    pub(super) fn own_answered(&mut self) {
        self.answered_with.extend(std::mem::take(&mut self.open));
        self.new.clear();
    }

    /// Notes that the next answer names a prompt after the turn's own.
    pub(super) fn taken_over(&mut self, prompt: &MessageId, share: AnswerShare) {
        // The first loss counts: what was begun for the turn's own stays begun.
        let share = match &self.takeover {
            Some(Takeover { share: AnswerShare::Whole, .. }) | None => share,
            Some(before) => before.share,
        };
        self.takeover = Some(Takeover { prompt: prompt.clone(), share });
        self.answered_with.push(prompt.clone());
    }

    /// A compaction after these prompts, which the model was not asked about yet, covers them: the
    /// answer goes on with a message that OpenCode inserts.
    pub(super) fn covered(&mut self, prompts: Vec<MessageId>) {
        self.answered_with.extend(prompts);
    }

    /// Takes prompts that others post from now on, and their answers, for the turn's.
    pub(super) fn adopt(&mut self) {
        self.is_adopting = true;
    }

    pub(super) fn is_adopting(&self) -> bool {
        self.is_adopting
    }

    pub(super) fn takeover(&self) -> Option<&Takeover> {
        self.takeover.as_ref()
    }

    pub(super) fn answered_with(&self) -> &[MessageId] {
        &self.answered_with
    }

    pub(super) fn into_answered_with(self) -> Vec<MessageId> {
        self.answered_with
    }
}
