use std::time::Duration;

use crate::watchdog::Deadlines;

/// How a [`Turn`](super::Turn) is watched.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TurnSettings {
    /// What kind of turn it is. Default: a prompt that is answered.
    pub kind: TurnKind,
    /// When it is given up. Default: 2 minutes until the model begins to answer, 30 minutes between two events, no limit
    /// on the whole. That the server has the prompt is no beginning, heartbeats are no events, and nothing counts while a
    /// human is asked.
    pub deadlines: Deadlines,
    /// How long an aborted turn may take to end before it is left. Default: 10 seconds.
    pub abort_limit: Duration,
    /// How long to wait before looking at the server when its events leave something open. Default: 500 milliseconds.
    pub settle_delay: Duration,
    /// How long a turn may be silent before the server is looked at, in case its events got lost. Default: 1 minute.
    pub look_interval: Duration,
    /// How often the conversation may overflow the model's context without an answer in between, before the turn is
    /// aborted. OpenCode itself would go on for ever. Default: 4.
    pub overflows_max: u32,
    /// How many calls of the model in a row may end without a reason and without a tool before the turn is aborted.
    /// OpenCode asks on at once, for ever. Default: 8.
    pub unfinished_max: usize,
    /// How many bytes of events may wait for the message they belong to. Default: 8 MiB.
    pub waiting_size_max: usize,
}

impl Default for TurnSettings {
    fn default() -> Self {
        Self {
            kind: TurnKind::Prompt,
            deadlines: Deadlines::default().with_first_event(Duration::from_secs(120)),
            abort_limit: Duration::from_secs(10),
            settle_delay: Duration::from_millis(500),
            look_interval: Duration::from_secs(60),
            overflows_max: 4,
            unfinished_max: 8,
            waiting_size_max: 8 << 20,
        }
    }
}

impl TurnSettings {
    /// With this kind of turn.
    #[must_use]
    pub fn with_kind(mut self, kind: TurnKind) -> Self {
        self.kind = kind;
        self
    }

    /// With these deadlines.
    #[must_use]
    pub fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// With this much time for an aborted turn to end.
    #[must_use]
    pub fn with_abort_limit(mut self, limit: Duration) -> Self {
        self.abort_limit = limit;
        self
    }
}

/// What a turn is about, which decides how it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TurnKind {
    /// A message that is stored and not answered (`noReply`).
    NoReply,
    /// A prompt or a command, which the model answers.
    #[default]
    Prompt,
    /// A shell command of the user's, which no model answers.
    Shell,
}
