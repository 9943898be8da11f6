//! A run over a server: what happens in a turn, as `opencode run --format json` would print it.

mod end;
mod part;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use opencode_config::{Approval, Reasoning, RunFlags};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::SessionId;
use crate::answer::Answer;
use crate::json::RawJson;
use crate::part::{Part, PartKey};
use crate::run::{LineCounts, Retention, RunEnd, RunOutcome, RunSettings};
use crate::run_event::{Notice, RunEvent, Telling};
use crate::server_event::PermissionRequest;
use crate::turn::{Origin, TurnEnd, TurnEvent, TurnEventKind};

/// The machine that makes a run of a turn: its events are those of the process that would have run the same prompt, with
/// the same lines, and so are its answer and its end.
///
/// In addition, it tells text while it is written ([`RunEventKind::TextDelta`](crate::RunEventKind::TextDelta)). What
/// the process would have said on standard error is a [`Notice`] as well. Inputs never fail. After each, take all events.
#[derive(Debug)]
pub struct ServedRun {
    approval: Approval,
    reasoning: Reasoning,
    retention: Retention,
    started: Instant,
    events: VecDeque<RunEvent>,
    answer: Answer,
    lines: LineCounts,
    notices: Vec<Notice>,
    raw_lines: Vec<Bytes>,
}

/// A line, as OpenCode prints it.
#[derive(Serialize)]
struct WireLine<'a> {
    r#type: &'a str,
    timestamp: u64,
    #[serde(rename = "sessionID")]
    session: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RawValue>,
}

impl ServedRun {
    /// A run that begins. Of the settings, it follows what to keep, of the flags, whether to show reasoning and whether
    /// permissions are granted.
    pub fn new(settings: &RunSettings, flags: &RunFlags, now: Instant) -> Self {
        Self {
            approval: flags.approval(),
            reasoning: flags.reasoning(),
            retention: settings.raw_lines,
            started: now,
            events: VecDeque::new(),
            answer: Answer::new(),
            lines: LineCounts::default(),
            notices: Vec::new(),
            raw_lines: Vec::new(),
        }
    }

    /// Something happened in the turn, at `now_ms`, in milliseconds since 1970.
    pub fn handle_event(&mut self, event: &TurnEvent, now_ms: u64) {
        if let TurnEventKind::PermissionAsked(request) = &event.kind {
            self.permission_asked(request);
        }
        if event.origin == Origin::Subagent {
            return;
        }
        self.text(event, now_ms);
        let session = &event.session;
        match &event.kind {
            TurnEventKind::StepStarted(step) => {
                self.part("step_start", event, &Part::StepStart(step.clone()), now_ms);
            }
            TurnEventKind::StepFinished(step) => {
                self.part("step_finish", event, &Part::StepFinish(step.clone()), now_ms);
            }
            TurnEventKind::PartFinal { part, .. } => match part {
                Part::Reasoning(_) if self.reasoning == Reasoning::Hide => {}
                Part::Reasoning(_) => self.part("reasoning", event, part, now_ms),
                Part::Text(_) => self.part("text", event, part, now_ms),
                Part::Tool(_) => self.part("tool_use", event, part, now_ms),
                Part::Other { .. } | Part::StepFinish(_) | Part::StepStart(_) => {}
            },
            TurnEventKind::Continued(text) => {
                self.part("text", event, &Part::Text(text.clone()), now_ms);
            }
            TurnEventKind::Failed(error) => self.error(session, &error.raw, now_ms),
            TurnEventKind::ChildStarted(_)
            | TurnEventKind::Compacted
            | TurnEventKind::ConnectionLost(_)
            | TurnEventKind::MessageUpdated(_)
            | TurnEventKind::Other
            | TurnEventKind::PartAdded(_)
            | TurnEventKind::PartDelta { .. }
            | TurnEventKind::PartRemoved(_)
            | TurnEventKind::PermissionAsked(_)
            | TurnEventKind::PermissionReplied { .. }
            | TurnEventKind::Posted(_)
            | TurnEventKind::QuestionAsked(_)
            | TurnEventKind::QuestionRejected(_)
            | TurnEventKind::QuestionReplied(_)
            | TurnEventKind::Reconnected
            | TurnEventKind::Retrying { .. }
            | TurnEventKind::StatusChanged(_)
            | TurnEventKind::TitleChanged(_)
            | TurnEventKind::TodosChanged(_)
            | TurnEventKind::ToolProgressed(_) => {}
        }
    }

    /// What the process would have said on standard error.
    pub fn handle_notice(&mut self, notice: Notice) {
        self.notices.push(notice.clone());
        self.emit(RunEvent::notice(notice.to_line().into(), notice));
    }

    /// The turn has ended. Returns what that end is for the run; events may follow.
    pub fn handle_end(&mut self, session: &SessionId, end: &TurnEnd, now_ms: u64) -> RunEnd {
        if let TurnEnd::Refused(error) = end {
            self.error(session, &end::refusal(error), now_ms);
        }
        end::end(end)
    }

    /// What to tell next.
    pub fn poll_event(&mut self) -> Option<RunEvent> {
        self.events.pop_front()
    }

    /// What was gathered so far.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// What the run came to.
    pub fn into_outcome(self, end: RunEnd, now: Instant) -> RunOutcome {
        RunOutcome {
            end,
            answer: self.answer,
            exit: None,
            stderr: String::new(),
            notices: self.notices,
            lines: self.lines,
            raw_lines: self.raw_lines,
            elapsed: now.saturating_duration_since(self.started),
        }
    }

    /// Nobody is there to ask. The driver answers accordingly.
    fn permission_asked(&mut self, request: &PermissionRequest) {
        if self.approval == Approval::Reject {
            self.handle_notice(Notice::PermissionRejected {
                permission: request.permission.clone(),
                patterns: request.patterns.join(", "),
            });
        }
    }

    /// Text that is new.
    fn text(&mut self, event: &TurnEvent, now_ms: u64) {
        let Some(text) = event.text().filter(|text| !text.is_empty()) else { return };
        let Some(key) = key_of(event) else { return };
        let raw = part::text_json(&key, &text);
        let line = line("text_delta", &event.session, now_ms, Some(&raw), None);
        self.emit(RunEvent::decode(line));
    }

    fn part(&mut self, event_type: &str, event: &TurnEvent, part: &Part, now_ms: u64) {
        let told = event.source.as_deref().and_then(part::told_json);
        let raw = told.unwrap_or_else(|| part::part_json(part));
        self.line(line(event_type, &event.session, now_ms, Some(&raw), None));
    }

    fn error(&mut self, session: &SessionId, raw: &RawJson, now_ms: u64) {
        self.line(line("error", session, now_ms, None, Some(raw)));
    }

    fn line(&mut self, line: Bytes) {
        if self.retention == Retention::Keep {
            self.raw_lines.push(line.clone());
        }
        let event = RunEvent::decode(line);
        self.lines.add(&event.kind);
        self.emit(event);
    }

    fn emit(&mut self, mut event: RunEvent) {
        event.telling = Telling::Deltas;
        self.answer.apply(&event);
        self.events.push_back(event);
    }
}

/// The part that an event is about.
fn key_of(event: &TurnEvent) -> Option<PartKey> {
    if let TurnEventKind::PartDelta { message, part, .. } = &event.kind {
        let (part, session) = (Some(part.clone()), Some(event.session.clone()));
        return Some(PartKey { part, message: message.clone(), session });
    }
    if let TurnEventKind::PartAdded(part) | TurnEventKind::PartFinal { part, .. } = &event.kind {
        return Some(part.key().clone());
    }
    None
}

fn line(
    event_type: &str,
    session: &SessionId,
    now_ms: u64,
    part: Option<&RawJson>,
    error: Option<&RawJson>,
) -> Bytes {
    let wire = WireLine {
        r#type: event_type,
        timestamp: now_ms,
        session: session.as_str(),
        part: part.map(RawJson::as_value),
        error: error.map(RawJson::as_value),
    };
    serde_json::to_vec(&wire).expect("strings, numbers and JSON are JSON").into()
}
