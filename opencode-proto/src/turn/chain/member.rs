//! Knowledge of the messages of a session, and of their relation to a turn.

/// Whether another prompt took over, whose answer is none of the turn's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Succession {
    /// In the middle of the turn's answer.
    CutShort,
    Open,
    /// No prompt took over yet. The agent stopped at the last answer, although no event reported
    /// that.
    Stopped,
    /// After the turn's answer was complete.
    Superseded,
}

/// Knowledge of the messages of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    Clear,
    /// The turn began before, and the server cannot list the messages.
    Hidden,
    /// Events were missed, perhaps those of the turn's own message.
    Torn,
}

/// Stage of a compaction that OpenCode makes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CompactionStage {
    Absent,
    /// After the summary, the next message of the user's is the prompt, repeated.
    Requested,
    /// The prompt was repeated, and another answer follows.
    Repeated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportedStatus {
    Idle,
    Working,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// An answer of the turn.
    Answer,
    /// A message of an earlier turn.
    Earlier,
    /// A prompt after the turn's own. The answer shows the turn that the prompt belongs to.
    Later,
    /// A prompt after the turn's own, when the server did not work on that one any more.
    Next,
    /// The turn's own message, or one that OpenCode inserted for it.
    Prompt,
    /// A message of the user's whose parts decide.
    Undecided,
}

/// Relation of a message to the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::turn) enum Belongs {
    No,
    /// Later events decide.
    Unknown,
    Yes,
}

pub(super) fn belongs(member: Member) -> Belongs {
    match member {
        Member::Answer | Member::Prompt => Belongs::Yes,
        Member::Earlier | Member::Later | Member::Next => Belongs::No,
        Member::Undecided => Belongs::Unknown,
    }
}
