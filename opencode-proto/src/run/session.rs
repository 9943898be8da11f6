//! Tells the lines of the run from those that plugins and other programs print beside it.

use std::mem;

use crate::SessionId;
use crate::run_event::{RunEvent, RunEventKind};

/// Events with a session that are kept until the first step begins. OpenCode prints fewer before.
const EARLY_MAX: usize = 64;

/// Session of a run.
///
/// OpenCode names the session on every line, and begins with a step or with errors. So the first
/// step that begins decides, whatever was printed before it.
#[derive(Debug)]
pub(super) enum RunSession {
    /// No step has begun. Holds the events with a session, of which the first known type decides
    /// for now.
    Open { early: Vec<RunEvent> },
    /// The session is known.
    Known(SessionId),
}

/// Relation of an event to the run.
#[derive(Debug)]
pub(super) enum Belonging {
    /// The event belongs to another session, or to none.
    Foreign,
    /// The event belongs to the run.
    Own,
    /// The event belongs to the run, and of those before it, only these do.
    OwnAfter(Vec<RunEvent>),
}

impl RunSession {
    pub(super) fn new(known: Option<SessionId>) -> Self {
        known.map_or(Self::Open { early: Vec::new() }, Self::Known)
    }

    /// Decides about the next event.
    pub(super) fn place(&mut self, event: &RunEvent) -> Belonging {
        if let Self::Open { early } = self
            && early.len() == EARLY_MAX
        {
            let first = first_named(early).or_else(|| early.first()?.session.clone());
            *self = first.map_or(Self::Open { early: Vec::new() }, Self::Known);
        }
        let early = match self {
            Self::Known(session) if event.session.as_ref() == Some(session) => {
                return Belonging::Own;
            }
            Self::Known(_) => return Belonging::Foreign,
            Self::Open { early } => early,
        };
        let first = first_named(early);
        let Some(session) = event.session.clone() else {
            // Some versions may name no session. Those that do show it with the first event.
            return if first.is_none() { Belonging::Own } else { Belonging::Foreign };
        };
        if matches!(event.kind, RunEventKind::StepStart(_)) {
            return self.settle(session);
        }
        early.push(event.clone());
        match first {
            None if names_session(event) => Belonging::OwnAfter(of_session(early, &session)),
            None => Belonging::Own,
            Some(first) if first == session => Belonging::Own,
            Some(_) => Belonging::Foreign,
        }
    }

    /// Fixes the session to that of a step that begins.
    fn settle(&mut self, session: SessionId) -> Belonging {
        let before = mem::replace(self, Self::Known(session.clone()));
        match before {
            Self::Known(_) => Belonging::Own,
            Self::Open { mut early } => {
                early.retain(|event| event.session.as_ref() == Some(&session));
                Belonging::OwnAfter(early)
            }
        }
    }
}

/// Returns the session of the first event that may name that of the run.
fn first_named(early: &[RunEvent]) -> Option<SessionId> {
    early.iter().find(|event| names_session(event))?.session.clone()
}

/// Returns the events of the session before the last one.
fn of_session(early: &[RunEvent], session: &SessionId) -> Vec<RunEvent> {
    let before = early.split_last().map_or(early, |(_, before)| before);
    before.iter().filter(|event| event.session.as_ref() == Some(session)).cloned().collect()
}

/// Returns whether the session of this event may be that of the run. Lines of unknown types come
/// from a newer OpenCode or from a plugin that logs.
fn names_session(event: &RunEvent) -> bool {
    match &event.kind {
        RunEventKind::Diagnostic(_)
        | RunEventKind::Malformed { .. }
        | RunEventKind::Notice(_)
        | RunEventKind::Unknown { .. } => false,
        RunEventKind::AttemptAbandoned(_)
        | RunEventKind::Error(_)
        | RunEventKind::Reasoning(_)
        | RunEventKind::StepFinish(_)
        | RunEventKind::StepStart(_)
        | RunEventKind::Text(_)
        | RunEventKind::TextDelta(_)
        | RunEventKind::ToolUse(_) => true,
    }
}
