use super::random::Random;

/// How often what goes wrong, in a thousand. What cannot go wrong by the rules of OpenCode and of TCP does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Connections that are refused.
    pub refused: u64,
    /// Connections that never come about.
    pub hung: u64,
    /// Connections that are reset, cut, or fall silent for ever or for a while, in either direction.
    pub broken: u64,
    /// Connections on which bytes come in small pieces, far apart.
    pub slow: u64,
    /// Timers that are late.
    pub late: u64,
    /// Moments at which the clock jumps by minutes, in a million.
    pub jumps: u64,
    /// Events that are told twice, or later than they might be.
    pub disordered: u64,
    /// Event streams without heartbeats.
    pub quiet: u64,
    /// Replies that take long.
    pub slow_replies: u64,
    /// Processes that do not do what they should.
    pub sick: u64,
}

impl Weather {
    /// Nothing goes wrong.
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

    /// Some weather: calm now and then, otherwise with troubles of some kinds.
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
