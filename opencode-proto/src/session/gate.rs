use std::collections::{BTreeSet, VecDeque};

use super::TurnNo;

/// Number of an abort, unique within one [`Session`](super::Session).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortNo(u64);

/// Aborts of a session that wait or are on their way. Prompts are held back meanwhile.
#[derive(Debug, Default)]
pub(super) struct AbortGate {
    next: u64,
    /// The first is in flight.
    aborts: VecDeque<AbortNo>,
    /// Turns without an application whose prompts are on their way: an abort follows each prompt
    /// that arrives.
    leaving: BTreeSet<TurnNo>,
}

impl AbortGate {
    pub(super) fn begin(&mut self) -> AbortNo {
        let abort = AbortNo(self.next);
        self.next += 1;
        self.aborts.push_back(abort);
        abort
    }

    pub(super) fn is_first(&self, abort: AbortNo) -> bool {
        self.aborts.front() == Some(&abort)
    }

    pub(super) fn end(&mut self, abort: AbortNo) {
        self.aborts.retain(|other| *other != abort);
    }

    pub(super) fn leave(&mut self, turn: TurnNo) {
        self.leaving.insert(turn);
    }

    pub(super) fn end_leave(&mut self, turn: TurnNo) {
        self.leaving.remove(&turn);
    }

    pub(super) fn is_open(&self) -> bool {
        self.aborts.is_empty() && self.leaving.is_empty()
    }
}
