//! Behaviour of the agent of a simulated server, per prompt.

use std::time::Duration;

use super::random::Random;

/// Calls of the model that a prompt leads to, in order. The turn ends with the first call without a
/// tool, or with the last.
#[derive(Clone, Debug, Default)]
pub struct AgentScript {
    /// The model calls, in order.
    pub steps: Vec<AgentStep>,
}

/// One call of the model.
#[derive(Clone, Debug, Default)]
pub struct AgentStep {
    /// Number of failures of the provider before it answers.
    pub retries: u64,
    /// Message of a final refusal by the provider.
    pub fails: Option<String>,
    /// Reasoning, one delta per piece.
    pub reasoning: Vec<String>,
    /// Text of the answer, one delta per piece.
    pub text: Vec<String>,
    /// Tool calls, in order.
    pub tools: Vec<AgentTool>,
    /// Time until the model begins to answer.
    pub delay: Duration,
}

/// One tool call.
#[derive(Clone, Debug, Default)]
pub struct AgentTool {
    /// Kind of ask that the tool publishes before it runs.
    pub ask: Option<AskKind>,
    /// Running time of the tool.
    pub time: Duration,
    /// Output of the tool, one update of the part per piece.
    pub output: Vec<String>,
    /// Script of the subagent that this call starts.
    pub subagent: Option<Box<AgentScript>>,
    /// Set when the tool call fails.
    pub fails: bool,
}

/// Kind of an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskKind {
    /// A permission request.
    Permission,
    /// A question of the agent.
    Question,
}

impl AgentScript {
    /// Creates a script with one call that answers with this text.
    #[must_use]
    pub fn text<const PIECES: usize>(pieces: [&str; PIECES]) -> Self {
        Self::default().then(AgentStep::text(pieces))
    }

    /// Adds a model call.
    #[must_use]
    pub fn then(mut self, step: AgentStep) -> Self {
        self.steps.push(step);
        self
    }

    /// Draws a script. The texts contain `name`.
    pub fn any(random: &mut Random, name: &str) -> Self {
        Self::of_depth(random, name, 0)
    }

    fn of_depth(random: &mut Random, name: &str, depth: u64) -> Self {
        let calls = random.below(match depth {
            0 => 4,
            _ => 2,
        });
        let mut steps: Vec<AgentStep> = (0..calls)
            .map(|number| {
                let mut step = AgentStep::any(random, &format!("{name} step {number}"), 350);
                for _ in 0..random.range(1, 2) {
                    step.tools.push(AgentTool::any(random, name, depth));
                }
                step
            })
            .collect();
        let mut last = AgentStep::any(random, &format!("{name} end"), 950);
        if random.happens(40) {
            last.fails = Some(format!("{name} is refused by the provider"));
        }
        steps.push(last);
        Self { steps }
    }
}

impl AgentStep {
    /// Creates a call that answers with this text.
    #[must_use]
    pub fn text<const PIECES: usize>(pieces: [&str; PIECES]) -> Self {
        Self { text: pieces.map(str::to_owned).into(), ..Self::default() }
    }

    /// Adds a tool call.
    #[must_use]
    pub fn tool(mut self, tool: AgentTool) -> Self {
        self.tools.push(tool);
        self
    }

    fn any(random: &mut Random, name: &str, talks: u64) -> Self {
        let mut step = Self::default();
        if random.happens(60) {
            step.retries = random.range(1, 3);
        }
        if random.happens(150) {
            step.reasoning = pieces(random, "thinking of ", name);
        }
        if random.happens(talks) {
            step.text = pieces(random, "", name);
        }
        step.delay = match random.below(10) {
            0 => random.milliseconds(1_000, 40_000),
            1 => random.milliseconds(100, 1_000),
            _ => random.milliseconds(0, 30),
        };
        step
    }
}

fn pieces(random: &mut Random, prefix: &str, name: &str) -> Vec<String> {
    let count = match random.below(10) {
        0 => random.below(12),
        _ => random.range(1, 3),
    };
    (0..count).map(|number| format!("{prefix}{name}, {number}. ")).collect()
}

impl AgentTool {
    /// Creates a tool call that publishes an ask first.
    #[must_use]
    pub fn asking(ask: AskKind) -> Self {
        Self { ask: Some(ask), ..Self::default() }
    }

    /// Creates a tool call that starts a subagent.
    #[must_use]
    pub fn subagent(script: AgentScript) -> Self {
        Self { subagent: Some(Box::new(script)), ..Self::default() }
    }

    /// Sets the output of the tool.
    #[must_use]
    pub fn with_output<const PIECES: usize>(mut self, pieces: [&str; PIECES]) -> Self {
        self.output = pieces.map(str::to_owned).into();
        self
    }

    fn any(random: &mut Random, name: &str, depth: u64) -> Self {
        let mut tool = Self::default();
        match random.below(10) {
            0 | 1 => tool.ask = Some(AskKind::Permission),
            2 => tool.ask = Some(AskKind::Question),
            3 if depth < 2 => {
                tool.subagent = Some(Box::new(AgentScript::of_depth(
                    random,
                    &format!("{name} sub"),
                    depth + 1,
                )));
            }
            _ => {}
        }
        tool.time = match random.below(10) {
            0 => random.milliseconds(1_000, 90_000),
            _ => random.milliseconds(0, 500),
        };
        tool.output = (0..random.below(3)).map(|number| format!("line {number}\n")).collect();
        tool.fails = random.happens(100);
        tool
    }
}
