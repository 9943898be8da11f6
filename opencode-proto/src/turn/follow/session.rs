//! What is told of a session as a whole.

use std::sync::Arc;
use std::time::Instant;

use super::Place;
use crate::AgentError;
use crate::error::ErrorName;
use crate::server_event::{ServerEvent, ServerEventKind, SessionInfo, SessionStatus};
use crate::turn::{LookState, Stop, Turn, TurnAction, TurnEnd, TurnEventKind};

impl Turn {
    pub(super) fn session_error(
        &mut self,
        place: Place,
        error: Option<&AgentError>,
        event: &Arc<ServerEvent>,
        now: Instant,
    ) {
        let Some(error) = error else { return };
        if matches!(place, Place::Own) && self.is_of_earlier_turn(error) {
            return;
        }
        self.transcript_at(place).apply(event);
        if let Place::Own = place {
            self.activity += 1;
            self.errors.push(error.detach());
        }
        let kind = TurnEventKind::Failed(Box::new(error.clone()));
        self.emit(place, kind, Some(event));
        if error.name == ErrorName::CONTEXT_OVERFLOW && matches!(place, Place::Own) {
            self.overflows += 1;
            if self.overflows > self.settings.overflows_max {
                self.stop(Stop::Overflowed, now);
            }
        }
    }

    /// A turn that was aborted tells of it late, and does not say whose error it is. The turn's own is also told with its
    /// answer.
    fn is_of_earlier_turn(&self, error: &AgentError) -> bool {
        error.name == ErrorName::MESSAGE_ABORTED && self.chain.last_answer().is_none()
    }

    pub(super) fn status(
        &mut self,
        place: Place,
        status: &SessionStatus,
        event: &Arc<ServerEvent>,
        now: Instant,
    ) {
        if let Place::Own = place {
            // Until the prompt is told, what is told is about an earlier turn.
            if !self.chain.is_seen() {
                // Unless the prompt was missed: then a look that is under way is older than this.
                if self.chain.is_torn() && *status == SessionStatus::Idle {
                    self.look = LookState::Due { at: now, failures: 0 };
                }
                return;
            }
            self.activity += 1;
            self.idle = (*status == SessionStatus::Idle).then_some(self.idle.unwrap_or(now));
            if self.idle.is_none() {
                self.quiet = None;
            }
            if self.status.as_ref() == Some(status) {
                return;
            }
            self.status = Some(status.clone());
        } else if matches!(event.kind, ServerEventKind::SessionIdle) {
            // `session.status` has told it.
            return;
        }
        let kind = match status {
            SessionStatus::Retry { attempt, message, next_ms } => TurnEventKind::Retrying {
                attempt: *attempt,
                message: message.clone(),
                next_ms: *next_ms,
            },
            SessionStatus::Busy | SessionStatus::Idle | SessionStatus::Other { .. } => {
                TurnEventKind::StatusChanged(status.clone())
            }
        };
        self.emit(place, kind, Some(event));
    }

    pub(super) fn session_updated(
        &mut self,
        place: Place,
        info: &SessionInfo,
        event: &Arc<ServerEvent>,
    ) {
        let transcript = self.transcript_at(place);
        let is_new = transcript.title().is_some_and(|title| title != info.title);
        transcript.apply(event);
        if is_new {
            self.emit(place, TurnEventKind::TitleChanged(info.title.clone()), Some(event));
        }
    }

    pub(super) fn session_deleted(&mut self, place: Place, event: &Arc<ServerEvent>, now: Instant) {
        self.emit(place, TurnEventKind::Other, Some(event));
        if let Place::Own = place {
            // It would go on writing into nowhere, and pay for it.
            self.actions.push_back(TurnAction::Abort);
            self.finish(TurnEnd::SessionDeleted, now);
        }
    }
}
