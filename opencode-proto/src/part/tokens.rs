use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::Lenient;

/// Token counts of the model's provider.
///
/// OpenCode counts cached input apart from `input` and reasoning apart from `output`. In JSON, the
/// counts have OpenCode's shape: `{total, input, output, reasoning, cache: {read, write}}`.
///
/// ```
/// use opencode_proto::Tokens;
///
/// let tokens: Tokens =
///     serde_json::from_str(r#"{"input":10000,"output":2000,"reasoning":345,"cache":{"read":50}}"#)?;
/// assert_eq!(tokens.total, 12_395);
/// assert_eq!(tokens.to_string(), "12,395 tokens (10,050 in, 2,345 out)");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "WireTokens")]
#[non_exhaustive]
pub struct Tokens {
    /// Total of the provider, or the sum of the other counts where the provider gave none.
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

/// Writes the total with the tokens of prompts and answers, cached tokens and reasoning included.
impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let input = self.input.saturating_add(self.cache_read).saturating_add(self.cache_write);
        let output = self.output.saturating_add(self.reasoning);
        let (total, input, output) = (Grouped(self.total), Grouped(input), Grouped(output));
        write!(f, "{total} tokens ({input} in, {output} out)")
    }
}

/// Writes a number with a comma between groups of three digits.
pub(super) struct Grouped(pub(super) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let (first, rest) = digits.split_at((digits.len() - 1) % 3 + 1);
        f.write_str(first)?;
        for group in rest.as_bytes().chunks(3) {
            write!(f, ",{}", String::from_utf8_lossy(group))?;
        }
        Ok(())
    }
}

impl Serialize for Tokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct CacheTokens {
            read: u64,
            write: u64,
        }
        let mut tokens = serializer.serialize_struct("Tokens", 5)?;
        tokens.serialize_field("total", &self.total)?;
        tokens.serialize_field("input", &self.input)?;
        tokens.serialize_field("output", &self.output)?;
        tokens.serialize_field("reasoning", &self.reasoning)?;
        let cache = CacheTokens { read: self.cache_read, write: self.cache_write };
        tokens.serialize_field("cache", &cache)?;
        tokens.end()
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
    cache: WireCacheTokens,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireCacheTokens {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let cases = [
            (0, "0"),
            (7, "7"),
            (999, "999"),
            (1_000, "1,000"),
            (123_456, "123,456"),
            (1_234_567, "1,234,567"),
        ];
        for (number, text) in cases {
            assert_eq!(Grouped(number).to_string(), text);
        }
        assert_eq!(Grouped(u64::MAX).to_string(), "18,446,744,073,709,551,615");
    }

    #[test]
    fn counts_survive_a_round_trip() {
        let json =
            r#"{"total":15,"input":1,"output":2,"reasoning":3,"cache":{"read":4,"write":5}}"#;
        let tokens: Tokens = serde_json::from_str(json).unwrap();
        assert_eq!((tokens.cache_read, tokens.cache_write), (4, 5));
        assert_eq!(serde_json::to_string(&tokens).unwrap(), json);
    }
}
