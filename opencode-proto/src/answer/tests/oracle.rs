//! The answer equals a plain recomputation over all events, after every single event.

use std::mem;

use proptest::prelude::*;

use super::*;

/// An event in few words. An id of `None` is left out; parts of one kind share ids, parts of two
/// kinds never do.
#[derive(Clone, Debug)]
enum Said {
    Continuation(Ids),
    Error,
    Finish(Ids, &'static str, u64),
    Overflow,
    Plain(String),
    Reasoning(Ids, String),
    Start(Ids),
    Synthetic(Ids),
    Text(Ids, String),
    Tool(Ids, String),
}

#[derive(Clone, Copy, Debug)]
struct Ids {
    part: Option<u8>,
    message: Option<u8>,
}

proptest! {
    #[test]
    fn adding_events_equals_recomputing_everything(
        events in prop::collection::vec(said(), 0..40),
    ) {
        let mut answer = Answer::new();
        for told in 1..=events.len() {
            answer.apply(&read(&events[told - 1].line()));
            compare(&answer, &Recomputed::of(&events[..told]))?;
        }
    }
}

fn compare(answer: &Answer, expected: &Recomputed) -> Result<(), TestCaseError> {
    prop_assert_eq!(answer.text(), expected.text.as_str());
    prop_assert_eq!(answer.full_text(), expected.full_text.as_str());
    prop_assert_eq!(answer.reasoning(), expected.reasoning.as_str());
    prop_assert_eq!(outputs(answer), &expected.outputs[..]);
    prop_assert_eq!(answer.tokens().total, expected.tokens);
    prop_assert_eq!(answer.cost(), expected.tokens as f64);
    prop_assert_eq!(answer.tail(), expected.tail);
    prop_assert_eq!(answer.errors().len(), expected.errors);
    prop_assert_eq!(answer.steps().len(), expected.steps);
    Ok(())
}

#[derive(Debug)]
struct Recomputed {
    text: String,
    full_text: String,
    reasoning: String,
    outputs: Vec<String>,
    tokens: u64,
    errors: usize,
    steps: usize,
    tail: Tail,
}

impl Recomputed {
    fn of(events: &[Said]) -> Self {
        let events = &told_once(events)[..];
        let steps = steps(events);
        let answers = || steps.iter().filter(|step| !is_summary(step, &steps, events));
        let text = |step: &Vec<usize>| said_in(&lasting(step, events), events, Said::text);
        let plain = || {
            let lines: Vec<_> = events.iter().filter_map(Said::plain).collect();
            if steps.is_empty() { lines.join("\n") } else { String::new() }
        };
        let full_text: String = answers().map(text).collect();
        let last_text = answers().map(text).rfind(|text| !text.is_empty());
        Self {
            text: last_text.unwrap_or_else(plain),
            full_text: if full_text.is_empty() { plain() } else { full_text },
            reasoning: answers()
                .map(|step| said_in(&lasting(step, events), events, Said::reasoning))
                .collect(),
            outputs: events.iter().filter_map(Said::output).map(str::to_owned).collect(),
            tokens: events.iter().filter_map(Said::tokens).sum(),
            errors: errors(events),
            steps: steps.len(),
            tail: tail(events),
        }
    }
}

/// Every part once: at the place of its first event, with the content of the last.
fn told_once(events: &[Said]) -> Vec<Said> {
    let mut once: Vec<Said> = Vec::new();
    for event in events {
        match once.iter_mut().find(|earlier| earlier.is_same_part(event)) {
            Some(earlier) => earlier.say_again(event),
            None => once.push(event.clone()),
        }
    }
    once
}

/// Returns the events of each step, by their places.
fn steps(events: &[Said]) -> Vec<Vec<usize>> {
    let mut steps: Vec<Vec<usize>> = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let Some(ids) = event.step_ids() else { continue };
        let of_message = |step: &&mut Vec<usize>| {
            step.iter().any(|at| events[*at].step_ids().unwrap().message == ids.message)
        };
        let is_open =
            |step: &&mut Vec<usize>| step.iter().all(|at| !matches!(events[*at], Said::Finish(..)));
        let step = match ids.message {
            Some(_) => steps.iter_mut().find(of_message),
            None => steps.last_mut().filter(is_open),
        };
        match step {
            Some(step) => step.push(at),
            None => steps.push(vec![at]),
        }
    }
    steps
}

/// Returns the events of a step without those of abandoned attempts: what stands between a start
/// and another start of the same message, with no finish in between.
fn lasting(step: &[usize], events: &[Said]) -> Vec<usize> {
    let (mut lasting, mut attempt, mut is_started) = (Vec::new(), Vec::new(), false);
    for at in step {
        if let Said::Start(ids) = &events[*at] {
            if is_started && ids.message.is_some() {
                attempt.clear();
            }
            is_started = true;
        } else if let Said::Finish(..) = &events[*at] {
            lasting.append(&mut attempt);
            is_started = false;
        } else {
            attempt.push(*at);
        }
    }
    lasting.append(&mut attempt);
    lasting
}

/// Returns whether a continuation came between this step's beginning and the next one's, or an
/// overflow between the beginning of the step before and this one's.
fn is_summary(step: &[usize], steps: &[Vec<usize>], events: &[Said]) -> bool {
    let begun = || steps.iter().map(|step| step[0]);
    let since = begun().filter(|at| *at < step[0]).max().unwrap_or_default();
    let next = begun().find(|at| *at > step[0]).unwrap_or(events.len());
    events[since..step[0]].iter().any(|event| matches!(event, Said::Overflow))
        || events[step[0]..next].iter().any(|event| matches!(event, Said::Continuation(_)))
}

fn said_in(step: &[usize], events: &[Said], what: fn(&Said) -> Option<&str>) -> String {
    step.iter().filter_map(|at| what(&events[*at])).collect()
}

/// Returns the number of failures. One that is reported again, with no step in between, counts
/// once.
fn errors(events: &[Said]) -> usize {
    let mut counted: Vec<usize> = Vec::new();
    for (at, event) in events.iter().enumerate().filter(|(_, event)| event.is_error()) {
        let is_again = counted.last().is_some_and(|last| {
            mem::discriminant(&events[*last]) == mem::discriminant(event)
                && tail(&events[..at]) == Tail::Failed
                && steps(&events[..*last]).len() == steps(&events[..at]).len()
        });
        if !is_again {
            counted.push(at);
        }
    }
    counted.len()
}

/// Returns the tail after all events.
fn tail(events: &[Said]) -> Tail {
    let mut tail = Tail::Nothing;
    for (at, event) in events.iter().enumerate() {
        if event.is_error() {
            tail = Tail::Failed;
        }
        if let Said::Start(_) = event {
            tail = Tail::StepOpen;
        }
        if let (Said::Continuation(_), Tail::Answered) = (event, tail) {
            tail = Tail::StepOpen;
        }
        if let Said::Finish(_, reason, _) = event {
            let events = &events[..=at];
            let steps = steps(events);
            let finished = steps.iter().find(|step| step.contains(&at)).unwrap();
            tail = match (*reason, tail) {
                _ if is_summary(finished, &steps, events) => Tail::Failed,
                (FinishReason::TOOL_CALLS, _) => Tail::ToolsCalled,
                (FinishReason::ERROR, Tail::Failed) => Tail::Failed,
                _ => Tail::Answered,
            };
        }
    }
    tail
}

impl Said {
    fn ids(&self) -> Option<&Ids> {
        match self {
            Self::Error | Self::Overflow | Self::Plain(_) => None,
            Self::Continuation(ids)
            | Self::Finish(ids, ..)
            | Self::Reasoning(ids, _)
            | Self::Start(ids)
            | Self::Synthetic(ids)
            | Self::Text(ids, _)
            | Self::Tool(ids, _) => Some(ids),
        }
    }

    /// Returns the ids of an event that belongs to a call of the model.
    fn step_ids(&self) -> Option<&Ids> {
        self.ids().filter(|_| !matches!(self, Self::Continuation(_) | Self::Synthetic(_)))
    }

    fn is_error(&self) -> bool {
        matches!(self, Self::Error | Self::Overflow)
    }

    fn is_same_part(&self, other: &Self) -> bool {
        let id = |said: &Self| said.ids().and_then(|ids| ids.part);
        mem::discriminant(self) == mem::discriminant(other)
            && id(self).is_some()
            && id(self) == id(other)
    }

    fn say_again(&mut self, other: &Self) {
        match (self, other) {
            (Self::Finish(_, _, tokens), Self::Finish(_, _, again)) => *tokens = *again,
            (Self::Reasoning(_, said), Self::Reasoning(_, again))
            | (Self::Text(_, said), Self::Text(_, again))
            | (Self::Tool(_, said), Self::Tool(_, again)) => said.clone_from(again),
            _ => {}
        }
    }

    fn text(&self) -> Option<&str> {
        if let Self::Text(_, text) = self { Some(text) } else { None }
    }

    fn reasoning(&self) -> Option<&str> {
        if let Self::Reasoning(_, text) = self { Some(text) } else { None }
    }

    fn output(&self) -> Option<&str> {
        if let Self::Tool(_, output) = self { Some(output) } else { None }
    }

    fn plain(&self) -> Option<&str> {
        if let Self::Plain(line) = self { Some(line) } else { None }
    }

    fn tokens(&self) -> Option<u64> {
        if let Self::Finish(_, _, tokens) = self { Some(*tokens) } else { None }
    }

    fn line(&self) -> String {
        match self {
            Self::Continuation(ids) => {
                let rest =
                    r#""text":"go on","synthetic":true,"metadata":{"compaction_continue":true}"#;
                ids.line("text", 'n', rest)
            }
            Self::Error => ERROR.to_owned(),
            Self::Overflow => OVERFLOW.to_owned(),
            Self::Finish(ids, reason, tokens) => {
                let rest =
                    format!(r#""reason":"{reason}","tokens":{{"total":{tokens}}},"cost":{tokens}"#);
                ids.line("step_finish", 'f', &rest)
            }
            Self::Plain(line) => line.clone(),
            Self::Reasoning(ids, text) => {
                ids.line("reasoning", 'r', &format!(r#""text":"{text}""#))
            }
            Self::Start(ids) => ids.line("step_start", 's', r#""x":0"#),
            Self::Synthetic(ids) => ids.line("text", 'y', r#""text":"?","synthetic":true"#),
            Self::Text(ids, text) => ids.line("text", 't', &format!(r#""text":"{text}""#)),
            Self::Tool(ids, output) => {
                let rest = format!(
                    r#""tool":"bash","state":{{"status":"completed","output":"{output}"}}"#
                );
                ids.line("tool_use", 'c', &rest)
            }
        }
    }
}

impl Ids {
    fn line(&self, event_type: &str, kind: char, rest: &str) -> String {
        let part = self.part.map(|id| format!(r#""id":"{kind}{id}","#)).unwrap_or_default();
        let message = self.message.map(|id| format!(r#""messageID":"m{id}","#)).unwrap_or_default();
        format!(r#"{{"type":"{event_type}","part":{{{part}{message}{rest}}}}}"#)
    }
}

fn said() -> impl Strategy<Value = Said> {
    let ids = || {
        (prop::option::weighted(0.8, 0u8..8), prop::option::weighted(0.8, 0u8..4))
            .prop_map(|(part, message)| Ids { part, message })
    };
    prop_oneof![
        1 => ids().prop_map(Said::Continuation),
        1 => Just(Said::Error),
        1 => Just(Said::Overflow),
        3 => (ids(), 0u64..1000).prop_map(|(ids, tokens)| Said::Finish(ids, reason(ids), tokens)),
        1 => "[a-z]{1,3}".prop_map(Said::Plain),
        2 => (ids(), "[a-z]{0,3}").prop_map(|(ids, text)| Said::Reasoning(ids, text)),
        3 => ids().prop_map(Said::Start),
        1 => ids().prop_map(Said::Synthetic),
        4 => (ids(), "[a-z]{0,3}").prop_map(|(ids, text)| Said::Text(ids, text)),
        2 => (ids(), "[a-z]{0,3}").prop_map(|(ids, output)| Said::Tool(ids, output)),
    ]
}

/// Returns the reason of a call's finish, which is the same in every copy.
fn reason(ids: Ids) -> &'static str {
    let reasons =
        [FinishReason::STOP, FinishReason::TOOL_CALLS, FinishReason::STOP, FinishReason::ERROR];
    reasons[usize::from(ids.part.or(ids.message).unwrap_or_default()) % reasons.len()]
}
