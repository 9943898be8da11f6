//! Standard error of a run: a bounded tail, and the few facts that no event carries.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::ansi::without_escapes;
use crate::line::{Line, LineFramer};
use crate::output_tail::OutputTail;
use crate::run_event::Notice;
use crate::stack_trace::{is_trace, memory_failure};
use crate::surroundings::LogLine;

/// Longest line of standard error that is read. A longer line is part of the tail only.
const LINE_SIZE_MAX: usize = 64 << 10;
/// Most lines of a notice: the command in a notice may have several.
const NOTICE_LINES_MAX: usize = 200;
/// Most causes that are kept.
const CAUSES_MAX: usize = 64;
/// Name in the log of an error without its message, for example that of an unknown command.
const NO_CAUSE: &str = "UnknownError: UnknownError";

#[derive(Debug)]
pub(super) struct Stderr {
    framer: LineFramer,
    tail: OutputTail,
    /// A notice whose last line is still to come.
    notice: Option<OpenNotice>,
    causes: VecDeque<Cause>,
    /// The last failure of a call of the model, until a call succeeds.
    failure: Option<String>,
}

#[derive(Debug)]
struct OpenNotice {
    text: String,
    lines: usize,
}

/// Entry of the log about an error that is reported by its reference only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) reference: String,
    pub(super) error: String,
}

impl Stderr {
    pub(super) fn new(tail_size_max: usize) -> Self {
        Self {
            framer: LineFramer::new(LINE_SIZE_MAX),
            tail: OutputTail::new(tail_size_max),
            notice: None,
            causes: VecDeque::new(),
            failure: None,
        }
    }

    /// Takes the next chunk and returns the notices in it, each with its line.
    pub(super) fn push(&mut self, chunk: Bytes) -> Vec<(Bytes, Notice)> {
        self.tail.push(&chunk);
        self.framer.push(chunk);
        let mut notices = Vec::new();
        while let Some(line) = self.framer.next_line() {
            notices.extend(self.line(line));
        }
        notices
    }

    pub(super) fn finish(&mut self) -> Option<(Bytes, Notice)> {
        let line = self.framer.finish()?;
        self.line(line)
    }

    /// Returns the last failure of a call of the model, in the provider's words.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Forgets the last failure: a call of the model has succeeded.
    pub(super) fn forget_failure(&mut self) {
        self.failure = None;
    }

    /// Returns the cause of the error with this reference.
    pub(super) fn cause(&self, reference: &str) -> Option<&Cause> {
        self.causes.iter().find(|cause| cause.reference == reference)
    }

    /// Returns the tail of the output, without colours.
    pub(super) fn tail(&self) -> String {
        self.tail.text()
    }

    fn line(&mut self, line: Line) -> Option<(Bytes, Notice)> {
        let (Line::Whole(raw) | Line::Torn(raw)) = line else {
            return None;
        };
        let text = without_escapes(&String::from_utf8_lossy(&raw)).into_owned();
        if let Some(log) = LogLine::read(&text) {
            self.remember(&log);
            return Notice::of_log(&log).map(|notice| (raw, notice));
        }
        let (raw, text) = match self.notice.take() {
            Some(mut open) if !begins_notice(&text) => {
                open.text.push('\n');
                open.text.push_str(&text);
                open.lines += 1;
                if !open.text.ends_with(NOTICE_END) {
                    if open.lines < NOTICE_LINES_MAX {
                        self.notice = Some(open);
                    }
                    return None;
                }
                (Bytes::copy_from_slice(open.text.as_bytes()), open.text)
            }
            _ => (raw, text),
        };
        if text.contains(NOTICE_START) && !text.ends_with(NOTICE_END) {
            self.notice = Some(OpenNotice { text, lines: 1 });
            return None;
        }
        let notice = Notice::read(&text)?;
        Some((raw, notice))
    }

    fn remember(&mut self, log: &LogLine<'_>) {
        if let Some(failure) = stream_error(log) {
            self.failure = Some(failure);
        }
        let (Some(reference), Some(error)) = (log.field("ref"), log.field("error")) else {
            return;
        };
        if error == NO_CAUSE {
            return;
        }
        if self.causes.len() == CAUSES_MAX {
            self.causes.pop_front();
        }
        self.causes.push_back(Cause { reference, error });
    }
}

/// Returns the error of a call of the model for the answer, as OpenCode 1.18.33 logs each failed
/// attempt: `message="stream error" … small=false … error.error="AI_APICallError: slow down"`.
fn stream_error(log: &LogLine<'_>) -> Option<String> {
    let is_failure = log.field("message").as_deref() == Some("stream error")
        && log.field("small").as_deref() != Some("true");
    let error = log.field("error.error").filter(|_| is_failure)?;
    let message = error.split_once(": ").filter(|(name, _)| name.starts_with("AI_"));
    Some(message.map_or(error.as_str(), |(_, message)| message).to_owned())
}

const NOTICE_START: &str = "permission requested: ";
const NOTICE_END: &str = "; auto-rejecting";

/// Returns whether the line begins a notice. A line of the command in a notice may start with `!`
/// too.
fn begins_notice(line: &str) -> bool {
    line.starts_with('!') && (line.contains(NOTICE_START) || Notice::read(line).is_some())
}

/// Returns the message of a process that failed at its start: standard error without log lines,
/// notices and the label `Error:`.
pub(crate) fn startup_message(tail: &str) -> String {
    const USAGES: [&str; 2] = ["opencode run [message..]", "opencode serve\n"];
    const LABEL: &str = "Error: ";
    let message: Vec<_> = tail
        .lines()
        .filter(|line| LogLine::read(line).is_none() && Notice::read(line).is_none())
        .filter(|line| !is_trace(line))
        .collect();
    let message = message.join("\n");
    if let Some(failure) = memory_failure(&message) {
        return failure;
    }
    if USAGES.iter().any(|usage| message.trim_start().starts_with(usage)) {
        return "the command line was not understood".to_owned();
    }
    let labels = message.match_indices(LABEL);
    let labelled = labels.filter(|(at, _)| *at == 0 || message[..*at].ends_with('\n')).last();
    let labelled = match labelled {
        Some((at, label)) => &message[at + label.len()..],
        None => &message,
    };
    labelled.trim().to_owned()
}

/// Returns whether a process failed at its start because several began to use one database at the
/// same time. Another try helps.
pub(crate) fn is_database_race(tail: &str) -> bool {
    const SIGNS: [&str; 6] = [
        "database is locked",
        "database table is locked",
        "disk i/o error",
        "failed query: create table",
        "journal_mode",
        "sqlite_busy",
    ];
    let tail = tail.to_ascii_lowercase();
    SIGNS.iter().any(|sign| tail.contains(sign))
}

#[cfg(test)]
mod tests;
