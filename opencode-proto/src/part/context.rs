use std::fmt;

use super::Tokens;
use super::tokens::Grouped;

/// Share of a model's context window that a conversation occupies.
///
/// ```
/// use opencode_proto::Tokens;
///
/// let tokens: Tokens =
///     serde_json::from_str(r#"{"input":10000,"output":2000,"cache":{"read":38000}}"#)?;
/// let context = tokens.in_context(200_000);
/// assert_eq!(context.to_string(), "50,000 of 200,000 tokens");
/// assert_eq!(context.percent(), Some(25));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContextUse {
    /// Tokens in the window.
    pub used: u64,
    /// Size of the window; 0 for a model of which OpenCode knows no limits.
    pub limit: u64,
}

impl Tokens {
    /// Compares the tokens of one model call with the size of the model's context window, like
    /// OpenCode's own interface. The tokens of the last call of a session are the session's, those
    /// of several calls together are not.
    pub fn in_context(&self, limit: u64) -> ContextUse {
        let counts = [self.input, self.output, self.reasoning, self.cache_read, self.cache_write];
        ContextUse { used: counts.into_iter().fold(0, u64::saturating_add), limit }
    }
}

impl ContextUse {
    /// Returns the share in percent, rounded; `None` without a limit.
    pub fn percent(&self) -> Option<u64> {
        let share = u128::from(self.used) * 100 + u128::from(self.limit) / 2;
        share.checked_div(u128::from(self.limit)).map(|share| share.try_into().unwrap_or(u64::MAX))
    }
}

impl fmt::Display for ContextUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            0 => write!(f, "{} tokens", Grouped(self.used)),
            limit => write!(f, "{} of {} tokens", Grouped(self.used), Grouped(limit)),
        }
    }
}
