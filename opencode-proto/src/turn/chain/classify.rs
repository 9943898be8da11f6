use super::member::{CompactionStage, Member, Sight, Succession};
use super::{AnswerShare, Chain};
use crate::StepRole;
use crate::error::ErrorName;
use crate::server_event::{MessageInfo, Role};
use crate::turn::post::TurnKind;

impl Chain {
    /// Returns where a new message belongs; `None` while later events or a look decide.
    pub(super) fn classify(&mut self, info: &MessageInfo) -> Option<Member> {
        if self.own.as_ref() == Some(&info.id) {
            return Some(Member::Prompt);
        }
        // An answer proves that the prompt exists.
        if let Some(own) = self.own.as_ref().filter(|own| info.parent.as_ref() == Some(*own)) {
            self.members.insert(own.clone(), Member::Prompt);
        }
        if self.own.is_none() && info.role == Role::User {
            return Some(Member::Undecided);
        }
        if !self.is_seen() {
            return (self.sight == Sight::Clear).then_some(Member::Earlier);
        }
        if info.role == Role::User {
            if self.others.is_adopting() {
                return Some(Member::Prompt);
            }
            if self.is_superseded() {
                // A compaction of the prompt that took over.
                return Some(Member::Earlier);
            }
            if self.compaction == CompactionStage::Requested && self.is_summarised() {
                self.compaction = CompactionStage::Repeated;
                self.join_later(None);
                return Some(Member::Prompt);
            }
            if self.others.take_insertion() {
                // The summary was not for another client.
                self.replaced_by = None;
                self.join_later(None);
                return Some(Member::Prompt);
            }
            return Some(Member::Undecided);
        }
        match info.parent.as_ref().and_then(|parent| self.members.get(parent)) {
            Some(Member::Prompt) => Some(Member::Answer),
            Some(Member::Earlier) => Some(Member::Earlier),
            Some(Member::Next) => {
                self.succession = Succession::Superseded;
                if info.step == StepRole::Summary {
                    self.replaced_by = self.summary_request.take();
                }
                Some(Member::Earlier)
            }
            Some(Member::Later) if self.is_answered() => {
                self.succession = Succession::Superseded;
                Some(Member::Earlier)
            }
            Some(Member::Later) if self.is_given_up() => {
                self.succession = Succession::CutShort;
                Some(Member::Earlier)
            }
            // The server went on with the next prompt before this one was answered: the answer is
            // that of both.
            Some(Member::Later) => {
                if let Some(parent) = &info.parent {
                    self.members.insert(parent.clone(), Member::Prompt);
                    let share = match (self.has_gaps, self.answers.is_empty()) {
                        (true, _) => AnswerShare::Unknown,
                        (false, true) => AnswerShare::Whole,
                        (false, false) => AnswerShare::Begun,
                    };
                    let parent = parent.clone();
                    self.join_later(Some(&parent));
                    self.later.retain(|later| *later != parent);
                    self.others.taken_over(&parent, share);
                }
                Some(Member::Answer)
            }
            Some(Member::Answer | Member::Undecided) | None => None,
        }
    }

    /// Returns whether the message answers a prompt that came before the turn's own.
    pub(in crate::turn) fn is_of_earlier_prompt(&self, info: &MessageInfo) -> bool {
        let prompt = info.parent.as_ref().map(|parent| self.members.get(parent));
        matches!(prompt, Some(None | Some(Member::Earlier)))
    }

    fn is_summarised(&self) -> bool {
        let is_summary = |last: &MessageInfo| last.step == StepRole::Summary;
        self.last_answer().is_some_and(|last| {
            is_summary(last) && last.completed_ms.is_some() && last.error.is_none()
        })
    }

    /// Returns whether the message answers a prompt that came after the turn's own, and not the
    /// turn's.
    pub(in crate::turn) fn is_of_later_prompt(&self, info: &MessageInfo) -> bool {
        let prompt = info.parent.as_ref().and_then(|parent| self.members.get(parent));
        matches!(prompt, Some(Member::Later | Member::Next))
    }

    /// Returns whether the last answer was given up: by an abort that is under way, by a server that
    /// was started anew, or at a refusal. A session that works on completes a message before the
    /// next one begins.
    fn is_given_up(&self) -> bool {
        let is_cut_off = |last: &MessageInfo| {
            let is_open = last.completed_ms.is_none();
            // Between two attempts, an abort leaves neither a reason nor an error.
            last.error.is_none() && (is_open || last.finish.is_none() && !self.is_compacting())
        };
        self.succession == Succession::Stopped || self.last_answer().is_some_and(is_cut_off)
    }

    /// Returns whether the last answer is complete, or failed.
    fn is_answered(&self) -> bool {
        self.last_answer().is_some_and(|last| {
            if let Some(error) = &last.error {
                // OpenCode goes on after this error alone.
                return error.name != ErrorName::CONTEXT_OVERFLOW;
            }
            let has_end = match &last.finish {
                Some(finish) => !finish.expects_more(),
                // A command line has no reason of its end.
                None => self.kind == TurnKind::Shell,
            };
            last.completed_ms.is_some() && last.step == self.kind.last_step() && has_end
        })
    }
}
