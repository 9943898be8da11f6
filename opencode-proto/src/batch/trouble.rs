//! Failures of servers in a row.

use std::time::Instant;

use super::number::{GroupNo, ServerNo};
use super::settings::BatchSettings;
use crate::retry::{Retry, RetryCause, RetryPolicy};

/// Place where failures are counted: a started server counts for the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TroubleKey {
    Group(GroupNo),
    Server(ServerNo),
}

/// Failures in a row.
#[derive(Debug)]
pub(super) struct Trouble {
    policy: RetryPolicy,
    seed: u64,
    retry: Retry,
    state: TroubleState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TroubleState {
    /// All tries have failed.
    Exhausted,
    /// The next try may be made now.
    None,
    /// The next try may be made later.
    Paused { until: Instant },
    /// Another try would end alike, whatever other servers do.
    Refused,
}

impl Trouble {
    pub(super) fn new(settings: &BatchSettings, key: TroubleKey) -> Self {
        let no = match key {
            TroubleKey::Group(group) => group.0,
            TroubleKey::Server(server) => server.0,
        };
        let (policy, seed) = (settings.server_retry, settings.seed.rotate_left(32) ^ no as u64);
        Self { policy, seed, retry: Retry::new(policy, seed), state: TroubleState::None }
    }

    /// Returns whether another try may not be made now.
    pub(super) fn is_active(&self) -> bool {
        self.state != TroubleState::None
    }

    pub(super) fn is_final(&self) -> bool {
        matches!(self.state, TroubleState::Exhausted | TroubleState::Refused)
    }

    /// Returns when the next try may be made.
    pub(super) fn pause(&self) -> Option<Instant> {
        match self.state {
            TroubleState::Paused { until } => Some(until),
            TroubleState::Exhausted | TroubleState::None | TroubleState::Refused => None,
        }
    }

    pub(super) fn add(&mut self, now: Instant) {
        if self.is_final() {
            return;
        }
        self.state = match self.retry.handle_failure(&RetryCause::Connection, now) {
            Some(until) => TroubleState::Paused { until },
            None => TroubleState::Exhausted,
        };
    }

    pub(super) fn give_up(&mut self) {
        self.state = TroubleState::Refused;
    }

    pub(super) fn end_pause(&mut self) {
        if let TroubleState::Paused { .. } = self.state {
            self.state = TroubleState::None;
        }
    }

    pub(super) fn clear(&mut self) {
        if self.state == TroubleState::Refused {
            return;
        }
        self.retry = Retry::new(self.policy, self.seed);
        self.state = TroubleState::None;
    }
}
