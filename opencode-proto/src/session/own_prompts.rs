use std::collections::VecDeque;

use crate::MessageId;

/// Most prompts that are remembered: more than can be unanswered at once.
const PROMPTS_MAX: usize = 256;

/// Prompts that this program posted to the session, the newest last.
#[derive(Debug, Default)]
pub(super) struct OwnPrompts(VecDeque<MessageId>);

impl OwnPrompts {
    pub(super) fn add(&mut self, prompt: MessageId) {
        if self.0.len() == PROMPTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(prompt);
    }

    pub(super) fn contains(&self, prompt: &MessageId) -> bool {
        self.0.contains(prompt)
    }
}
