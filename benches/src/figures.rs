use std::ops::AddAssign;

use opencode_proto::Answer;

/// Sums over a workload. Every way of reading a workload has to produce the same sums.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Size of all text of the model, in bytes.
    pub text_size: usize,
    /// Number of tool calls.
    pub tools: usize,
    /// Sum of the tokens of all steps.
    pub tokens: u64,
    /// Sum of the costs of all steps.
    pub cost: f64,
}

impl Figures {
    /// Sums over an answer.
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
