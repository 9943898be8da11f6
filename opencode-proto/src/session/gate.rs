use std::collections::VecDeque;

/// Number of an abort, unique within its [`Session`](super::Session).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortNo(u64);

/// Aborts of a session that wait or are on their way. Prompts are held back meanwhile.
#[derive(Debug, Default)]
pub(super) struct AbortGate {
    next: u64,
    /// The first is on its way.
    aborts: VecDeque<AbortNo>,
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

    pub(super) fn is_open(&self) -> bool {
        self.aborts.is_empty()
    }
}
