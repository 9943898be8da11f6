//! Everything that a run gathers while its process lives.

use std::mem;
use std::time::Instant;

use bytes::Bytes;

use super::outcome::{LineCounts, RunEnd, RunOutcome};
use super::session::{Belonging, RunSession};
use super::settings::{Retention, RunSettings};
use super::stderr::Stderr;
use crate::answer::Answer;
use crate::line::{Line, LineFramer};
use crate::process::Exit;
use crate::run_event::{self, Diagnostic, Notice, RunEvent, RunEventKind};

/// What a process has printed so far, in the form of the outcome.
#[derive(Debug)]
pub(super) struct RunRecord {
    started: Instant,
    stdout: LineFramer,
    pub(super) stderr: Stderr,
    session: RunSession,
    pub(super) answer: Answer,
    pub(super) lines: LineCounts,
    raw_lines: Option<Vec<Bytes>>,
    pub(super) notices: Vec<Notice>,
    pub(super) last_line: LastLine,
}

/// State of the last line of standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastLine {
    /// The output stopped inside an event.
    Torn,
    /// The output stopped behind a line, or inside one that is no event.
    Whole,
}

/// Effect of an event on the run.
#[derive(Debug)]
pub(super) enum Effect {
    /// The event is one of the run.
    Counted,
    /// The event is one of the run. Of the events before it, only these are.
    CountedAfter(Vec<RunEvent>),
    /// The event is a diagnostic and changes nothing.
    Nothing,
}

impl RunRecord {
    pub(super) fn new(settings: &RunSettings, now: Instant) -> Self {
        Self {
            started: now,
            stdout: LineFramer::new(settings.line_size_max),
            stderr: Stderr::new(settings.stderr_size_max),
            session: RunSession::new(settings.session.clone()),
            answer: Answer::new(),
            lines: LineCounts::default(),
            raw_lines: (settings.raw_lines == Retention::Keep).then(Vec::new),
            notices: Vec::new(),
            last_line: LastLine::Whole,
        }
    }

    pub(super) fn push_stdout(&mut self, chunk: Bytes) {
        self.stdout.push(chunk);
    }

    pub(super) fn next_line(&mut self) -> Option<Line> {
        self.stdout.next_line()
    }

    pub(super) fn last_line(&mut self) -> Option<Line> {
        self.stdout.finish()
    }

    /// Reads a line of standard output: diagnostics, and then the event, or one more diagnostic.
    pub(super) fn read(&mut self, line: Line) -> (Vec<RunEvent>, RunEvent) {
        let (raw, is_torn) = match line {
            Line::TooLong { size, head } => {
                let diagnostic = Diagnostic::TooLong { size };
                return (Vec::new(), RunEvent::diagnostic(head, diagnostic));
            }
            Line::Torn(raw) => (raw, true),
            Line::Whole(raw) => (raw, false),
        };
        if let Some(raw_lines) = &mut self.raw_lines {
            raw_lines.push(Bytes::copy_from_slice(&raw));
        }
        let (diagnostics, mut event) = run_event::decode(raw);
        let is_not_json = matches!(event.kind, RunEventKind::Diagnostic(Diagnostic::NotJson));
        if is_torn && is_not_json && run_event::ends_in_event(&event.raw) {
            event.kind = RunEventKind::Diagnostic(Diagnostic::Torn);
        }
        (diagnostics, event)
    }

    /// Counts an event of standard output. One of another session becomes a diagnostic.
    pub(super) fn apply(&mut self, event: &mut RunEvent) -> Effect {
        if let RunEventKind::Diagnostic(diagnostic) = event.kind {
            self.note_loss(diagnostic, &event.raw);
            self.count(event);
            return Effect::Nothing;
        }
        let effect = match self.session.place(event) {
            Belonging::Foreign => {
                event.kind = RunEventKind::Diagnostic(Diagnostic::OtherSession);
                self.lines.add(&event.kind);
                return Effect::Nothing;
            }
            Belonging::Own => Effect::Counted,
            Belonging::OwnAfter(earlier) => {
                self.count_anew(&earlier);
                Effect::CountedAfter(earlier)
            }
        };
        self.count(event);
        effect
    }

    /// Counts an event that could not be read.
    fn note_loss(&mut self, diagnostic: Diagnostic, raw: &[u8]) {
        match diagnostic {
            Diagnostic::NotJson | Diagnostic::TooLong { .. } => {
                self.lines.lost += u64::from(run_event::has_event(raw));
            }
            Diagnostic::Torn => self.last_line = LastLine::Torn,
            Diagnostic::Empty
            | Diagnostic::InvalidUtf8
            | Diagnostic::NotAnObject
            | Diagnostic::OtherSession => {}
        }
    }

    fn count(&mut self, event: &RunEvent) {
        self.answer.apply(event);
        self.lines.add(&event.kind);
    }

    /// Takes back what was counted, except for these events.
    fn count_anew(&mut self, earlier: &[RunEvent]) {
        let LineCounts { events, diagnostics, lost, .. } = mem::take(&mut self.lines);
        self.answer = Answer::new();
        earlier.iter().for_each(|event| self.count(event));
        self.lines.lost = lost;
        self.lines.diagnostics = (events + diagnostics).saturating_sub(self.lines.events);
    }

    /// Completes the answer with what standard error says about its errors.
    pub(super) fn resolve_causes(&mut self) {
        let errors = self.answer.errors().iter();
        let references: Vec<_> = errors.filter_map(|error| error.reference.clone()).collect();
        for reference in references {
            if let Some(cause) = self.stderr.cause(&reference) {
                self.answer.resolve(&reference, &cause.error);
            }
        }
    }

    /// Moves everything that was gathered into the outcome.
    pub(super) fn take_outcome(
        &mut self,
        end: RunEnd,
        exit: Option<Exit>,
        now: Instant,
    ) -> RunOutcome {
        RunOutcome {
            end,
            answer: mem::take(&mut self.answer),
            exit,
            stderr: self.stderr.tail(),
            notices: mem::take(&mut self.notices),
            lines: self.lines,
            raw_lines: self.raw_lines.take().unwrap_or_default(),
            elapsed: now.saturating_duration_since(self.started),
        }
    }
}
