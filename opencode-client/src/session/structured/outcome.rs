use opencode_proto::{RawJson, Tokens, TurnOutcome};
use serde::de::DeserializeOwned;

use super::error::{StructuredError, cost, tokens};
use super::misfit::{Misfit, Problem};

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
