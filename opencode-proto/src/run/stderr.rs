//! Standard error of a run: a bounded tail to show, and the few facts that are told nowhere else.

mod log_line;

use std::collections::VecDeque;

use bytes::Bytes;

use crate::ansi::without_escapes;
use crate::line::{Line, LineFramer};
use crate::output_tail::OutputTail;
use crate::run_event::Notice;

use log_line::LogLine;

/// How long a line of standard error may be to be looked at. Longer ones are only part of the tail.
const LINE_SIZE_MAX: usize = 64 << 10;
/// How many lines a notice may span: the command it tells of may have several.
const NOTICE_LINES_MAX: usize = 200;
/// How many causes are remembered.
const CAUSES_MAX: usize = 64;
/// How the log names an error whose message it leaves out, for example that of an unknown command.
const NO_CAUSE: &str = "UnknownError: UnknownError";

#[derive(Debug)]
pub(super) struct Stderr {
    framer: LineFramer,
    tail: OutputTail,
    /// A notice that was begun and not closed.
    notice: Option<OpenNotice>,
    causes: VecDeque<Cause>,
}

#[derive(Debug)]
struct OpenNotice {
    text: String,
    lines: usize,
}

/// What the log says about an error that is reported by its reference only.
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
        }
    }

    /// Takes the next chunk and returns what it tells, each with the line it stood in.
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

    /// The cause of the error with this reference.
    pub(super) fn cause(&self, reference: &str) -> Option<&Cause> {
        self.causes.iter().find(|cause| cause.reference == reference)
    }

    /// The end of what was printed, without colours.
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
            return None;
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

const NOTICE_START: &str = "permission requested: ";
const NOTICE_END: &str = "; auto-rejecting";

/// Whether this is no line of the command that a notice tells of. Those may start with `!` too.
fn begins_notice(line: &str) -> bool {
    line.starts_with('!') && (line.contains(NOTICE_START) || Notice::read(line).is_some())
}

/// What a process that never got going says about it: standard error without log lines, notices and the label `Error:`.
pub(crate) fn startup_message(tail: &str) -> String {
    const USAGES: [&str; 2] = ["opencode run [message..]", "opencode serve\n"];
    const LABEL: &str = "Error: ";
    let told: Vec<_> = tail
        .lines()
        .filter(|line| LogLine::read(line).is_none() && Notice::read(line).is_none())
        .collect();
    let told = told.join("\n");
    if USAGES.iter().any(|usage| told.trim_start().starts_with(usage)) {
        return "the command line was not understood".to_owned();
    }
    let labelled =
        told.match_indices(LABEL).filter(|(at, _)| *at == 0 || told[..*at].ends_with('\n')).last();
    let message = match labelled {
        Some((at, label)) => &told[at + label.len()..],
        None => &told,
    };
    message.trim().to_owned()
}

/// Whether a process that never got going failed because several began to use one database at once: worth another try.
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
