//! Answers of a turn, and the compactions between them.

use super::Chain;
use super::member::CompactionStage;
use crate::server_event::MessageInfo;
use crate::{MessageId, StepRole};

impl Chain {
    pub(in crate::turn) fn answer_count(&self) -> usize {
        self.answers.len()
    }

    /// Returns whether an answer before the last one was aborted.
    pub(in crate::turn) fn has_aborted(&self) -> bool {
        self.answers
            .iter()
            .any(|answer| answer.error.as_ref().is_some_and(|error| error.is_abort()))
    }

    /// Returns the last answer.
    pub(in crate::turn) fn last_answer(&self) -> Option<&MessageInfo> {
        self.answers.last()
    }

    /// Returns whether the last answer is under way, or complete with a reason.
    pub(in crate::turn) fn is_at_work(&self) -> bool {
        self.last_answer().is_some_and(|last| last.completed_ms.is_none() || last.finish.is_some())
    }

    /// Sorts the answers into the order of these messages; others came later.
    pub(in crate::turn) fn reorder(&mut self, order: &[MessageId]) {
        let place = |id: &MessageId| order.iter().position(|known| known == id);
        self.answers.sort_by_key(|answer| place(&answer.id).unwrap_or(usize::MAX));
    }

    pub(in crate::turn) fn answer_open(&self) -> Option<&MessageId> {
        self.last_answer().filter(|info| info.completed_ms.is_none()).map(|info| &info.id)
    }

    pub(super) fn answered(&mut self, info: &MessageInfo) {
        match self.answers.iter_mut().rfind(|known| known.id == info.id) {
            Some(known) if known.completed_ms.is_some() && info.completed_ms.is_none() => {}
            Some(known) => *known = info.detach(),
            None => {
                if info.step == StepRole::Answer {
                    self.compaction = CompactionStage::Absent;
                }
                self.others.own_answered();
                self.answers.push(info.detach());
            }
        }
    }

    /// Takes note that an event reports the end of a compaction. Returns whether the compaction is
    /// the turn's, as far as is known.
    pub(in crate::turn) fn take_compaction(&mut self) -> bool {
        self.others.compacted();
        let is_known = self.compactions > 0;
        self.compactions = self.compactions.saturating_sub(1);
        is_known
    }

    /// Returns whether OpenCode compacts the session and then goes on with the prompt.
    pub(in crate::turn) fn is_compacting(&self) -> bool {
        self.compaction != CompactionStage::Absent
    }
}
