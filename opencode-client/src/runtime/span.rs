//! Spans of runs and turns, which attribute log lines.

use std::fmt::Display;

use opencode_proto::{SessionId, Version};
use tracing::Span;

/// Span of a run or a turn. The fields `session`, `version` and `end` are recorded as they become
/// known.
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
            version = tracing::field::Empty,
            end = tracing::field::Empty,
        );
        Self { span, session: SessionField::Unknown }
    }

    pub(crate) fn of_turn(
        session: &SessionId,
        version: Option<&Version>,
        model: Option<impl Display>,
    ) -> Self {
        let span = tracing::info_span!(
            "turn",
            %session,
            version = version.map(tracing::field::display),
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

/// Records the version of OpenCode in the current span.
pub(crate) fn record_version(version: Option<&Version>) {
    if let Some(version) = version {
        Span::current().record("version", tracing::field::display(version));
    }
}
