use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::Tokens;

/// Tokens and money that were spent.
///
/// ```
/// use opencode_proto::{Spend, Tokens};
///
/// let tokens: Tokens = serde_json::from_str(r#"{"input":10000,"output":2000}"#)?;
/// let spend = Spend::new(tokens, 0.0423);
/// assert_eq!(spend.to_string(), "$0.0423 for 12,000 tokens (10,000 in, 2,000 out)");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spend {
    /// Tokens, as the models' providers counted them.
    pub tokens: Tokens,
    /// US dollars, as OpenCode computes them from the models' prices.
    #[serde(deserialize_with = "crate::json::exact::deserialize")]
    pub cost: f64,
}

impl Spend {
    /// Creates a spend of these tokens at this cost.
    pub const fn new(tokens: Tokens, cost: f64) -> Self {
        Self { tokens, cost }
    }
}

impl AddAssign for Spend {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.cost += other.cost;
    }
}

/// Writes the cost, in cents of a cent, and the tokens.
impl fmt::Display for Spend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${:.4} for {}", self.cost, self.tokens)
    }
}
