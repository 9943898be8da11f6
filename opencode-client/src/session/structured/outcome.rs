use opencode_proto::{RawJson, Tokens, TurnOutcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{StructuredError, cost, tokens};
use super::misfit::{Misfit, Problem};

/// A structured answer that fits, with the turns that led to the answer.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StructuredOutcome {
    /// The answer as JSON.
    pub value: RawJson,
    /// Outcomes of the tries, in order. The last try gave the answer.
    pub turns: Vec<TurnOutcome>,
    /// Reasons for the rejection of the earlier answers, one for each earlier try.
    pub misfits: Vec<Misfit>,
}

impl StructuredOutcome {
    /// Parses the answer as `T`. Parsing as the type that the answer was checked for succeeds.
    ///
    /// # Errors
    ///
    /// Fails when the answer does not have the shape of `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        self.value.decode()
    }

    /// Returns the tokens used by all tries, including their subagents.
    pub fn tokens(&self) -> Tokens {
        tokens(&self.turns)
    }

    /// Returns the cost of all tries in US dollars, including their subagents.
    pub fn cost(&self) -> f64 {
        cost(&self.turns)
    }

    /// Turns the outcome into an error when the answer does not fit after all.
    #[cfg_attr(not(feature = "schema"), expect(dead_code, reason = "for types with a schema"))]
    pub(super) fn into_misfit(mut self, problem: Problem) -> StructuredError {
        self.misfits.push(Misfit::unfit(self.value, vec![problem]));
        StructuredError::Misfit { misfits: self.misfits, turns: self.turns }
    }
}
