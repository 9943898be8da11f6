//! Behaviour of the agent of a simulated server, per prompt.

use std::time::Duration;

use super::activity::Activity;
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
    /// Failures of the provider before it answers, each with the time until the next attempt.
    pub retries: Vec<Duration>,
    /// Attempts that the provider breaks off, after the failures.
    pub broken_attempts: Vec<AgentAttempt>,
    /// Set when the input exceeds the context of the model: OpenCode compacts the session.
    pub overflows: bool,
    /// Set when the call fills the context of the model: OpenCode compacts the session next.
    pub fills_context: bool,
    /// Structured output that the call ends with.
    pub structured: Option<OutputPlan>,
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

/// An attempt at a model call that the provider breaks off.
#[derive(Clone, Debug, Default)]
pub struct AgentAttempt {
    /// Reasoning, one delta per piece.
    pub reasoning: Vec<String>,
    /// Text, one delta per piece. The last part has no end.
    pub text: Vec<String>,
    /// Set when the provider breaks off in the arguments of a tool call.
    pub has_tool: bool,
    /// Time until the next attempt.
    pub delay: Duration,
}

/// Structured output of a model call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputPlan {
    /// The model answers in words instead.
    Missing,
    /// The model calls the tool with this number.
    Number(u64),
}

impl OutputPlan {
    pub(super) fn any(random: &mut Random) -> Self {
        match random.below(5) {
            0 => Self::Missing,
            _ => Self::Number(random.below(1_000)),
        }
    }
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
    pub fn any(random: &mut Random, activity: &Activity, name: &str) -> Self {
        Self::of_depth(random, activity, name, 0)
    }

    /// Has the last model call end with this output.
    pub(super) fn with_output(mut self, output: OutputPlan) -> Self {
        if let Some(last) = self.steps.last_mut() {
            last.structured = Some(output);
            last.fills_context = false;
        }
        self
    }

    fn of_depth(random: &mut Random, activity: &Activity, name: &str, depth: u64) -> Self {
        let calls = random.below(match depth {
            0 => 4,
            _ => 2,
        });
        let mut steps: Vec<AgentStep> = (0..calls)
            .map(|number| {
                let name_of_step = format!("{name} step {number}");
                let mut step = AgentStep::any(random, activity, &name_of_step, 350);
                for _ in 0..random.range(1, 2) {
                    step.tools.push(AgentTool::any(random, activity, name, depth));
                }
                step
            })
            .collect();
        let mut last = AgentStep::any(random, activity, &format!("{name} end"), 950);
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

    fn any(random: &mut Random, activity: &Activity, name: &str, talks: u64) -> Self {
        let mut step = Self::default();
        if random.happens(60) {
            let retries = (0..random.range(1, 3)).map(|_| Duration::from_secs(2));
            step.retries = retries.collect();
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
        if random.happens(activity.retries) {
            let retries = random.range(1, 4);
            step.retries = (0..retries).map(|_| retry_delay(random)).collect();
        }
        if random.happens(activity.broken_attempts) {
            let attempts = random.range(1, 2);
            step.broken_attempts = (0..attempts).map(|_| AgentAttempt::any(random, name)).collect();
        }
        step.overflows = random.happens(activity.overflows);
        step.fills_context = random.happens(activity.full_contexts);
        step
    }
}

impl AgentAttempt {
    fn any(random: &mut Random, name: &str) -> Self {
        let mut attempt = Self::default();
        if random.happens(300) {
            attempt.reasoning = pieces(random, "void thoughts of ", name);
        }
        if random.happens(800) {
            attempt.text = pieces(random, "void words of ", name);
        }
        attempt.has_tool = random.happens(200);
        attempt.delay = retry_delay(random);
        attempt
    }
}

/// Draws the time until the next attempt: a short one by OpenCode's own schedule, or a long one
/// that the provider asks for.
fn retry_delay(random: &mut Random) -> Duration {
    match random.below(20) {
        0 => random.milliseconds(60_000, 1_200_000),
        1..=4 => random.milliseconds(5_000, 60_000),
        _ => random.milliseconds(0, 5_000),
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

    fn any(random: &mut Random, activity: &Activity, name: &str, depth: u64) -> Self {
        let mut tool = Self::default();
        match random.below(10) {
            0 | 1 => tool.ask = Some(AskKind::Permission),
            2 => tool.ask = Some(AskKind::Question),
            3 if depth < 2 => {
                tool.subagent = Some(Box::new(AgentScript::of_depth(
                    random,
                    activity,
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
