//! Events about a session as a whole.

use std::sync::Arc;

use crate::AgentError;
use crate::error::ErrorName;
use crate::guard::RepetitionGuard;
use crate::server_event::{ServerEvent, ServerEventKind, SessionInfo, SessionStatus};
use crate::turn::core::TurnInput;
use crate::turn::event::TurnEventKind;
use crate::turn::posted::PostedTurn;
use crate::turn::record::Place;

impl PostedTurn {
    pub(super) fn session_error(
        &mut self,
        place: Place,
        error: Option<&AgentError>,
        event: &Arc<ServerEvent>,
        input: &mut TurnInput<'_>,
    ) {
        let Some(error) = error else { return };
        let is_own = matches!(place, Place::Own);
        let is_of_other = self.faults.are_complete
            || self.is_of_earlier_turn(error)
            || input.shared.is_late_error(error);
        if is_own && is_of_other {
            return;
        }
        let is_own_abort = error.is_abort() && self.course.is_stopping();
        let is_repeated = self.is_repeated_failure(place, error);
        if !is_repeated {
            self.record.at_mut(place).apply(event);
        }
        if is_own {
            self.pulse.activity += 1;
            self.faults.errors.push(error.detach());
        }
        if !is_own_abort && !is_repeated {
            let kind = TurnEventKind::Failed(Box::new(error.clone()));
            self.emit(place, kind, Some(event), input);
        }
        if error.name == ErrorName::CONTEXT_OVERFLOW {
            self.guard(place, input, RepetitionGuard::handle_overflow);
        }
    }

    /// Returns whether the error is that of an earlier turn, or of another prompt: an error of the
    /// turn's own answer comes after the prompt, and is also part of the answer.
    fn is_of_earlier_turn(&self, error: &AgentError) -> bool {
        let chain = &self.record.chain;
        let is_late_abort = error.is_abort() && chain.last_answer().is_none();
        is_late_abort || error.is_of_answer() && !chain.is_reported()
    }

    /// The stream reported the prompt just now: errors before it do not decide about the turn. Most
    /// are those of an earlier turn. (A file that cannot be read is reported before its prompt, and
    /// does not end the turn.)
    pub(super) fn forget_earlier_errors(&mut self, input: &mut TurnInput<'_>) {
        self.faults.errors.clear();
        self.faults.recovered = 0;
        input.shared.forget_late_errors();
    }

    pub(super) fn status(
        &mut self,
        place: Place,
        status: &SessionStatus,
        event: &Arc<ServerEvent>,
        input: &mut TurnInput<'_>,
    ) {
        if let Place::Own = place {
            let chain = &mut self.record.chain;
            // Until the server reports the prompt, the status is that of an earlier turn.
            if !chain.is_reported() {
                if *status != SessionStatus::Idle {
                    return;
                }
                chain.others.idle();
                if chain.has_gaps() {
                    // The prompt was missed, or the look is older than this.
                    self.look_settled(input);
                }
                return;
            }
            if self.pulse.is_of_earlier_turn(&event.kind) {
                return;
            }
            self.record.chain.set_status(status);
            self.pulse.activity += 1;
            if *status != SessionStatus::Idle {
                self.pulse.quiet = None;
            }
            if self.pulse.status.as_ref() == Some(status) {
                return;
            }
            self.pulse.status = Some(status.clone());
        } else {
            if let Some(child) = &event.session {
                self.note_child_status(child, status);
            }
            if matches!(event.kind, ServerEventKind::SessionIdle) {
                // `session.status` has reported the same.
                return;
            }
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
        self.emit(place, kind, Some(event), input);
        self.note_retry(status, input);
        if let SessionStatus::Retry { next_ms, .. } = status
            && let Some(abandoned) = self.record.at_mut(place).abandon_attempt(*next_ms)
        {
            let kind = TurnEventKind::AttemptAbandoned(abandoned);
            self.emit(place, kind, Some(event), input);
        }
    }

    pub(super) fn session_updated(
        &mut self,
        place: Place,
        info: &SessionInfo,
        event: &Arc<ServerEvent>,
        input: &mut TurnInput<'_>,
    ) {
        let transcript = self.record.at_mut(place);
        let is_new = transcript.title().is_some_and(|title| title != info.title);
        transcript.apply(event);
        if is_new {
            let kind = TurnEventKind::TitleChanged(info.title.clone());
            self.emit(place, kind, Some(event), input);
        }
    }

    pub(super) fn session_deleted(
        &mut self,
        place: Place,
        event: &Arc<ServerEvent>,
        input: &mut TurnInput<'_>,
    ) {
        self.emit(place, TurnEventKind::Other, Some(event), input);
        if let Place::Own = place {
            input.finish_deleted();
        }
    }
}
