use std::ops::AddAssign;

use opencode_proto::Answer;

/// What there is in a workload. Every way of reading it has to come to the same.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// All text of the model, in bytes.
    pub text_size: usize,
    /// Tool calls.
    pub tools: usize,
    /// Tokens of all steps.
    pub tokens: u64,
    /// Costs of all steps.
    pub cost: f64,
}

impl Figures {
    /// What an answer holds.
    pub fn of_answer(answer: &Answer) -> Self {
        Self {
            text_size: answer.full_text().len(),
            tools: answer.tools().len(),
            tokens: answer.tokens().total,
            cost: answer.cost(),
        }
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.text_size += other.text_size;
        self.tools += other.tools;
        self.tokens += other.tokens;
        self.cost += other.cost;
    }
}
