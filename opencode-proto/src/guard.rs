//! Counters that end work which repeats itself without end.
//!
//! OpenCode repeats three things for as long as the model does: compaction after an overflow of the
//! context, calls of the model that end without a reason, and tool calls. Each repetition is paid
//! for.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::json::{RawJson, RawText};
use crate::part::{FinishReason, ToolPart};
use crate::{MessageId, PartId};

/// Default of the settings named `overflows_max`.
pub(crate) const OVERFLOWS_MAX: u32 = 4;
/// Default of the settings named `repeated_calls_max`.
pub(crate) const REPEATED_CALLS_MAX: u32 = 20;
/// Default of the settings named `unfinished_max`.
pub(crate) const UNFINISHED_MAX: usize = 8;

/// Limits on the repetitions in a row of each kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuardLimits {
    pub(crate) overflows_max: u32,
    pub(crate) repeated_calls_max: u32,
    pub(crate) unfinished_max: usize,
}

/// Repetition that went over the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// The conversation overflowed the model's context again and again.
    Overflows,
    /// The model made the same call of this tool, with the same result, again and again.
    RepeatedCalls { tool: Box<str> },
    /// Calls of the model ended without a reason and without a tool call again and again.
    Unfinished,
    /// Calls of the model ended without a reason and without any content again and again.
    EmptyReplies,
}

/// Content of a call of the model that ended without a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyContent {
    /// The model used no token and wrote nothing: the provider did not answer with a stream.
    Empty,
    /// The model wrote something, or used tokens.
    Present,
}

impl ReplyContent {
    /// Returns the content of a call with these tokens and this text.
    pub(crate) fn of(tokens: u64, has_text: bool) -> Self {
        if tokens == 0 && !has_text { Self::Empty } else { Self::Present }
    }
}

/// Counts repetitions in a row. Every `handle_*` returns a repetition over the limit.
#[derive(Debug)]
pub(crate) struct RepetitionGuard {
    limits: GuardLimits,
    overflows: u32,
    call: Option<RepeatedCall>,
    /// Messages that ended without a reason, since the last that did not: OpenCode publishes a
    /// message several times.
    unfinished: BTreeSet<MessageId>,
    /// Further ends without a reason, of messages without an id.
    unfinished_unnamed: usize,
    /// Whether one of these messages has content.
    unfinished_content: ReplyContent,
}

/// The last tool call, and how often it was made in a row.
#[derive(Debug)]
struct RepeatedCall {
    part: Option<PartId>,
    /// Hash of the tool, the arguments and the result.
    hash: u64,
    count: u32,
}

impl RepetitionGuard {
    pub(crate) fn new(limits: GuardLimits) -> Self {
        let (unfinished, unfinished_unnamed) = (BTreeSet::new(), 0);
        Self {
            limits,
            overflows: 0,
            call: None,
            unfinished,
            unfinished_unnamed,
            unfinished_content: ReplyContent::Empty,
        }
    }

    /// The conversation overflowed the model's context.
    pub(crate) fn handle_overflow(&mut self) -> Option<Repetition> {
        self.overflows = self.overflows.saturating_add(1);
        (self.overflows > self.limits.overflows_max).then_some(Repetition::Overflows)
    }

    /// The model answered, which ends a row of overflows.
    pub(crate) fn handle_answer(&mut self) {
        self.overflows = 0;
    }

    /// A tool call ended. The same part again is the same call.
    pub(crate) fn handle_call(&mut self, part: &ToolPart) -> Option<Repetition> {
        self.handle_progress();
        let (id, hash) = (&part.key.part, hash_of(part));
        let count = match &self.call {
            Some(last) if id.is_some() && last.part == *id => last.count,
            Some(last) if last.hash == hash => last.count.saturating_add(1),
            Some(_) | None => 1,
        };
        self.call = Some(RepeatedCall { part: id.clone(), hash, count });
        (count > self.limits.repeated_calls_max)
            .then(|| Repetition::RepeatedCalls { tool: part.tool.clone() })
    }

    /// A call of the model ended without a tool call, and OpenCode is going to call the model again
    /// (see [`calls_again`]).
    pub(crate) fn handle_unfinished(
        &mut self,
        message: Option<&MessageId>,
        content: ReplyContent,
    ) -> Option<Repetition> {
        if content == ReplyContent::Present {
            self.unfinished_content = content;
        }
        match message {
            Some(message) => drop(self.unfinished.insert(message.clone())),
            None => self.unfinished_unnamed += 1,
        }
        let count = self.unfinished.len() + self.unfinished_unnamed;
        (count > self.limits.unfinished_max).then_some(match self.unfinished_content {
            ReplyContent::Empty => Repetition::EmptyReplies,
            ReplyContent::Present => Repetition::Unfinished,
        })
    }

    /// A call of the model ended in any other way.
    pub(crate) fn handle_progress(&mut self) {
        self.unfinished.clear();
        self.unfinished_unnamed = 0;
        self.unfinished_content = ReplyContent::Empty;
    }
}

/// Returns whether OpenCode calls the model again after a message that ended for this reason.
pub(crate) fn calls_again(reason: &FinishReason) -> bool {
    reason.expects_more() || *reason == FinishReason::UNKNOWN
}

fn hash_of(part: &ToolPart) -> u64 {
    let state = &part.state;
    let input = state.input().map(RawJson::as_str);
    let output = state.output().map(RawText::to_str);
    let mut hasher = DefaultHasher::new();
    (&part.tool, state.status(), input, output).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_event::{RunEvent, RunEventKind};

    const LIMITS: GuardLimits =
        GuardLimits { overflows_max: 2, repeated_calls_max: 2, unfinished_max: 2 };

    fn guard() -> RepetitionGuard {
        RepetitionGuard::new(LIMITS)
    }

    /// A call of a tool: the part's id, the tool, the arguments and the result.
    fn call(id: &str, tool: &str, input: &str, output: &str) -> ToolPart {
        let line = format!(
            r#"{{"type":"tool_use","part":{{"id":"{id}","tool":"{tool}","state":{{"status":"completed","input":{{"a":"{input}"}},"output":"{output}"}}}}}}"#
        );
        let event = RunEvent::decode(line.into());
        let RunEventKind::ToolUse(part) = event.kind else { panic!("{event:?}") };
        *part
    }

    #[test]
    fn a_row_of_overflows_ends_with_an_answer() {
        let mut guard = guard();
        assert_eq!((guard.handle_overflow(), guard.handle_overflow()), (None, None));
        guard.handle_answer();
        assert_eq!((guard.handle_overflow(), guard.handle_overflow()), (None, None));
        assert_eq!(guard.handle_overflow(), Some(Repetition::Overflows));
    }

    #[test]
    fn the_same_call_with_the_same_result_is_a_repetition() {
        let mut guard = guard();
        let repeated = Some(Repetition::RepeatedCalls { tool: "bash".into() });
        let mut make = |id: &str, tool: &str, input: &str, output: &str| {
            guard.handle_call(&call(id, tool, input, output))
        };
        assert_eq!(make("1", "bash", "ls", "x"), None);
        assert_eq!(make("2", "bash", "ls", "x"), None);
        assert_eq!(make("2", "bash", "ls", "x"), None, "the same part again is no new call");
        for (tool, input, output) in
            [("bash", "ls", "y"), ("bash", "ls -l", "y"), ("sh", "ls", "y")]
        {
            assert_eq!(make("3", tool, input, output), None);
        }
        assert_eq!(make("4", "bash", "ls", "x"), None, "another call in between starts a new row");
        assert_eq!(make("5", "bash", "ls", "x"), None);
        assert_eq!(make("6", "bash", "ls", "x"), repeated);
        assert_eq!(make("", "bash", "ls", "x"), repeated, "calls without an id count each");
    }

    #[test]
    fn a_row_of_unfinished_messages_ends_with_progress() {
        let mut guard = guard();
        let ids: Vec<MessageId> = ["a", "b", "c"].map(MessageId::from).into();
        for id in [&ids[0], &ids[1], &ids[1]] {
            assert_eq!(guard.handle_unfinished(Some(id), ReplyContent::Present), None);
        }
        assert_eq!(
            guard.handle_unfinished(Some(&ids[2]), ReplyContent::Present),
            Some(Repetition::Unfinished)
        );
        guard.handle_progress();
        assert_eq!(guard.handle_unfinished(Some(&ids[2]), ReplyContent::Present), None);
        assert_eq!(guard.handle_unfinished(None, ReplyContent::Present), None);
        assert_eq!(guard.handle_call(&call("1", "bash", "", "")), None, "a tool call is progress");
        assert_eq!(
            (
                guard.handle_unfinished(None, ReplyContent::Present),
                guard.handle_unfinished(None, ReplyContent::Present)
            ),
            (None, None)
        );
        assert_eq!(
            guard.handle_unfinished(None, ReplyContent::Present),
            Some(Repetition::Unfinished)
        );
    }

    #[test]
    fn a_row_of_messages_without_content_is_told_apart() {
        let empty =
            |guard: &mut RepetitionGuard| guard.handle_unfinished(None, ReplyContent::Empty);
        let mut guard = guard();
        assert_eq!((empty(&mut guard), empty(&mut guard)), (None, None));
        assert_eq!(empty(&mut guard), Some(Repetition::EmptyReplies));
        guard.handle_progress();
        assert_eq!(guard.handle_unfinished(None, ReplyContent::Present), None);
        assert_eq!(empty(&mut guard), None);
        assert_eq!(empty(&mut guard), Some(Repetition::Unfinished));
        assert_eq!(ReplyContent::of(0, false), ReplyContent::Empty);
        assert_eq!(ReplyContent::of(1, false), ReplyContent::Present);
        assert_eq!(ReplyContent::of(0, true), ReplyContent::Present);
    }

    #[test]
    fn opencode_calls_again_after_tools_and_after_no_reason() {
        for (reason, again) in
            [("tool-calls", true), ("unknown", true), ("stop", false), ("length", false)]
        {
            assert_eq!(calls_again(&FinishReason::from(reason)), again, "{reason}");
        }
    }
}
