//! The lines that `opencode run` would have printed for the events of a turn.

use std::mem;
use std::time::Instant;

use bytes::Bytes;
use opencode_config::{Approval, Reasoning};
use serde::Serialize;
use serde_json::value::RawValue;

use super::part;
use super::request::ServedRunRequest;
use crate::SessionId;
use crate::answer::Answer;
use crate::json::RawJson;
use crate::part::{Part, PartKey};
use crate::process::Exit;
use crate::run::{LineCounts, Retention, RunEnd, RunOutcome, installing};
use crate::run_event::{Notice, RunEvent, Telling};
use crate::server_event::PermissionRequest;
use crate::turn::{Origin, TurnEvent, TurnEventKind};

/// Record of a run over a server so far, in the form of the outcome.
#[derive(Debug)]
pub(super) struct ServedRecord {
    approval: Approval,
    reasoning: Reasoning,
    started: Instant,
    /// Events that were not handed out.
    pub(super) events: Vec<RunEvent>,
    pub(super) answer: Answer,
    lines: LineCounts,
    notices: Vec<Notice>,
    raw_lines: Option<Vec<Bytes>>,
    /// Exit of a server that did not start, and the tail of standard error.
    server: (Option<Exit>, String),
}

/// Line of `opencode run --format json`.
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

impl ServedRecord {
    pub(super) fn new(request: &ServedRunRequest, now: Instant) -> Self {
        Self {
            approval: request.flags.approval(),
            reasoning: request.flags.reasoning(),
            started: now,
            events: Vec::new(),
            answer: Answer::new(),
            lines: LineCounts::default(),
            notices: Vec::new(),
            raw_lines: (request.settings.raw_lines == Retention::Keep).then(Vec::new),
            server: (None, String::new()),
        }
    }

    /// Takes an event of the turn at `now_ms`, in milliseconds since 1970.
    pub(super) fn event(&mut self, event: &TurnEvent, now_ms: u64) {
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
            TurnEventKind::AnswerEmpty => self.notice(Notice::AnswerEmpty),
            TurnEventKind::AnsweredWith(prompt) => {
                self.notice(Notice::AnsweredWith { prompt: prompt.clone() });
            }
            TurnEventKind::McpLost(server) => self.notice(Notice::McpLost(server.clone())),
            TurnEventKind::Failed(error) => self.error(session, &error.raw, now_ms),
            TurnEventKind::AttemptAbandoned(abandoned) => {
                let session = Some(session.clone());
                self.emit(RunEvent::attempt_abandoned(abandoned.clone(), session, Some(now_ms)));
            }
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
            | TurnEventKind::ReplacedBySummary(_)
            | TurnEventKind::Retrying { .. }
            | TurnEventKind::StatusChanged(_)
            | TurnEventKind::TitleChanged(_)
            | TurnEventKind::TodosChanged(_)
            | TurnEventKind::ToolProgressed(_) => {}
        }
    }

    /// Takes a fact that the process would have printed on standard error.
    pub(super) fn notice(&mut self, notice: Notice) {
        self.notices.push(notice.clone());
        self.emit(RunEvent::notice(notice.to_line().into(), notice));
    }

    /// Returns the plugins that the run's own server was installing.
    pub(super) fn installing(&self) -> Vec<String> {
        installing(&self.notices)
    }

    pub(super) fn error(&mut self, session: &SessionId, raw: &RawJson, now_ms: u64) {
        self.line(line("error", session, now_ms, None, Some(raw)));
    }

    /// Takes the end of a server that did not start.
    pub(super) fn server_failed(&mut self, exit: Option<Exit>, stderr: String) {
        self.server = (exit, stderr);
    }

    /// Moves everything that was gathered into the outcome.
    pub(super) fn take_outcome(&mut self, end: RunEnd, now: Instant) -> RunOutcome {
        let (exit, stderr) = mem::take(&mut self.server);
        RunOutcome {
            end,
            answer: mem::take(&mut self.answer),
            exit,
            stderr,
            notices: mem::take(&mut self.notices),
            lines: self.lines,
            raw_lines: self.raw_lines.take().unwrap_or_default(),
            elapsed: now.saturating_duration_since(self.started),
        }
    }

    /// Notes a request that the driver rejects, since no one can be asked.
    fn permission_asked(&mut self, request: &PermissionRequest) {
        if self.approval == Approval::Reject {
            let patterns = request.patterns.join(", ");
            self.notice(Notice::permission_rejected(request.permission.clone(), patterns));
        }
    }

    /// Prints text that is new.
    fn text(&mut self, event: &TurnEvent, now_ms: u64) {
        let Some(text) = event.text().filter(|text| !text.is_empty()) else { return };
        let Some(key) = key_of(event) else { return };
        let raw = part::text_json(&key, &text);
        let line = line("text_delta", &event.session, now_ms, Some(&raw), None);
        self.emit(RunEvent::decode(line));
    }

    fn part(&mut self, event_type: &str, event: &TurnEvent, part: &Part, now_ms: u64) {
        let written = event.source.as_deref().and_then(part::written_json);
        let raw = written.unwrap_or_else(|| part::part_json(part));
        self.line(line(event_type, &event.session, now_ms, Some(&raw), None));
    }

    fn line(&mut self, line: Bytes) {
        if let Some(raw_lines) = &mut self.raw_lines {
            raw_lines.push(line.clone());
        }
        let event = RunEvent::decode(line);
        self.lines.add(&event.kind);
        self.emit(event);
    }

    fn emit(&mut self, mut event: RunEvent) {
        event.telling = Telling::Deltas;
        self.answer.apply(&event);
        self.events.push(event);
    }
}

/// Returns the part of an event.
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
