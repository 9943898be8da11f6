use std::fmt;

use opencode_proto::{Tokens, TurnOutcome};

use super::misfit::{Misfit, Problem};
use crate::runtime::describe::debug_as_chain;
use crate::session::turn::TurnError;

/// Reason why a schema cannot be used.
#[derive(Clone, thiserror::Error)]
#[error("the schema cannot be used: {problem}")]
#[non_exhaustive]
pub struct SchemaError {
    /// Problem of the schema, with the path.
    pub problem: Problem,
}

debug_as_chain!(SchemaError);

impl SchemaError {
    pub(super) fn new(path: impl fmt::Display, message: impl Into<String>) -> Self {
        Self { problem: Problem::new(path, message) }
    }
}

/// Failure of a request for a structured answer.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StructuredError {
    /// No answer fits, and the limit of tries is reached.
    #[error("no answer fits after {} tries: {}", turns.len(), last(misfits))]
    #[non_exhaustive]
    Misfit {
        /// Reasons for the rejection of the answers, one for each try.
        misfits: Vec<Misfit>,
        /// Outcomes of the tries, in order.
        turns: Vec<TurnOutcome>,
    },
    /// The schema cannot be used. Nothing was posted.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A turn failed.
    #[error("try {} failed", turns.len() + 1)]
    #[non_exhaustive]
    Turn {
        /// Error of the turn, with everything gathered during the turn.
        source: Box<TurnError>,
        /// Reasons for the rejection of the earlier answers, one for each earlier try.
        misfits: Vec<Misfit>,
        /// Outcomes of the earlier tries, in order.
        turns: Vec<TurnOutcome>,
    },
    /// The request does not support a structured answer: a command, a shell command line, a prompt
    /// without a reply, or a prompt with an output format. Nothing was posted.
    #[error(
        "cannot request a structured answer: only a prompt with a reply and without an output \
         format supports one"
    )]
    Unsuitable,
}

debug_as_chain!(StructuredError);

impl StructuredError {
    /// Returns the outcomes of all tries, in order; a failed turn is the last.
    pub fn turns(&self) -> impl Iterator<Item = &TurnOutcome> {
        let (turns, failed) = match self {
            Self::Misfit { turns, .. } => (&**turns, None),
            Self::Turn { source, turns, .. } => (&**turns, source.outcome()),
            Self::Schema(_) | Self::Unsuitable => (&[][..], None),
        };
        turns.iter().chain(failed)
    }

    /// Returns the reasons for the rejection of the answers, in order.
    pub fn misfits(&self) -> &[Misfit] {
        match self {
            Self::Misfit { misfits, .. } | Self::Turn { misfits, .. } => misfits,
            Self::Schema(_) | Self::Unsuitable => &[],
        }
    }

    /// Returns the tokens used by all tries, including their subagents.
    pub fn tokens(&self) -> Tokens {
        tokens(self.turns())
    }

    /// Returns the cost of all tries in US dollars, including their subagents.
    pub fn cost(&self) -> f64 {
        cost(self.turns())
    }
}

fn last(misfits: &[Misfit]) -> String {
    misfits.last().map(ToString::to_string).unwrap_or_default()
}

pub(super) fn tokens<'a>(turns: impl IntoIterator<Item = &'a TurnOutcome>) -> Tokens {
    turns.into_iter().map(|turn| turn.spend().tokens).sum()
}

pub(super) fn cost<'a>(turns: impl IntoIterator<Item = &'a TurnOutcome>) -> f64 {
    // Not `sum`, which returns negative zero for an empty iterator.
    turns.into_iter().fold(0.0, |sum, turn| sum + turn.spend().cost)
}
