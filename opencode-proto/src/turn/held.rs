//! Events that wait until the session of their message is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::MessageId;
use crate::server_event::{ServerEvent, ServerEventKind};

#[derive(Debug, Default)]
pub(super) struct HeldEvents {
    /// Events about messages that may belong to the turn.
    events: BTreeMap<MessageId, Vec<Arc<ServerEvent>>>,
    /// Events that came after a gap, until the gap is looked up.
    after_gap: Vec<Arc<ServerEvent>>,
    /// Bytes of all events.
    size: usize,
}

impl HeldEvents {
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Keeps an event until the message is known.
    pub(super) fn push(&mut self, message: &MessageId, event: &Arc<ServerEvent>) {
        self.size += event.raw.len();
        self.events.entry(message.clone()).or_default().push(Arc::clone(event));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Drops the events about a message that does not belong to the turn.
    pub(super) fn forget(&mut self, message: &MessageId) {
        if !self.events.is_empty() {
            drop(self.take(message));
        }
    }

    /// Takes the events about the message, in order.
    pub(super) fn take(&mut self, message: &MessageId) -> Vec<Arc<ServerEvent>> {
        if self.events.is_empty() {
            return Vec::new();
        }
        let events = self.events.remove(message).unwrap_or_default();
        self.size -= events.iter().map(|event| event.raw.len()).sum::<usize>();
        events
    }

    /// Keeps an event until the gap before the event is looked up.
    pub(super) fn hold(&mut self, event: &Arc<ServerEvent>) {
        self.size += event.raw.len();
        self.after_gap.push(Arc::clone(event));
    }

    /// Takes all events: those about messages, in order for each, then those after the gap.
    pub(super) fn take_all(&mut self) -> Vec<Arc<ServerEvent>> {
        let Self { events, after_gap, .. } = std::mem::take(self);
        events.into_values().flatten().chain(after_gap).collect()
    }

    /// Takes the events about answers to the message.
    pub(super) fn answers_to(&mut self, prompt: &MessageId) -> Vec<Arc<ServerEvent>> {
        let is_answer = |event: &Arc<ServerEvent>| {
            matches!(&event.kind, ServerEventKind::MessageUpdated(info)
                if info.parent.as_ref() == Some(prompt))
        };
        let answers: Vec<_> = self
            .events
            .iter()
            .filter(|(_, events)| events.iter().any(is_answer))
            .map(|(message, _)| message.clone())
            .collect();
        answers.iter().flat_map(|message| self.take(message)).collect()
    }
}
