//! How a run ended, from everything that is known about it.

use std::mem;
use std::time::Instant;

use super::outcome::{Exit, RunEnd, RunOutcome};
use super::stderr::{is_database_race, startup_message};
use super::{AgentFallback, Run, Stop};
use crate::answer::{Answer, Tail};
use crate::run_event::Notice;

pub(super) fn outcome(run: &mut Run, now: Instant) -> RunOutcome {
    let mut answer = mem::take(&mut run.answer);
    let references: Vec<_> =
        answer.errors().iter().filter_map(|error| error.reference.clone()).collect();
    for reference in references {
        if let Some(cause) = run.stderr.cause(&reference) {
            answer.resolve(&reference, &cause.error);
        }
    }
    let stderr = run.stderr.tail();
    RunOutcome {
        end: end(run, &answer, &stderr),
        answer,
        exit: run.gone.and_then(|(exit, _)| exit),
        stderr,
        notices: mem::take(&mut run.notices),
        lines: run.lines,
        raw_lines: mem::take(&mut run.raw_lines),
        elapsed: now.saturating_duration_since(run.started),
    }
}

fn end(run: &Run, answer: &Answer, stderr: &str) -> RunEnd {
    let exit = run.gone.and_then(|(exit, _)| exit);
    let answered = answer.tail() == Tail::Answered;
    match &run.stop {
        // It had finished by itself before the signal reached it.
        Some((Stop::Cancelled | Stop::TimedOut(_), _))
            if answered && exit == Some(Exit::Code(0)) => {}
        Some((Stop::Cancelled, _)) => return RunEnd::Cancelled,
        Some((Stop::TimedOut(deadline), _)) => return RunEnd::TimedOut(*deadline),
        Some((Stop::AgentReplaced { reason }, _)) => {
            return RunEnd::AgentReplaced { reason: reason.clone() };
        }
        // The signal is ours: it says nothing about the run.
        Some((Stop::Lingered | Stop::Overflowed, _)) => return end_of_events(run, answer, stderr),
        None => {}
    }
    match exit {
        Some(Exit::Signal(signal)) => RunEnd::Interrupted { signal },
        Some(Exit::Code(code)) if code != 0 => failure(run, answer, stderr, code),
        Some(Exit::Code(_)) | None => end_of_events(run, answer, stderr),
    }
}

fn failure(run: &Run, answer: &Answer, stderr: &str, code: i32) -> RunEnd {
    if let Some(error) = answer.fatal_error() {
        return RunEnd::AgentError(Box::new(error.clone()));
    }
    if run.lines.events == 0 {
        let message = startup_message(stderr);
        return if is_database_race(stderr) {
            RunEnd::StartupDatabase { message }
        } else {
            RunEnd::StartupError { message }
        };
    }
    // An error that OpenCode recovered from still sets the exit code.
    if answer.tail() == Tail::Answered && !answer.errors().is_empty() {
        return end_of_events(run, answer, stderr);
    }
    // Shells and newer versions report a signal like this.
    if let Some(signal) = code.checked_sub(128).filter(|signal| matches!(signal, 1 | 2 | 9 | 15)) {
        return RunEnd::Interrupted { signal };
    }
    RunEnd::Crashed { code, message: startup_message(stderr) }
}

/// The end when the process did not complain.
fn end_of_events(run: &Run, answer: &Answer, stderr: &str) -> RunEnd {
    if let Some(error) = answer.fatal_error() {
        return RunEnd::AgentError(Box::new(error.clone()));
    }
    if run.lines.events == 0 {
        // Some versions exit with 0 when they could not start; others print text instead of events.
        return match (startup_message(stderr), answer.text().is_empty()) {
            (_, false) => RunEnd::Completed,
            (message, true) if message.is_empty() => RunEnd::Torn,
            (message, true) => RunEnd::StartupError { message },
        };
    }
    match answer.tail() {
        Tail::StepOpen => return RunEnd::Torn,
        Tail::ToolsCalled => return rejected(run, answer).unwrap_or(RunEnd::Torn),
        Tail::Answered | Tail::Failed | Tail::Nothing => {}
    }
    if run.torn {
        return RunEnd::Torn;
    }
    let replaced = run.notices.iter().find_map(|notice| match notice {
        Notice::AgentReplaced { reason } => Some(reason.clone()),
        Notice::PermissionRejected { .. } | Notice::Shared { .. } => None,
    });
    match replaced {
        Some(reason) if run.settings.agent_fallback == AgentFallback::Refuse => {
            RunEnd::AgentReplaced { reason }
        }
        Some(_) | None => RunEnd::Completed,
    }
}

/// The turn ended at its tool calls: because one of them was refused?
fn rejected(run: &Run, answer: &Answer) -> Option<RunEnd> {
    let told = run.notices.iter().rev().find_map(|notice| match notice {
        Notice::PermissionRejected { permission, patterns } => {
            Some(format!("{permission} ({patterns})"))
        }
        Notice::AgentReplaced { .. } | Notice::Shared { .. } => None,
    });
    let refused = answer.tools().iter().rev().find(|tool| tool.state.is_rejected());
    let refused = told.or_else(|| refused.map(|tool| tool.tool.to_string()))?;
    Some(RunEnd::PermissionRejected { refused })
}
