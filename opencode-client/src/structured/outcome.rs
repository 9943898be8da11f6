use opencode_proto::{RawJson, Tokens, TurnOutcome};
use serde::de::DeserializeOwned;

use super::misfit::{Misfit, Problem};
use super::schema::SchemaError;
use crate::turn_stream::TurnError;

/// An answer that fits, and what it took.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StructuredOutcome {
    /// The answer.
    pub value: RawJson,
    /// What the tries came to, in order. The last one gave the answer.
    pub turns: Vec<TurnOutcome>,
    /// Why the answers of the others were not taken, one for each.
    pub misfits: Vec<Misfit>,
}

/// Why there is no answer that fits.
#[derive(Debug, thiserror::Error)]
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

impl StructuredOutcome {
    /// The answer as this type. It can be read as the type that it was checked for.
    ///
    /// # Errors
    ///
    /// Where it does not have the shape of `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.value.decode()
    }

    /// What all tries used, with their subagents.
    pub fn tokens(&self) -> Tokens {
        tokens(&self.turns)
    }

    /// What all tries cost in US dollars, with their subagents.
    pub fn cost(&self) -> f64 {
        cost(&self.turns)
    }

    /// It does not fit after all.
    #[cfg_attr(not(feature = "schema"), expect(dead_code, reason = "for types with a schema"))]
    pub(super) fn into_misfit(mut self, problem: Problem) -> StructuredError {
        self.misfits.push(Misfit::unfit(self.value, vec![problem]));
        StructuredError::Misfit { misfits: self.misfits, turns: self.turns }
    }
}

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

fn tokens<'a>(turns: impl IntoIterator<Item = &'a TurnOutcome>) -> Tokens {
    turns.into_iter().map(|turn| turn.spend().tokens).sum()
}

fn cost<'a>(turns: impl IntoIterator<Item = &'a TurnOutcome>) -> f64 {
    // Not `sum`, which makes a negative zero of nothing.
    turns.into_iter().fold(0.0, |sum, turn| sum + turn.spend().cost)
}
