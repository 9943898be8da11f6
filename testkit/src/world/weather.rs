use super::random::Random;

/// Rates of the faults of a world, per 1,000 occasions. Events that the rules of OpenCode and of
/// TCP exclude do not occur in any weather.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Connections that are refused.
    pub refused: u64,
    /// Connections that are never established.
    pub hung: u64,
    /// Connections that are reset, cut, or silent for a while or for good, in either direction.
    pub broken: u64,
    /// Connections whose bytes arrive in small pieces with pauses between them.
    pub slow: u64,
    /// Timers that fire late.
    pub late: u64,
    /// Moments at which the clock jumps by minutes, per million.
    pub jumps: u64,
    /// Events that are published twice, or later than necessary.
    pub disordered: u64,
    /// Event streams without heartbeats.
    pub quiet: u64,
    /// Replies that take long.
    pub slow_replies: u64,
    /// Processes that hang, exit early or are killed.
    pub sick: u64,
}

impl Weather {
    /// Weather without any fault.
    pub const CALM: Self = Self {
        refused: 0,
        hung: 0,
        broken: 0,
        slow: 0,
        late: 0,
        jumps: 0,
        disordered: 0,
        quiet: 0,
        slow_replies: 0,
        sick: 0,
    };

    /// Draws a weather: calm in 15 % of all cases, otherwise with a random selection of faults.
    pub fn any(random: &mut Random) -> Self {
        if random.happens(150) {
            return Self::CALM;
        }
        let mut some = |most: u64| if random.happens(500) { random.below(most + 1) } else { 0 };
        Self {
            refused: some(200),
            hung: some(60),
            broken: some(400),
            slow: some(200),
            late: some(200),
            jumps: some(300),
            disordered: some(300),
            quiet: some(300),
            slow_replies: some(200),
            sick: some(400),
        }
    }
}
