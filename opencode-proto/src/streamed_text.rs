//! Text of a turn or run while it streams.

use std::borrow::Cow;

use crate::PartId;
use crate::answer::join;
use crate::run_event::{AttemptAbandoned, RunEvent, RunEventKind};
use crate::turn::{TurnEvent, TurnEventKind};

/// Text of a turn or run so far: the text of the events in order, without that of abandoned
/// attempts.
///
/// A program that only prints can append [`RunEvent::text`] or
/// [`TurnEvent::text`](crate::TurnEvent::text) of each event. One that shows a text which may
/// change, such as a page, keeps it here: when a provider breaks off and OpenCode repeats the call,
/// the text so far is void and another one follows.
///
/// ```
/// use opencode_proto::{RunEvent, StreamedText};
///
/// let lines = [
///     r#"{"type":"text_delta","part":{"id":"prt_1","text":"It is forty"}}"#,
///     r#"{"type":"attempt_abandoned","messageID":"msg_1","parts":["prt_1"]}"#,
///     r#"{"type":"text_delta","part":{"id":"prt_2","text":"It is 42."}}"#,
/// ];
/// let mut text = StreamedText::new();
/// let mut shown = Vec::new();
/// for line in lines {
///     text.handle_run_event(&RunEvent::decode(line.into()));
///     shown.push(text.to_str().into_owned());
/// }
/// assert_eq!(shown, ["It is forty", "", "It is 42."]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct StreamedText {
    parts: Vec<(Option<PartId>, String)>,
}

impl StreamedText {
    /// Creates a text without events.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event of a run.
    pub fn handle_run_event(&mut self, event: &RunEvent) {
        if let RunEventKind::AttemptAbandoned(abandoned) = &event.kind {
            self.remove(abandoned);
        }
        if let Some(text) = event.text() {
            self.push(event.text_part(), &text);
        }
    }

    /// Adds an event of a turn.
    pub fn handle_turn_event(&mut self, event: &TurnEvent) {
        if let TurnEventKind::AttemptAbandoned(abandoned) = &event.kind {
            self.remove(abandoned);
        }
        if let Some(text) = event.text() {
            self.push(event.text_part(), &text);
        }
    }

    /// Returns the text so far.
    pub fn to_str(&self) -> Cow<'_, str> {
        join(self.parts.iter().map(|(_, text)| Cow::Borrowed(text.as_str())))
    }

    fn push(&mut self, part: Option<&PartId>, text: &str) {
        match self.parts.iter_mut().rfind(|(known, _)| known.as_ref() == part) {
            Some((_, known)) => known.push_str(text),
            None => self.parts.push((part.cloned(), text.to_owned())),
        }
    }

    fn remove(&mut self, abandoned: &AttemptAbandoned) {
        let is_void = |part: &PartId| abandoned.parts.contains(part);
        self.parts.retain(|(part, _)| !part.as_ref().is_some_and(is_void));
    }
}
