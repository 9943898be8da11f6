use std::time::{Duration, Instant};

use opencode_proto::{AskId, TurnEvent, TurnEventKind};

/// Time that a turn spent waiting for replies to permission requests and questions. This time
/// does not count towards the deadlines of the turn.
#[derive(Debug, Default)]
pub(super) struct Pause {
    open: Vec<AskId>,
    since: Option<Instant>,
    total: Duration,
}

impl Pause {
    pub(super) fn handle_event(&mut self, event: &TurnEvent, now: Instant) {
        if let TurnEventKind::PermissionAsked(request) = &event.kind {
            self.begin(AskId::Permission(request.id.clone()), now);
        } else if let TurnEventKind::QuestionAsked(request) = &event.kind {
            self.begin(AskId::Question(request.id.clone()), now);
        } else if let TurnEventKind::PermissionReplied { request, .. } = &event.kind {
            self.end(&AskId::Permission(request.clone()), now);
        } else if let TurnEventKind::QuestionRejected(id) | TurnEventKind::QuestionReplied(id) =
            &event.kind
        {
            self.end(&AskId::Question(id.clone()), now);
        }
    }

    /// Returns the total until `now`, at the end of the turn.
    pub(super) fn finish(mut self, now: Instant) -> Duration {
        self.stop(now);
        self.total
    }

    fn begin(&mut self, ask: AskId, now: Instant) {
        if !self.open.contains(&ask) {
            self.open.push(ask);
        }
        self.since.get_or_insert(now);
    }

    fn end(&mut self, ask: &AskId, now: Instant) {
        self.open.retain(|open| open != ask);
        if self.open.is_empty() {
            self.stop(now);
        }
    }

    fn stop(&mut self, now: Instant) {
        let Some(since) = self.since.take() else { return };
        self.total += now.saturating_duration_since(since);
    }
}
