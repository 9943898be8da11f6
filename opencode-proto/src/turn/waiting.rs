//! Events that came before it was known whose message they are about.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::MessageId;
use crate::server_event::{ServerEvent, ServerEventKind};

#[derive(Debug, Default)]
pub(super) struct Waiting {
    events: BTreeMap<MessageId, Vec<Arc<ServerEvent>>>,
    /// Events that came while others were being looked up, which come first.
    held: Vec<Arc<ServerEvent>>,
    /// Of all their bytes.
    size: usize,
}

impl Waiting {
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn push(&mut self, message: &MessageId, event: &Arc<ServerEvent>) {
        self.size += event.raw.len();
        self.events.entry(message.clone()).or_default().push(Arc::clone(event));
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn forget(&mut self, message: &MessageId) {
        if !self.events.is_empty() {
            drop(self.take(message));
        }
    }

    /// The events about the message, in order.
    pub(super) fn take(&mut self, message: &MessageId) -> Vec<Arc<ServerEvent>> {
        if self.events.is_empty() {
            return Vec::new();
        }
        let events = self.events.remove(message).unwrap_or_default();
        self.size -= events.iter().map(|event| event.raw.len()).sum::<usize>();
        events
    }

    pub(super) fn hold(&mut self, event: &Arc<ServerEvent>) {
        self.size += event.raw.len();
        self.held.push(Arc::clone(event));
    }

    /// All events: those about messages, in order for each, then those that were held.
    pub(super) fn take_all(&mut self) -> Vec<Arc<ServerEvent>> {
        let Self { events, held, .. } = std::mem::take(self);
        events.into_values().flatten().chain(held).collect()
    }

    /// The events that tell of answers to the message.
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
