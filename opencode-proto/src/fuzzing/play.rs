//! A [`Run`] in virtual time, with a check of every action.

use std::time::Instant;

use memchr::memmem;

use super::script::ScriptStep;
use super::split;
use crate::SessionId;
use crate::answer::Answer;
use crate::line::Line;
use crate::process::Signal;
use crate::run::{Run, RunAction, RunOutcome, RunSettings};
use crate::run_event::{RunEvent, RunEventKind, decode};

pub(crate) struct Play {
    run: Run,
    line_size_max: usize,
    session: Option<SessionId>,
    started: Instant,
    pub(crate) now: Instant,
    /// Output before and after the end of standard output.
    stdout: [Vec<u8>; 2],
    stdout_ended: bool,
    exited: bool,
    pub(crate) events: Vec<RunEvent>,
    pub(crate) signals: Vec<Signal>,
    sweeps: usize,
    pub(crate) wake: Option<Instant>,
    pub(crate) outcome: Option<RunOutcome>,
}

impl Play {
    /// A run whose settings hold no time of zero.
    pub(crate) fn new(settings: RunSettings, now: Instant) -> Self {
        let mut play = Self {
            line_size_max: settings.line_size_max,
            session: settings.session.clone(),
            run: Run::new(settings, now),
            started: now,
            now,
            stdout: Default::default(),
            stdout_ended: false,
            exited: false,
            events: Vec::new(),
            signals: Vec::new(),
            sweeps: 0,
            wake: None,
            outcome: None,
        };
        play.drain();
        play
    }

    pub(crate) fn step(&mut self, step: ScriptStep) {
        if self.outcome.is_none() {
            self.note(&step);
        }
        let run = &mut self.run;
        match step {
            ScriptStep::Cancel => run.cancel(self.now),
            ScriptStep::Exit(exit) => run.handle_exit(exit, self.now),
            ScriptStep::Pass(time) => {
                self.now += time;
                run.handle_timeout(self.now);
            }
            ScriptStep::Stderr(chunk) => run.handle_stderr(chunk, self.now),
            ScriptStep::StderrEnd => run.handle_stderr_end(self.now),
            ScriptStep::Stdout(chunk) => run.handle_stdout(chunk, self.now),
            ScriptStep::StdoutEnd => run.handle_stdout_end(self.now),
            ScriptStep::Wake => {
                if let Some(wake) = self.wake {
                    self.now = wake;
                    run.handle_timeout(self.now);
                }
            }
        }
        self.drain();
    }

    /// Lets time pass until the run is over: by itself, or cancelled when it waits for nothing.
    pub(crate) fn end(&mut self) -> &RunOutcome {
        // To stop, to kill, to give up: no run needs to be woken more often.
        for _ in 0..3 {
            if self.outcome.is_none() {
                self.step(if self.wake.is_some() { ScriptStep::Wake } else { ScriptStep::Cancel });
            }
        }
        self.outcome.as_ref().expect("a run ends when time passes")
    }

    fn note(&mut self, step: &ScriptStep) {
        match step {
            ScriptStep::Exit(_) => self.exited = true,
            ScriptStep::Stdout(chunk) => {
                self.stdout[usize::from(self.stdout_ended)].extend_from_slice(chunk);
            }
            ScriptStep::StdoutEnd => self.stdout_ended = true,
            ScriptStep::Cancel
            | ScriptStep::Pass(_)
            | ScriptStep::Stderr(_)
            | ScriptStep::StderrEnd
            | ScriptStep::Wake => {}
        }
    }

    fn drain(&mut self) {
        loop {
            let action = self.run.poll_action();
            if let RunAction::Wait(wake) = action {
                self.wake = wake;
                break;
            }
            assert!(self.outcome.is_none(), "after the end: {action:?}");
            match action {
                RunAction::Event(event) => self.events.push(*event),
                RunAction::Finished(outcome) => {
                    self.check_outcome(&outcome);
                    self.outcome = Some(*outcome);
                }
                RunAction::Signal(signal) => {
                    assert!(!self.exited, "{signal:?} for a process that is gone");
                    self.signals.push(signal);
                }
                RunAction::Sweep => self.sweeps += 1,
                RunAction::Wait(_) => unreachable!("handled above"),
            }
        }
        assert_eq!(self.sweeps, usize::from(self.exited));
        assert!([Signal::Terminate, Signal::Kill].starts_with(&self.signals), "{:?}", self.signals);
        if let Some(wake) = self.wake {
            assert!(self.outcome.is_none() && wake > self.now, "{wake:?} at {:?}", self.now);
        }
    }

    /// Everything that the process printed has become an event, was counted, and is in the answer.
    fn check_outcome(&self, outcome: &RunOutcome) {
        let lines = outcome.lines.events + outcome.lines.diagnostics;
        let printed = self.events.iter().filter(|event| !self.is_inferred(event)).count() as u64;
        assert_eq!(lines + outcome.notices.len() as u64, printed);
        assert_eq!(outcome.elapsed, self.now - self.started);
        let (events, expected) = self.replay();
        let answer = &outcome.answer;
        assert_eq!(outcome.lines.events, events);
        assert_eq!(answer.text(), expected.text());
        assert_eq!(answer.full_text(), expected.full_text());
        assert_eq!(answer.reasoning(), expected.reasoning());
        assert_eq!(answer.tools(), expected.tools());
        assert_eq!(answer.tokens(), expected.tokens());
        assert_eq!(answer.cost(), expected.cost());
        assert_eq!(answer.steps().len(), expected.steps().len());
        assert_eq!(answer.errors().len(), expected.errors().len());
        assert_eq!(answer.session(), expected.session());
    }

    /// Returns whether the machine made the event, of which no line was printed.
    fn is_inferred(&self, event: &RunEvent) -> bool {
        let is_printed = |stream: &Vec<u8>| memmem::find(stream, &event.raw).is_some();
        matches!(event.kind, RunEventKind::AttemptAbandoned(_))
            && !self.stdout.iter().any(is_printed)
    }

    /// Returns the number of events, and the answer, of everything printed so far, without chunks,
    /// time, and a process.
    fn replay(&self) -> (u64, Answer) {
        let lines = self.stdout.iter().flat_map(|stream| split(stream, self.line_size_max));
        let decoded = lines.filter_map(|line| match line {
            Line::TooLong { .. } => None,
            Line::Torn(line) | Line::Whole(line) => Some(decode(line)),
        });
        let events: Vec<_> = decoded
            .flat_map(|(diagnostics, event)| diagnostics.into_iter().chain([event]))
            .filter(|event| !matches!(event.kind, RunEventKind::Notice(_)))
            .collect();
        let session = self.session.clone().or_else(|| session_of(&events));
        let mut answer = Answer::new();
        let mut count = 0;
        // Text in front of the first event that names a session is not the answer of an old
        // version.
        let named = events.iter().position(names_session).filter(|_| self.session.is_none());
        let named = named.unwrap_or_default();
        for (at, event) in events.iter().enumerate() {
            if is_diagnostic(event) {
                if at >= named {
                    answer.apply(event);
                }
            } else if session.is_none() || event.session == session {
                count += 1;
                answer.apply(event);
            }
        }
        (count, answer)
    }
}

/// Returns the session of the first step that begins soon enough, or else that of the first event.
fn session_of(events: &[RunEvent]) -> Option<SessionId> {
    let is_step = |event: &&RunEvent| matches!(event.kind, RunEventKind::StepStart(_));
    let with_session = events.iter().filter(|event| event.session.is_some());
    let mut early = with_session.clone().take(64);
    let step = early.clone().find(is_step);
    let first = early.find(|event| names_session(event)).or_else(|| {
        let count = with_session.clone().count();
        with_session.clone().next().filter(|_| count > 64)
    });
    step.or(first)?.session.clone()
}

fn names_session(event: &RunEvent) -> bool {
    let is_known =
        !matches!(event.kind, RunEventKind::Malformed { .. } | RunEventKind::Unknown { .. });
    is_known && !is_diagnostic(event) && event.session.is_some()
}

fn is_diagnostic(event: &RunEvent) -> bool {
    matches!(event.kind, RunEventKind::Diagnostic(_))
}
