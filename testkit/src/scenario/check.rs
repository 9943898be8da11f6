//! Invariants that hold in every world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opencode_client::event::{Deadline, StreamedText};
use opencode_client::turn::Origin;
use opencode_client::{AgentError, TurnEnd, TurnError, TurnEvent, TurnEventKind, TurnOutcome};

use super::plan::{Answering, Joining, Logging, PostPlan, Reading, TurnPlan};
use crate::world::{AskReply, Inhabitant, PromptEnd, PromptTruth, Weather, WorldServer};

/// Decisions and counts that all users of a world record.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger(Arc<Mutex<LedgerPages>>);

#[derive(Debug, Default)]
struct LedgerPages {
    /// Replies that users decided on, by ask.
    decisions: BTreeMap<String, Vec<AskReply>>,
    /// Number of occurrences, by kind.
    counts: BTreeMap<String, u64>,
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, LedgerPages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn decide(&self, ask: &str, reply: AskReply) {
        self.lock().decisions.entry(ask.to_owned()).or_default().push(reply);
    }

    pub(super) fn count(&self, kind: impl Into<String>) {
        *self.lock().counts.entry(kind.into()).or_default() += 1;
    }

    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        self.lock().counts.clone()
    }
}

/// Events of a turn's stream, as far as the checks need them.
#[derive(Debug, Default)]
pub(super) struct StreamRecord {
    text: StreamedText,
    /// Events that may occur once.
    once: BTreeSet<String>,
    pub(super) asked: u64,
    gaps: u32,
    /// Announcements of a next attempt at a model call of the turn's own session.
    retries: u64,
    /// Compactions of the turn's own session.
    compactions: u64,
}

impl StreamRecord {
    pub(super) fn add(&mut self, event: &TurnEvent) {
        self.text.handle_turn_event(event);
        let once = match &event.kind {
            TurnEventKind::PartAdded(part) => Some(format!("added {:?}", part.key().part)),
            TurnEventKind::PartFinal { part, .. } => Some(format!("final {:?}", part.key().part)),
            TurnEventKind::Posted(message) => Some(format!("posted {message}")),
            TurnEventKind::ChildStarted(child) => Some(format!("child {}", child.id)),
            TurnEventKind::PermissionAsked(ask) => Some(format!("asked {}", ask.id)),
            TurnEventKind::QuestionAsked(ask) => Some(format!("asked {}", ask.id)),
            TurnEventKind::StepFinished(step) => Some(format!("step {:?}", step.key.part)),
            TurnEventKind::ConnectionLost(_) => {
                self.gaps += 1;
                None
            }
            TurnEventKind::Retrying { .. } if event.origin == Origin::Session => {
                self.retries += 1;
                None
            }
            TurnEventKind::Compacted if event.origin == Origin::Session => {
                self.compactions += 1;
                None
            }
            _ => None,
        };
        if once.as_ref().is_some_and(|once| once.starts_with("asked")) {
            self.asked += 1;
        }
        // An ask that another turn was to answer is published again when that turn is gone.
        if let Some(once) = once {
            assert!(!self.once.contains(&once), "published twice: {once}");
            self.once.insert(once);
        }
    }
}

/// A turn that ended, with the circumstances.
pub(super) struct CheckedTurn<'a> {
    pub(super) world: &'a Inhabitant,
    /// Port of the server that ran the turn.
    pub(super) port: u16,
    pub(super) weather: Weather,
    pub(super) session: &'a str,
    pub(super) text: &'a str,
    pub(super) plan: &'a TurnPlan,
    pub(super) record: Option<StreamRecord>,
    pub(super) is_cancelled: bool,
    /// Set when no other turn of the session ran at the same time.
    pub(super) is_alone: bool,
    pub(super) elapsed: Duration,
    /// Sum of the clock jumps during the turn.
    pub(super) jumped: Duration,
}

impl CheckedTurn<'_> {
    /// Compares the outcome with the record of the server.
    pub(super) fn check(self, result: Result<TurnOutcome, TurnError>, ledger: &Ledger) {
        let text = self.text;
        let is_calm = self.weather == Weather::CALM;
        let outcome = match &result {
            Ok(outcome) => outcome,
            Err(TurnError::Ended(outcome)) => outcome,
            Err(TurnError::Log { outcome, .. }) => {
                assert_eq!(self.plan.log, Logging::Full, "{text}: a working log fails");
                outcome
            }
            Err(TurnError::Events(end)) => {
                assert!(!is_calm, "{text}: no events in calm weather: {end}");
                return ledger.count("turn: no events");
            }
            Err(error) => panic!("{text}: {error}"),
        };
        ledger.count(format!("turn: {}", outcome.end.name()));
        (0..outcome.gaps).for_each(|_| ledger.count("turn: gap in the events"));
        self.world.note(format_args!("{text} ends: {}", outcome.end.name()));
        let truth = self.truth(outcome);
        match &outcome.end {
            TurnEnd::Completed => self.check_answer(outcome, truth.as_ref()),
            _ => self.check_failure(outcome, truth.as_ref(), is_calm),
        }
        // A turn that was read from snapshots after a gap had no event to log.
        let is_logged = self.plan.log == Logging::Full && self.gaps(outcome) == 0;
        if is_logged && outcome.end.is_completed() {
            assert!(
                matches!(result, Err(TurnError::Log { .. })),
                "{text}: the full disk is not reported"
            );
        }
        self.check_time(outcome);
    }

    /// Number of gaps. A turn that was followed later begins with one.
    fn gaps(&self, outcome: &TurnOutcome) -> u32 {
        outcome.gaps + u32::from(self.plan.joining != Joining::FromTheStart)
    }

    /// Record of the prompt at the last server that listened on this port.
    fn truth(&self, outcome: &TurnOutcome) -> Option<PromptTruth> {
        self.model()?.prompt(outcome.message.as_str())
    }

    fn is_deleted(&self) -> bool {
        self.model().is_some_and(|model| model.is_deleted(self.session))
    }

    /// Returns whether events arrive soon after they are published.
    fn has_steady_network(&self) -> bool {
        let Weather { hung, broken, slow, jumps, slow_replies, .. } = self.weather;
        hung + broken + slow + jumps + slow_replies == 0
    }

    /// Returns whether another client or a plugin may prompt the session.
    fn has_others(&self) -> bool {
        let activity = self.world.activity();
        activity.rivals > 0 || activity.plugin_prompts > 0
    }

    /// Returns whether the server can list the messages of the session.
    fn is_listable(&self) -> bool {
        self.model().is_none_or(|model| model.is_listable(self.text))
    }

    fn model(&self) -> Option<WorldServer> {
        self.world.server_at(self.port)
    }

    fn check_answer(&self, outcome: &TurnOutcome, truth: Option<&PromptTruth>) {
        let text = self.text;
        let truth = truth.unwrap_or_else(|| panic!("{text}: completed, but was never posted"));
        let gaps = self.gaps(outcome);
        assert_eq!(
            truth.end,
            PromptEnd::Completed,
            "{text}: completed, but not according to the server"
        );
        self.check_group(outcome, truth);
        let is_missed = gaps > 0 && self.has_others();
        if self.plan.post == PostPlan::Structured && !is_missed {
            let structured = outcome.structured().map(|output| output.as_str().to_owned());
            let expected = truth.structured.map(|number| format!("{{\"x\":{number}}}"));
            assert_eq!(structured, expected, "{text}: structured output");
        }
        if !self.is_listable() && gaps > 0 {
            // OpenCode cannot list the messages of the session, so what a gap swallowed is lost.
            return;
        }
        let answer = self.model().unwrap().answer(outcome.message.as_str());
        assert_eq!(outcome.full_text(), answer.full_text, "{text}: all text");
        assert_eq!(outcome.text(), answer.text, "{text}: text");
        let tools: Vec<_> = outcome
            .tools()
            .map(|tool| (tool.call.to_string(), tool.state.status().to_owned()))
            .collect();
        assert_eq!(tools, answer.tools, "{text}: tools");
        assert_eq!(outcome.tokens().total, answer.tokens, "{text}: tokens");
        let cost = format!("{:.0}", outcome.cost() * 1e6);
        assert_eq!(cost, answer.cost.to_string(), "{text}: cost");
        if let Some(record) = &self.record {
            assert_eq!(record.text.to_str(), answer.full_text, "{text}: text by events");
            assert_eq!(record.gaps, outcome.gaps, "{text}: gaps");
            if gaps == 0 && self.is_alone {
                // A stream that is slow or dead may be overtaken by a look.
                let is_exact = self.has_steady_network();
                for (name, told, happened) in [
                    ("retries", record.retries, truth.retries),
                    ("compactions", record.compactions, truth.compactions),
                ] {
                    assert!(told <= happened, "{text}: {told} {name}, but {happened} happened");
                    assert!(told == happened || !is_exact, "{text}: {told} {name} of {happened}");
                }
            }
        }
    }

    /// Checks which other prompts the answer was for.
    fn check_group(&self, outcome: &TurnOutcome, truth: &PromptTruth) {
        let text = self.text;
        let own = outcome.message.as_str();
        let others: Vec<&str> = outcome.answered_with.iter().map(|id| id.as_str()).collect();
        let model = self.model().unwrap();
        for other in &others {
            // The other prompt may have become a message that OpenCode inserted before the turn.
            let is_prompt = model.prompt(other).is_some();
            let is_known = *other != own && truth.group.iter().any(|prompt| prompt == other);
            assert!(is_known || !is_prompt, "{text}: answered with {other}: {truth:?}");
        }
        // Prompts before the turn's own may have been there before the turn.
        let later = truth.group.iter().skip_while(|prompt| *prompt != own).skip(1);
        let is_complete = later.clone().all(|prompt| others.contains(&prompt.as_str()));
        // An answer after a gap names the last of several prompts only.
        assert!(
            is_complete || self.gaps(outcome) > 0,
            "{text}: answered with {others:?}: {truth:?}"
        );
        // A compaction in between goes on with a message that names none of the prompts.
        let is_own = later.count() == 0 || truth.compactions > 0;
        assert!(is_own || !self.is_taken_over(truth), "{text}: another prompt got the answer");
        (0..others.len()).for_each(|_| self.world.note(format_args!("{text} has company")));
    }

    /// Returns whether the answer was begun for the prompt, and finished for one of another client.
    fn is_taken_over(&self, truth: &PromptTruth) -> bool {
        let model = self.model().unwrap();
        let last = truth.group.last().and_then(|last| model.prompt(last));
        last.is_some_and(|last| {
            last.text != truth.text
                && is_foreign(&last.text)
                && last.answers.first() != truth.answers.first()
        })
    }

    /// Returns whether the answer to the prompt became that to the other prompt.
    fn is_answered_by(&self, prompt: &str, gaps: u32, truth: Option<&PromptTruth>) -> bool {
        let other = self.model().and_then(|model| model.prompt(prompt));
        let (Some(truth), Some(other)) = (truth, other) else { return false };
        let is_same = truth.group.last().is_some_and(|last| last == prompt);
        match gaps {
            0 => is_same && truth.end == PromptEnd::Completed && self.is_taken_over(truth),
            _ => other.end == PromptEnd::Completed,
        }
    }

    /// Returns whether the error is that of another prompt of the session, and this prompt was never
    /// worked on.
    fn is_of_another(&self, error: &AgentError, truth: Option<&PromptTruth>) -> bool {
        let message = error.to_string();
        let is_failed = self
            .prompts_that(PromptEnd::Failed)
            .any(|(_, prompt)| message.contains(&format!("{} is refused", prompt.text)));
        truth.is_some_and(|truth| truth.answers.is_empty())
            && (is_failed || message.contains("no summaries"))
    }

    /// Returns whether the agent stopped at a refusal while it worked on a later prompt.
    fn is_later_rejected(&self, outcome: &TurnOutcome) -> bool {
        self.prompts_that(PromptEnd::Rejected)
            .any(|(message, _)| outcome.answered_with.iter().any(|it| *it == *message))
    }

    /// Returns the prompts of the session that ended so, with their message ids.
    fn prompts_that(&self, end: PromptEnd) -> impl Iterator<Item = (String, PromptTruth)> {
        let prompts = self.model().map(|model| model.prompts()).unwrap_or_default();
        let session = self.session;
        prompts.into_iter().filter(move |(_, it)| it.session == session && it.end == end)
    }

    fn check_failure(&self, outcome: &TurnOutcome, truth: Option<&PromptTruth>, is_calm: bool) {
        let text = self.text;
        let (end, gaps) = (&outcome.end, self.gaps(outcome));
        let known = truth.map(|truth| truth.end);
        let may_miss = gaps > 0 || !self.has_steady_network();
        let is_explained = match end {
            TurnEnd::Aborted => match known {
                Some(PromptEnd::Aborted) => true,
                // The report of the disposal was missed.
                Some(PromptEnd::Disposed) => may_miss,
                Some(PromptEnd::Torn) => self.has_others() && gaps > 0,
                _ => false,
            },
            TurnEnd::AgentError(error) => match known {
                Some(PromptEnd::Failed) => true,
                // The prompt arrived while the work on the one before failed, and was left.
                Some(PromptEnd::Torn) => self.is_of_another(error, truth),
                // The summary failed that was to take the place of the answer.
                Some(PromptEnd::Replaced) => self.world.activity().refused_summaries > 0,
                _ => false,
            },
            TurnEnd::AnsweredByAnother { prompt, .. } => {
                self.is_answered_by(prompt.as_str(), gaps, truth)
            }
            TurnEnd::Cancelled => self.is_cancelled,
            TurnEnd::Disposed => match known {
                Some(PromptEnd::Disposed) => true,
                Some(PromptEnd::Aborted | PromptEnd::Torn) => gaps > 0,
                _ => !self.is_listable() && may_miss,
            },
            TurnEnd::Rejected { .. } => match known {
                Some(PromptEnd::Rejected) => true,
                // What was missed decides whether a later prompt was worked on alone.
                Some(PromptEnd::Torn) => gaps > 0 && self.is_later_rejected(outcome),
                _ => false,
            },
            TurnEnd::Torn => match known {
                // Between two steps no event shows that the turn was aborted.
                Some(PromptEnd::Torn | PromptEnd::Aborted) => true,
                Some(PromptEnd::Disposed | PromptEnd::Replaced) => may_miss,
                // The error was reported before the turn was followed.
                Some(PromptEnd::Failed) if self.plan.joining != Joining::FromTheStart => true,
                _ => !self.is_listable() && may_miss,
            },
            TurnEnd::NothingToFollow(_) => {
                self.plan.joining != Joining::FromTheStart
                    && (known.is_none() || !self.is_listable())
            }
            // The reply to the post was lost.
            TurnEnd::NotPosted { .. } => !is_calm,
            TurnEnd::ServerLost { .. } => !is_calm,
            TurnEnd::TimedOut { deadline: Deadline::Overall, .. } => {
                self.plan.overall.is_some_and(|overall| self.elapsed >= overall)
            }
            TurnEnd::TimedOut { deadline: Deadline::FirstEvent, .. } => !is_calm,
            TurnEnd::SessionDeleted | TurnEnd::Refused(_) if self.is_deleted() => true,
            // The session was busy with a prompt of another client, or with one that was dropped on
            // its way.
            TurnEnd::Refused(_) => {
                let may_be_late = !self.has_steady_network();
                self.plan.post == PostPlan::Shell && (self.has_others() || may_be_late)
            }
            // The deadline of the first event counts until an event arrives.
            TurnEnd::ReplacedBySummary => {
                known == Some(PromptEnd::Replaced) || self.has_others() && gaps > 0
            }
            TurnEnd::RetryTooLate { failure: Some(_), .. } => {
                self.plan.overall.is_some() || !is_calm || self.has_others()
            }
            // Only a server that waits for an answer, or a clock that jumps, is silent for so long.
            TurnEnd::TimedOut { .. } => {
                let has_long_retries = self.world.activity().broken_attempts > 0;
                let is_silent =
                    self.jumped >= QUARTER || self.jumped > Duration::ZERO && has_long_retries;
                is_silent || self.is_behind_another()
            }
            _ => false,
        };
        assert!(is_explained, "{text}: {end}, but the server recorded {known:?}");
    }

    /// Returns whether the session waits for a reply that this turn does not owe: to an ask of a
    /// prompt that arrived after the turn of the prompt was given up.
    fn is_behind_another(&self) -> bool {
        let model = self.model().unwrap();
        let prompts = model.prompts();
        let own = prompts.iter().find(|(_, prompt)| prompt.text == self.text);
        let is_own = |prompts: &[String]| own.is_some_and(|(message, _)| prompts.contains(message));
        model.asks().iter().any(|ask| ask.accepted.is_empty() && !is_own(&ask.prompts))
    }

    fn check_time(&self, outcome: &TurnOutcome) {
        let Some(overall) = self.plan.overall else { return };
        // Deadlines pause while an ask is open, and a turn makes progress only while it is polled.
        let is_driven = self.plan.reading != Reading::Slow;
        let asked = self.record.as_ref().is_none_or(|record| record.asked > 0);
        let slow = matches!(self.plan.asks, Answering::Late | Answering::Never);
        let thinks = (slow || !self.is_alone) && asked;
        if !is_driven || thinks || self.plan.asks == Answering::ByReader && asked {
            return;
        }
        let abort_limit = if self.is_cancelled { ABORT_LIMIT } else { DEADLINE_LIMIT };
        let limit = overall + abort_limit + SLACK + self.world.jumped();
        let elapsed = self.elapsed;
        assert!(elapsed <= limit, "{}: {elapsed:?} of {overall:?}: {}", self.text, outcome.end);
    }
}

/// Returns whether another client or a plugin posted the prompt.
fn is_foreign(text: &str) -> bool {
    text.contains("rival") || text.starts_with("plugin")
}

const QUARTER: Duration = Duration::from_secs(15 * 60);
const ABORT_LIMIT: Duration = Duration::from_secs(10);
/// Time in which the outcome comes after a deadline.
const DEADLINE_LIMIT: Duration = Duration::from_secs(1);
/// Allowance for late timers.
const SLACK: Duration = Duration::from_secs(12);

/// Checks the records of a server at the end of a world.
pub(super) fn server(model: &WorldServer, ledger: &Ledger) {
    let mut texts = BTreeMap::new();
    for (message, prompt) in model.prompts() {
        assert_eq!(prompt.posts, 1, "{:?} was posted {} times", prompt.text, prompt.posts);
        let before = texts.insert(prompt.text.clone(), message);
        assert_eq!(before, None, "{:?} was posted as two messages", prompt.text);
        ledger.count(format!("prompt: {:?}", prompt.end));
    }
    let pages = ledger.lock();
    for ask in model.asks() {
        assert!(ask.accepted.len() <= 1, "{}: answered twice: {:?}", ask.id, ask.accepted);
        let Some(accepted) = ask.accepted.first() else { continue };
        match pages.decisions.get(&ask.id) {
            Some(decisions) => {
                let same = |decision: &AskReply| match (decision, accepted) {
                    (AskReply::RefusedWith(_), AskReply::RefusedWith(_)) => true,
                    (one, other) => one == other,
                };
                let is_decided = decisions.iter().any(same) || *accepted == AskReply::Refused;
                assert!(is_decided, "{}: {accepted:?}, but decided was {decisions:?}", ask.id);
            }
            None => assert_eq!(*accepted, AskReply::Refused, "{}: without a decision", ask.id),
        }
    }
}
