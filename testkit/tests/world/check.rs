//! What has to be true, whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opencode_client::{Deadline, TurnEnd, TurnError, TurnEvent, TurnEventKind, TurnOutcome};
use testkit::world::{AskReply, Inhabitant, ModelServer, PromptEnd, PromptTruth, Weather};

use crate::plan::{Answering, Logging, Manner, Reading};

/// What everybody in a world writes down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    /// What was decided about an ask.
    decisions: BTreeMap<String, Vec<AskReply>>,
    /// What happened how often.
    counts: BTreeMap<String, u64>,
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn decide(&self, ask: &str, reply: AskReply) {
        self.lock().decisions.entry(ask.to_owned()).or_default().push(reply);
    }

    pub(crate) fn count(&self, what: impl Into<String>) {
        *self.lock().counts.entry(what.into()).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.lock().counts.clone()
    }
}

/// What the stream of a turn told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    text: String,
    /// What may be told once.
    once: BTreeSet<String>,
    pub(crate) asked: u64,
    gaps: u32,
}

impl Told {
    pub(crate) fn add(&mut self, event: &TurnEvent) {
        if let Some(text) = event.text() {
            self.text.push_str(&text);
        }
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
            _ => None,
        };
        if once.as_ref().is_some_and(|once| once.starts_with("asked")) {
            self.asked += 1;
        }
        // What another turn was to answer is told again when it is gone.
        if let Some(once) = once {
            assert!(!self.once.contains(&once), "told twice: {once}");
            self.once.insert(once);
        }
    }
}

/// A turn that is over.
pub(crate) struct Over<'a> {
    pub(crate) world: &'a Inhabitant,
    /// The server it ran on.
    pub(crate) port: u16,
    pub(crate) weather: Weather,
    pub(crate) text: &'a str,
    pub(crate) manner: &'a Manner,
    pub(crate) told: Option<Told>,
    pub(crate) is_cancelled: bool,
    /// Whether others of the same session may have disturbed it.
    pub(crate) is_alone: bool,
    pub(crate) elapsed: Duration,
    /// By how much the clock jumped meanwhile.
    pub(crate) jumped: Duration,
}

impl Over<'_> {
    /// Compares what the client says with what the server did.
    pub(crate) fn check(self, result: Result<TurnOutcome, TurnError>, book: &Book) {
        let text = self.text;
        let is_calm = self.weather == Weather::CALM;
        let outcome = match &result {
            Ok(outcome) => outcome,
            Err(TurnError::Ended(outcome)) => outcome,
            Err(TurnError::Log { outcome, .. }) => {
                assert_eq!(self.manner.log, Logging::Full, "{text}: a log that works fails");
                outcome
            }
            Err(TurnError::Events(end)) => {
                assert!(!is_calm, "{text}: no events in calm weather: {end}");
                return book.count("turn: no events");
            }
            Err(error) => panic!("{text}: {error}"),
        };
        book.count(format!("turn: {}", outcome.end.name()));
        self.world.note(format_args!("{text} ends: {}", outcome.end.name()));
        let truth = self.truth(outcome);
        match &outcome.end {
            TurnEnd::Completed => self.check_answer(outcome, truth.as_ref()),
            end => self.check_failure(end, truth.as_ref(), is_calm),
        }
        // Unless everything was looked up: then there was no event to write.
        let is_logged = self.manner.log == Logging::Full && outcome.gaps == 0;
        if is_logged && outcome.end.is_completed() {
            assert!(
                matches!(result, Err(TurnError::Log { .. })),
                "{text}: a full disk is not told"
            );
        }
        self.check_time(outcome);
    }

    /// What the server did. Of a server that was started again by somebody else, there is more than one.
    fn truth(&self, outcome: &TurnOutcome) -> Option<PromptTruth> {
        self.model()?.prompt(outcome.message.as_str())
    }

    fn model(&self) -> Option<ModelServer> {
        self.world.server_at(self.port)
    }

    fn check_answer(&self, outcome: &TurnOutcome, truth: Option<&PromptTruth>) {
        let text = self.text;
        let truth = truth.unwrap_or_else(|| panic!("{text}: completed, and never posted"));
        if !self.is_alone && truth.end != PromptEnd::Completed {
            // What was not answered itself is answered with the prompt that came after it.
            return;
        }
        assert_eq!(
            truth.end,
            PromptEnd::Completed,
            "{text}: completed, and the server knows better"
        );
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
        if let Some(told) = &self.told {
            assert_eq!(told.text, answer.full_text, "{text}: text by events");
            assert_eq!(told.gaps, outcome.gaps, "{text}: gaps");
        }
    }

    fn check_failure(&self, end: &TurnEnd, truth: Option<&PromptTruth>, is_calm: bool) {
        let text = self.text;
        let known = truth.map(|truth| truth.end);
        let is_explained = match end {
            TurnEnd::Aborted => known == Some(PromptEnd::Aborted) || !self.is_alone,
            TurnEnd::AgentError(_) => known == Some(PromptEnd::Failed) || !self.is_alone,
            TurnEnd::Cancelled => self.is_cancelled,
            TurnEnd::Rejected { .. } => known == Some(PromptEnd::Rejected) || !self.is_alone,
            TurnEnd::Torn => {
                // Between two steps, nothing says that it was aborted.
                matches!(known, Some(PromptEnd::Torn | PromptEnd::Aborted))
                    || !self.is_alone && known != Some(PromptEnd::Completed)
            }
            // Nobody knows, when the reply was lost.
            TurnEnd::NotPosted { .. } => !is_calm,
            TurnEnd::ServerLost { .. } => !is_calm,
            TurnEnd::TimedOut(Deadline::Overall) => {
                self.manner.overall.is_some_and(|overall| self.elapsed >= overall)
            }
            TurnEnd::TimedOut(Deadline::FirstEvent) => !is_calm,
            // Nothing is silent for so long but a server that waits for an answer, or a clock that jumps.
            TurnEnd::TimedOut(_) => self.jumped >= QUARTER || self.is_behind_another(),
            _ => false,
        };
        assert!(is_explained, "{text}: {end}, and the server says {known:?}");
    }

    /// Whether the session waits for an answer that is not this turn's to give: to a prompt that arrived when its own turn
    /// had been given up.
    fn is_behind_another(&self) -> bool {
        let model = self.model().unwrap();
        let prompts = model.prompts();
        let own = prompts.iter().find(|(_, prompt)| prompt.text == self.text);
        let is_own = |prompts: &[String]| own.is_some_and(|(message, _)| prompts.contains(message));
        model.asks().iter().any(|ask| ask.accepted.is_empty() && !is_own(&ask.prompts))
    }

    fn check_time(&self, outcome: &TurnOutcome) {
        let Some(overall) = self.manner.overall else { return };
        // While somebody thinks, nothing counts; and a turn is driven by who reads.
        let is_driven = self.manner.reading != Reading::Slow;
        let asked = self.told.as_ref().is_none_or(|told| told.asked > 0);
        let slow = matches!(self.manner.asks, Answering::Late | Answering::Never);
        let thinks = (slow || !self.is_alone) && asked;
        if !is_driven || thinks || self.manner.asks == Answering::ByReader && asked {
            return;
        }
        let limit = overall + ABORT_LIMIT + SLACK + self.world.jumped();
        let elapsed = self.elapsed;
        assert!(elapsed <= limit, "{}: {elapsed:?} of {overall:?}: {}", self.text, outcome.end);
    }
}

const QUARTER: Duration = Duration::from_secs(15 * 60);
const ABORT_LIMIT: Duration = Duration::from_secs(10);
/// Timers are late.
const SLACK: Duration = Duration::from_secs(12);

/// What has to be true of a server in the end.
pub(crate) fn server(model: &ModelServer, book: &Book) {
    let mut texts = BTreeMap::new();
    for (message, prompt) in model.prompts() {
        assert_eq!(prompt.posts, 1, "{:?} was posted {} times", prompt.text, prompt.posts);
        let before = texts.insert(prompt.text.clone(), message);
        assert_eq!(before, None, "{:?} was posted as two messages", prompt.text);
        book.count(format!("server: {:?}", prompt.end));
    }
    let pages = book.lock();
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
                assert!(is_decided, "{}: {accepted:?}, and decided was {decisions:?}", ask.id);
            }
            None => assert_eq!(*accepted, AskReply::Refused, "{}: nobody decided that", ask.id),
        }
    }
}
