use std::borrow::Cow;

use opencode_proto::{Answer, RunOutcome};

use crate::process::warning::Warning;

/// What a run came to, and what is worth knowing about how it was run.
#[derive(Debug)]
#[non_exhaustive]
pub struct RunReport {
    /// How it ended and what was gathered.
    pub outcome: RunOutcome,
    /// The command, as a shell would take it. It shows neither the prompt nor any secret. Over a server, the one that
    /// started it, or that would run the same on it.
    pub command: String,
    /// What was not as it should be and did not stop the run.
    pub warnings: Vec<Warning>,
    /// How often it was started: more than once only after
    /// [`RunEnd::StartupDatabase`](opencode_proto::RunEnd::StartupDatabase), and not at all when it
    /// was cancelled before. How often a server of its own was started shows only when all of these failed.
    pub attempts: u32,
}

impl RunReport {
    /// What was gathered.
    pub fn answer(&self) -> &Answer {
        &self.outcome.answer
    }

    /// The answer: see [`Answer::text`].
    pub fn text(&self) -> Cow<'_, str> {
        self.outcome.answer.text()
    }
}
