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
    /// Messages before the turn's own without a complete answer, as far as events show, in order.
    queue: Vec<Queued>,
    /// Messages before the turn's own whose answer is complete, or never will be.
    closed: BTreeSet<MessageId>,
    /// A summary for another prompt that is complete. A user message before the end of the
    /// compaction is one that OpenCode inserts.
    summary: Option<MessageId>,
    /// Summaries whose compaction is over.
    used_summaries: BTreeSet<MessageId>,
    /// The turn's own prompt has an answer: what happens to the prompts before does not matter.
    is_begun: bool,
    /// Prompts that the turn's answer covers as well, in order.
    answered_with: Vec<MessageId>,
    takeover: Option<Takeover>,
    /// Later prompts of others belong to the turn.
    is_adopting: bool,
}

/// A user message that the model has not answered completely.
#[derive(Debug)]
struct Queued {
    message: MessageId,
    part: UserPart,
    /// The model is at work on an answer to this message. The next call of the model begins when
    /// the answer is complete, unless the work is given up.
    is_in_work: bool,
}

/// First part of a user message before the turn's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserPart {
    /// OpenCode wrote the message itself, for example to ask for a summary.
    Inserted,
    Other,
    /// Another client asks for a summary, which takes the place of the answers to prompts that wait.
    SummaryRequest,
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
        if !self.closed.contains(message) && !self.is_open(message) {
            self.new.insert(message.clone());
        }
    }

    /// Notes a part of a message before the turn's own. OpenCode publishes the parts of a prompt
    /// once, and the message again later.
    pub(super) fn part(&mut self, message: &MessageId, part: UserPart) {
        if !self.new.remove(message) {
            return;
        }
        let is_inserted = part == UserPart::Other && self.take_insertion();
        let part = if is_inserted { UserPart::Inserted } else { part };
        self.queue.push(Queued { message: message.clone(), part, is_in_work: false });
    }

    /// Notes a summary for another prompt, or one that another client asked for.
    pub(super) fn summary(&mut self, info: &MessageInfo) {
        if self.requested_by(info) == Some(UserPart::SummaryRequest) {
            return;
        }
        let is_complete = info.completed_ms.is_some() && info.error.is_none();
        // A look reads old summaries again.
        let is_news = is_complete && !self.used_summaries.contains(&info.id);
        self.summary = is_news.then(|| info.id.clone());
    }

    /// Returns the kind of the message that asks for this summary; `None` when that came before the
    /// first event.
    pub(super) fn requested_by(&self, summary: &MessageInfo) -> Option<UserPart> {
        let place = self.place(summary.parent.as_ref()?)?;
        Some(self.queue[place].part)
    }

    /// Notes the end of a compaction.
    pub(super) fn compacted(&mut self) {
        self.used_summaries.extend(self.summary.take());
    }

    /// Returns whether the next user message is one that OpenCode inserts for another prompt.
    pub(super) fn take_insertion(&mut self) -> bool {
        let is_inserted = self.summary.is_some();
        self.compacted();
        is_inserted
    }

    /// Notes the state of an answer to a message before the turn's own.
    pub(super) fn answer(&mut self, info: &MessageInfo) {
        let Some(prompt) = &info.parent else { return };
        if self.close_answered(info) || self.closed.contains(prompt) {
            return;
        }
        let is_in_work = info.completed_ms.is_none();
        match self.place(prompt) {
            Some(place) => self.queue[place].is_in_work = is_in_work,
            None => {
                // A prompt that came before the first event.
                let (message, part) = (prompt.clone(), UserPart::Other);
                self.queue.insert(0, Queued { message, part, is_in_work });
            }
        }
    }

    /// Notes the end of an answer, if complete: the answer is the one of all messages before that
    /// one, too. Returns whether the answer is complete.
    pub(super) fn close_answered(&mut self, info: &MessageInfo) -> bool {
        let Some(prompt) = &info.parent else { return false };
        let is_finished = info.finish.as_ref().is_some_and(|finish| !finish.expects_more());
        let is_over = info.error.is_some() || info.completed_ms.is_some() && is_finished;
        if is_over {
            let answered = self.place(prompt).map_or(0, |place| place + 1);
            let messages = self.queue.drain(..answered).map(|queued| queued.message);
            self.closed.extend(messages);
            self.closed.insert(prompt.clone());
        }
        is_over
    }

    /// Returns whether a message before the turn's own has no complete answer.
    pub(super) fn is_open(&self, message: &MessageId) -> bool {
        self.place(message).is_some()
    }

    fn place(&self, message: &MessageId) -> Option<usize> {
        self.queue.iter().position(|queued| queued.message == *message)
    }

    /// Notes that the session was idle: nothing before goes on.
    pub(super) fn idle(&mut self) {
        self.closed.extend(self.queue.drain(..).map(|queued| queued.message));
        self.closed.append(&mut self.new);
    }

    /// Notes that events were missed: the prompts before may have been answered.
    pub(super) fn interrupt(&mut self) {
        self.queue.clear();
        self.new.clear();
        self.summary = None;
    }

    /// The model answers the turn's own prompt, and so all open ones before it. An answer in work
    /// shows that the prompts up to that one were given up.
    pub(super) fn own_answered(&mut self) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        let given_up = self.queue.iter().rposition(|queued| queued.is_in_work);
        let open = &self.queue[given_up.map_or(0, |place| place + 1)..];
        let prompts = open.iter().filter(|queued| queued.part == UserPart::Other);
        self.answered_with.extend(prompts.map(|queued| queued.message.clone()));
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
