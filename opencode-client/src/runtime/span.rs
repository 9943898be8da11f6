//! Spans of runs and turns, which attribute log lines.

use std::fmt::Display;

use opencode_proto::SessionId;
use tracing::Span;

/// Span of a run or a turn, with the fields `session` and `end` recorded as they become known.
pub(crate) struct WorkSpan {
    span: Span,
    session: SessionField,
}

enum SessionField {
    Recorded,
    Unknown,
}

impl WorkSpan {
    pub(crate) fn of_run(directory: Option<impl Display>, model: Option<impl Display>) -> Self {
        let span = tracing::info_span!(
            "run",
            directory = directory.map(tracing::field::display),
            model = model.map(tracing::field::display),
            session = tracing::field::Empty,
            end = tracing::field::Empty,
        );
        Self { span, session: SessionField::Unknown }
    }

    pub(crate) fn of_turn(session: &SessionId, model: Option<impl Display>) -> Self {
        let span = tracing::info_span!(
            "turn",
            %session,
            model = model.map(tracing::field::display),
            end = tracing::field::Empty,
        );
        Self { span, session: SessionField::Recorded }
    }

    /// Returns the span, to be entered while the work is polled.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(crate) fn record_session(&mut self, session: Option<&SessionId>) {
        if let (SessionField::Unknown, Some(session)) = (&self.session, session) {
            self.span.record("session", tracing::field::display(session));
            self.session = SessionField::Recorded;
        }
    }

    pub(crate) fn record_end(&self, end: &str) {
        self.span.record("end", end);
    }
}
