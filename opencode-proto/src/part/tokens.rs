use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use super::Lenient;

/// How many tokens were used, as the model's provider counted them.
///
/// OpenCode counts cached input apart from `input` and reasoning apart from `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Tokens {
    /// All of it: the provider's own total, or the sum of the others where it gave none.
    pub total: u64,
    /// Prompt tokens that were not cached.
    pub input: u64,
    /// Answer tokens.
    pub output: u64,
    /// Reasoning tokens.
    pub reasoning: u64,
    /// Prompt tokens read from the provider's cache.
    pub cache_read: u64,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: u64,
}

impl Add for Tokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            total: self.total.saturating_add(other.total),
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write: self.cache_write.saturating_add(other.cache_write),
        }
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Tokens {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// `tokens` on the wire: `{total?, input, output, reasoning, cache: {read, write}}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct WireTokens {
    total: Option<Lenient>,
    input: Lenient,
    output: Lenient,
    reasoning: Lenient,
    cache: WireCache,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireCache {
    read: Lenient,
    write: Lenient,
}

impl From<WireTokens> for Tokens {
    fn from(wire: WireTokens) -> Self {
        let mut tokens = Self {
            total: 0,
            input: wire.input.count(),
            output: wire.output.count(),
            reasoning: wire.reasoning.count(),
            cache_read: wire.cache.read.count(),
            cache_write: wire.cache.write.count(),
        };
        tokens.total = match wire.total {
            Some(total) => total.count(),
            None => [tokens.output, tokens.reasoning, tokens.cache_read, tokens.cache_write]
                .into_iter()
                .fold(tokens.input, u64::saturating_add),
        };
        tokens
    }
}
