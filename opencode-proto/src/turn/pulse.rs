//! Signs of life of a session, as a posted turn learns of them.

use std::time::Instant;

use crate::server_event::{ServerEventKind, SessionStatus};

/// Signs of life of the session.
#[derive(Debug)]
pub(super) struct Pulse {
    /// The last status, by event or by look.
    pub(super) status: Option<SessionStatus>,
    /// Counts inputs, to see whether a look is outdated.
    pub(super) activity: u64,
    /// Whether the model has said anything.
    pub(super) has_begun: bool,
    /// When anything was heard last.
    pub(super) heard: Instant,
    /// Since when looks have found nothing going on although the answer is not complete.
    pub(super) quiet: Option<Instant>,
    earlier_idle: EarlierIdle,
    /// The last event of the status reported work. Looks do not count: the list of statuses may be
    /// behind the events.
    is_reported_busy: bool,
}

/// Report that the work of an earlier turn is over.
///
/// OpenCode reports a session as idle when an aborted turn has wound down, and lists the session as
/// idle from then on, although the next turn may be at work already. The next status that is
/// reported is right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EarlierIdle {
    /// The report is about to come: a `session.status`, perhaps twice, and then a `session.idle`.
    Awaited,
    /// The report has come.
    Reported,
    Unknown,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            status: None,
            activity: 0,
            has_begun: false,
            heard: now,
            quiet: None,
            earlier_idle: EarlierIdle::Unknown,
            is_reported_busy: false,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.status == Some(SessionStatus::Idle)
    }

    /// Notes that an aborted answer of an earlier turn is complete. While the session is reported to
    /// work, that is the work of this turn.
    pub(super) fn await_earlier_idle(&mut self) {
        if self.is_reported_busy {
            self.earlier_idle = EarlierIdle::Awaited;
        }
    }

    /// Returns whether an event of the session's status is about an earlier turn.
    pub(super) fn is_of_earlier_turn(&mut self, event: &ServerEventKind) -> bool {
        let is_end = matches!(event, ServerEventKind::SessionIdle);
        let is_idle =
            is_end || matches!(event, ServerEventKind::SessionStatus(SessionStatus::Idle));
        if is_idle && self.earlier_idle == EarlierIdle::Awaited {
            if is_end {
                self.earlier_idle = EarlierIdle::Reported;
            }
            return true;
        }
        self.earlier_idle = EarlierIdle::Unknown;
        self.is_reported_busy = !is_idle;
        false
    }

    /// Returns whether the session is listed as idle although the turn may be at work.
    pub(super) fn outdates_statuses(&self) -> bool {
        self.earlier_idle != EarlierIdle::Unknown
    }

    /// Notes that events were missed, perhaps reports of the status.
    pub(super) fn interrupt(&mut self) {
        self.earlier_idle = EarlierIdle::Unknown;
        self.is_reported_busy = false;
    }
}
