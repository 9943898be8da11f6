//! What a seed has in store.

use std::time::Duration;

use testkit::world::{Random, Weather};

/// Who lives in a world.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) weather: Weather,
    /// Servers that run already, each with its outages.
    pub(crate) attached: Vec<Outages>,
    /// How many servers are started.
    pub(crate) served: usize,
    /// How many processes `opencode run`.
    pub(crate) runs: usize,
    pub(crate) batch: Batching,
    pub(crate) size: Size,
}

/// Where a batch runs, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Batching {
    /// On the servers that run already, beside everybody else.
    Given,
    None,
    /// On servers that are started for it.
    Started,
}

/// How much goes on with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Large,
    Small,
}

impl Size {
    /// The most sessions of a server.
    pub(crate) fn sessions_max(self) -> u64 {
        match self {
            Self::Large => 3,
            Self::Small => 1,
        }
    }

    /// The most turns of a session.
    pub(crate) fn turns_max(self) -> u64 {
        match self {
            Self::Large => 3,
            Self::Small => 2,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outages {
    None,
    Some,
}

/// How somebody deals with a turn.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) asks: Answering,
    pub(crate) reading: Reading,
    /// What happens to it before it is over.
    pub(crate) interference: Option<(Interference, Duration)>,
    pub(crate) overall: Option<Duration>,
    pub(crate) log: Logging,
}

/// How what is asked is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    /// Whoever reads answers, or does not take it.
    ByReader,
    /// After a while.
    Late,
    /// Only when it is interfered with.
    Never,
    Nobody,
    Panics,
    Prompt,
    /// Refused, with a word to the model.
    WithWord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Outcome,
    Prompt,
    Slow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interference {
    Cancel,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logging {
    /// To a disk that is full.
    Full,
    Off,
    On,
}

impl Plan {
    pub(crate) fn any(random: &mut Random) -> Self {
        let weather = Weather::any(random);
        let is_calm = weather == Weather::CALM;
        let size = if random.happens(250) { Size::Large } else { Size::Small };
        let attached = match size {
            Size::Large => random.range(0, 2),
            Size::Small => u64::from(random.happens(750)),
        };
        let outage = |random: &mut Random| match !is_calm && random.happens(400) {
            true => Outages::Some,
            false => Outages::None,
        };
        let attached: Vec<Outages> = (0..attached).map(|_| outage(random)).collect();
        let more = if size == Size::Large { 300 } else { 0 };
        let served = usize::from(attached.is_empty() || random.happens(more));
        let runs = match size {
            Size::Large => random.index(3),
            Size::Small => usize::from(random.happens(250)),
        };
        let batch = match random.below(10) {
            0 if !attached.is_empty() => Batching::Given,
            1 => Batching::Started,
            _ => Batching::None,
        };
        Self { weather, attached, served, runs, batch, size }
    }
}

impl Manner {
    pub(crate) fn any(random: &mut Random) -> Self {
        let interference = random.happens(250).then(|| {
            let what = if random.happens(500) { Interference::Cancel } else { Interference::Drop };
            let time = match random.below(3) {
                0 => random.milliseconds(0, 5),
                1 => random.milliseconds(0, 500),
                _ => random.milliseconds(0, 60_000),
            };
            (what, time)
        });
        let asks = *random.choose(&[
            Answering::ByReader,
            Answering::Late,
            Answering::Never,
            Answering::Nobody,
            Answering::Panics,
            Answering::Prompt,
            Answering::Prompt,
            Answering::Prompt,
            Answering::Prompt,
            Answering::WithWord,
        ]);
        let asks = match (asks, interference) {
            // For ever is too long.
            (Answering::Never, None) => Answering::Late,
            (asks, _) => asks,
        };
        let reading = match random.below(5) {
            0 if asks != Answering::ByReader => Reading::Outcome,
            1 => Reading::Slow,
            _ => Reading::Prompt,
        };
        let log = match random.below(20) {
            0 => Logging::Full,
            1 => Logging::On,
            _ => Logging::Off,
        };
        let overall = random.happens(150).then(|| random.milliseconds(20, 100_000));
        Self { asks, reading, interference, overall, log }
    }
}
