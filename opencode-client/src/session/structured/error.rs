use std::fmt;

use opencode_proto::{Tokens, TurnOutcome};

use super::misfit::{Misfit, Problem};
use crate::runtime::describe::debug_as_chain;
use crate::session::turn::TurnError;

/// Why a schema cannot be used.
#[derive(Clone, thiserror::Error)]
#[error("the schema cannot be used: {problem}")]
#[non_exhaustive]
pub struct SchemaError {
    /// What is wrong with it, and where.
    pub problem: Problem,
}

debug_as_chain!(SchemaError);

impl SchemaError {
    pub(super) fn new(path: impl fmt::Display, message: impl Into<String>) -> Self {
        Self { problem: Problem::new(path, message) }
    }
}

/// Why there is no answer that fits.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum StructuredError {
    /// No answer fits, and the model was asked as often as it may be.
    #[error("no answer fits after {} tries: {}", turns.len(), last(misfits))]
    #[non_exhaustive]
    Misfit {
        /// Why the answers were not taken, one for each try.
        misfits: Vec<Misfit>,
        /// What the tries came to, in order.
        turns: Vec<TurnOutcome>,
    },
    /// The schema cannot be used. Nothing was posted.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A turn failed.
    #[error("try {} failed", turns.len() + 1)]
    #[non_exhaustive]
    Turn {
        /// How, with all that was gathered in it.
        source: Box<TurnError>,
        /// Why the answers before were not taken, one for each try.
        misfits: Vec<Misfit>,
        /// What the tries before came to, in order.
        turns: Vec<TurnOutcome>,
    },
    /// The request is none that a model answers in a form: a command, a command line, a prompt without a reply. Nothing
    /// was posted.
    #[error("only a prompt that is replied to can have an answer of a form")]
    Unsuitable,
}

debug_as_chain!(StructuredError);

impl StructuredError {
    /// What all tries came to, in order; the one that failed is the last.
    pub fn turns(&self) -> impl Iterator<Item = &TurnOutcome> {
        let (turns, failed) = match self {
            Self::Misfit { turns, .. } => (&**turns, None),
            Self::Turn { source, turns, .. } => (&**turns, source.outcome()),
            Self::Schema(_) | Self::Unsuitable => (&[][..], None),
        };
        turns.iter().chain(failed)
    }

    /// Why answers were not taken, in order.
    pub fn misfits(&self) -> &[Misfit] {
        match self {
            Self::Misfit { misfits, .. } | Self::Turn { misfits, .. } => misfits,
            Self::Schema(_) | Self::Unsuitable => &[],
        }
    }

    /// What all tries used, with their subagents.
    pub fn tokens(&self) -> Tokens {
        tokens(self.turns())
    }

    /// What all tries cost in US dollars, with their subagents.
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
    // Not `sum`, which makes a negative zero of nothing.
    turns.into_iter().fold(0.0, |sum, turn| sum + turn.spend().cost)
}
