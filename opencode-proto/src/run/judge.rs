//! Judges how a run ended, from everything that is known about the run.

use super::RunStop;
use super::outcome::RunEnd;
use super::record::{LastLine, RunRecord};
use super::settings::AgentFallback;
use super::stderr::{is_database_race, startup_message};
use crate::ProviderFailure;
use crate::answer::Tail;
use crate::guard::Repetition;
use crate::process::{Exit, ProcessEnd};
use crate::run_event::Notice;
use crate::stack_trace::memory_failure;
use crate::watchdog::Deadline;

/// Judges a run whose process is over.
pub(super) fn end(
    record: &RunRecord,
    process: &ProcessEnd<RunStop>,
    agent_fallback: AgentFallback,
) -> RunEnd {
    let verdict = RunVerdict { record, agent_fallback, stderr: record.stderr.tail() };
    match &process.cause {
        // The process finished by itself before the signal arrived.
        Some(RunStop::Cancelled | RunStop::TimedOut(_))
            if record.answer.tail() == Tail::Answered && process.exit == Some(Exit::Code(0)) => {}
        Some(RunStop::AgentReplaced { reason }) => {
            return RunEnd::AgentReplaced { reason: reason.clone() };
        }
        Some(RunStop::Cancelled) => return RunEnd::Cancelled,
        Some(RunStop::McpUnavailable(server)) => {
            return RunEnd::McpUnavailable(server.clone());
        }
        // The signal is ours and says nothing about the run.
        Some(RunStop::Lingered | RunStop::Repeated(Repetition::Overflows)) => {
            return verdict.of_events();
        }
        Some(RunStop::Repeated(Repetition::RepeatedCalls { tool })) => {
            return RunEnd::RepeatedCalls { tool: tool.to_string() };
        }
        Some(RunStop::Repeated(Repetition::Unfinished)) => return RunEnd::Endless,
        Some(RunStop::Repeated(Repetition::EmptyReplies)) => return RunEnd::EmptyReplies,
        Some(RunStop::TimedOut(deadline)) => {
            let failure = record.stderr.failure().map(ProviderFailure::new).map(Box::new);
            let installing = match deadline {
                Deadline::FirstEvent => installing(&record.notices),
                Deadline::Idle | Deadline::Overall => Vec::new(),
            };
            return RunEnd::TimedOut { deadline: *deadline, failure, installing };
        }
        None => {}
    }
    match process.exit {
        Some(Exit::Signal(signal)) => verdict.of_signal(signal),
        Some(Exit::Code(code)) if code != 0 => verdict.of_failure(code),
        Some(Exit::Code(_)) | None => verdict.of_events(),
    }
}

/// Returns the plugins that were being installed.
pub(crate) fn installing(notices: &[Notice]) -> Vec<String> {
    let plugins = notices.iter().find_map(|notice| {
        let Notice::Installing { plugins } = notice else { return None };
        Some(plugins.clone())
    });
    plugins.unwrap_or_default()
}

/// What the end of a run is judged by.
struct RunVerdict<'a> {
    record: &'a RunRecord,
    agent_fallback: AgentFallback,
    stderr: String,
}

impl RunVerdict<'_> {
    /// Judges a process that a signal ended which is not ours.
    fn of_signal(&self, signal: i32) -> RunEnd {
        // A runtime without memory aborts itself.
        match memory_failure(&self.stderr) {
            Some(message) if self.is_silent() => RunEnd::StartupError { message },
            Some(message) => RunEnd::Crashed { code: 128 + signal, message },
            None => RunEnd::Interrupted { signal },
        }
    }

    /// Judges a process that failed with this exit code.
    fn of_failure(&self, code: i32) -> RunEnd {
        let answer = &self.record.answer;
        if let Some(error) = answer.fatal_error() {
            return RunEnd::AgentError(Box::new(error.clone()));
        }
        if self.is_silent() {
            let message = startup_message(&self.stderr);
            return if is_database_race(&self.stderr) {
                RunEnd::StartupDatabase { message }
            } else {
                RunEnd::StartupError { message }
            };
        }
        // An error that OpenCode recovered from still sets the exit code.
        if answer.tail() == Tail::Answered && !answer.errors().is_empty() {
            return self.of_events();
        }
        // Shells and newer versions report a signal like this.
        let signal = code.checked_sub(128).filter(|signal| matches!(signal, 1 | 2 | 9 | 15));
        match signal {
            Some(signal) => RunEnd::Interrupted { signal },
            None => RunEnd::Crashed { code, message: startup_message(&self.stderr) },
        }
    }

    /// Judges a process that did not report a failure.
    fn of_events(&self) -> RunEnd {
        let RunRecord { answer, lines, last_line, .. } = self.record;
        if let Some(error) = answer.fatal_error() {
            return RunEnd::AgentError(Box::new(error.clone()));
        }
        if self.is_silent() {
            // Some versions exit with 0 when they could not start; others print text instead of
            // events.
            return match (startup_message(&self.stderr), answer.text().is_empty()) {
                (_, false) => RunEnd::Completed,
                (message, true) if message.is_empty() => RunEnd::Torn,
                (message, true) => RunEnd::StartupError { message },
            };
        }
        if answer.tail() == Tail::ToolsCalled
            && let Some(refused) = self.refused()
        {
            return RunEnd::PermissionRejected { refused };
        }
        // An answer may be among the events that are missing.
        if lines.lost > 0 {
            return RunEnd::EventsLost { lines: lines.lost };
        }
        let is_open = matches!(answer.tail(), Tail::StepOpen | Tail::ToolsCalled);
        if is_open || *last_line == LastLine::Torn {
            return RunEnd::Torn;
        }
        match self.replaced_agent() {
            Some(reason) if self.agent_fallback == AgentFallback::Refuse => {
                RunEnd::AgentReplaced { reason }
            }
            Some(_) | None => RunEnd::Completed,
        }
    }

    /// Returns whether the process printed nothing that is, or was, an event.
    fn is_silent(&self) -> bool {
        self.record.lines.events == 0 && self.record.lines.lost == 0
    }

    /// Returns what was refused to a run that stopped at its tool calls.
    fn refused(&self) -> Option<String> {
        let told = self.record.notices.iter().rev().find_map(|notice| {
            let Notice::PermissionRejected { permission, patterns } = notice else { return None };
            Some(format!("{permission} ({patterns})"))
        });
        let tools = self.record.answer.tools();
        let refused = || tools.iter().rev().find(|tool| tool.state.is_rejected());
        told.or_else(|| refused().map(|tool| tool.tool.to_string()))
    }

    fn replaced_agent(&self) -> Option<String> {
        self.record.notices.iter().find_map(|notice| {
            let Notice::AgentReplaced { reason } = notice else { return None };
            Some(reason.clone())
        })
    }
}
