use super::random::Random;

/// Rates of activity at the servers of a world beside plain prompts and answers, per 1,000
/// occasions. None of it is a fault of a machine or of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Model calls that the provider refuses for a while, with a due time of each next attempt.
    pub retries: u64,
    /// Model calls that the provider breaks off in the middle of the answer.
    pub broken_attempts: u64,
    /// Model calls that exceed the model's context, so that OpenCode compacts the session.
    pub overflows: u64,
    /// Model calls that fill the model's context, so that OpenCode compacts the session.
    pub full_contexts: u64,
    /// Summaries that the provider refuses.
    pub refused_summaries: u64,
    /// Turns that run a command line.
    pub shells: u64,
    /// Turns that ask for structured output.
    pub structured: u64,
    /// Sessions that another client uses at the same time.
    pub rivals: u64,
    /// Answers after which a plugin prompts the session.
    pub plugin_prompts: u64,
    /// Acts of rivals that ask for a summary.
    pub summaries: u64,
    /// Prompts that are posted first, and followed afterwards.
    pub follows: u64,
}

impl Activity {
    /// Activity of servers that only answer prompts.
    pub const NONE: Self = Self {
        retries: 0,
        broken_attempts: 0,
        overflows: 0,
        full_contexts: 0,
        refused_summaries: 0,
        shells: 0,
        structured: 0,
        rivals: 0,
        plugin_prompts: 0,
        summaries: 0,
        follows: 0,
    };

    /// Draws a random selection of activities.
    pub fn any(random: &mut Random) -> Self {
        let mut some = |most: u64| if random.happens(350) { random.below(most + 1) } else { 0 };
        Self {
            retries: some(200),
            broken_attempts: some(300),
            overflows: some(200),
            full_contexts: some(200),
            refused_summaries: some(300),
            shells: some(500),
            structured: some(500),
            rivals: some(700),
            plugin_prompts: some(400),
            ..Self::NONE
        }
    }

    /// Adds what [`any`](Self::any) leaves out.
    #[must_use]
    pub fn with_summaries(self, random: &mut Random) -> Self {
        let summaries = if random.happens(500) { random.below(700) } else { 0 };
        Self { summaries, ..self }
    }

    /// Adds what [`with_summaries`](Self::with_summaries) leaves out.
    #[must_use]
    pub fn with_follows(self, random: &mut Random) -> Self {
        let follows = if random.happens(500) { random.below(900) } else { 0 };
        Self { follows, ..self }
    }
}
