//! What the model of a server does when it is prompted.

use std::time::Duration;

use super::random::Random;

/// What a prompt leads to: calls of the model, one after the other. The last one that has no tool ends the turn.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The calls.
    pub steps: Vec<Step>,
}

/// One call of the model.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// How often the provider fails before it answers.
    pub retries: u64,
    /// The provider refuses for good.
    pub fails: Option<String>,
    /// What it thinks, piece by piece.
    pub reasoning: Vec<String>,
    /// What it says, piece by piece.
    pub text: Vec<String>,
    /// The tools it calls, one after the other.
    pub tools: Vec<Tool>,
    /// How long it takes to begin.
    pub delay: Duration,
}

/// A tool call.
#[derive(Clone, Debug, Default)]
pub struct Tool {
    /// What it asks before it works.
    pub ask: Option<AskKind>,
    /// How long it takes.
    pub time: Duration,
    /// What it prints, piece by piece.
    pub output: Vec<String>,
    /// It is a subagent, which is prompted with this.
    pub subagent: Option<Box<Script>>,
    /// It fails.
    pub fails: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskKind {
    /// A permission.
    Permission,
    /// A question.
    Question,
}

impl Script {
    /// One call that says this.
    #[must_use]
    pub fn text<const PIECES: usize>(pieces: [&str; PIECES]) -> Self {
        Self::default().then(Step::text(pieces))
    }

    /// And then this.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Any script. `name` makes its texts its own.
    pub fn any(random: &mut Random, name: &str) -> Self {
        Self::of_depth(random, name, 0)
    }

    fn of_depth(random: &mut Random, name: &str, depth: u64) -> Self {
        let calls = random.below(match depth {
            0 => 4,
            _ => 2,
        });
        let mut steps: Vec<Step> = (0..calls)
            .map(|number| {
                let mut step = Step::any(random, &format!("{name} step {number}"), 350);
                for _ in 0..random.range(1, 2) {
                    step.tools.push(Tool::any(random, name, depth));
                }
                step
            })
            .collect();
        let mut last = Step::any(random, &format!("{name} end"), 950);
        if random.happens(40) {
            last.fails = Some(format!("{name} is refused by the provider"));
        }
        steps.push(last);
        Self { steps }
    }
}

impl Step {
    /// A call that says this.
    #[must_use]
    pub fn text<const PIECES: usize>(pieces: [&str; PIECES]) -> Self {
        Self { text: pieces.map(str::to_owned).into(), ..Self::default() }
    }

    /// And calls this.
    #[must_use]
    pub fn tool(mut self, tool: Tool) -> Self {
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

impl Tool {
    /// A tool that asks this first.
    #[must_use]
    pub fn that_asks(ask: AskKind) -> Self {
        Self { ask: Some(ask), ..Self::default() }
    }

    /// A subagent that does this.
    #[must_use]
    pub fn subagent(script: Script) -> Self {
        Self { subagent: Some(Box::new(script)), ..Self::default() }
    }

    /// With this output.
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
                tool.subagent =
                    Some(Box::new(Script::of_depth(random, &format!("{name} sub"), depth + 1)));
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
