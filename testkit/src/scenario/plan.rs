//! Random plans: the users of a world, and the course of every turn.

use std::time::Duration;

use crate::world::{Activity, Random, Weather};

/// The first seed whose servers do more than answer prompts.
pub(super) const FIRST_ACTIVE_SEED: u64 = 3_000_000;
/// The first seed whose rivals ask for summaries.
const FIRST_SEED_WITH_SUMMARIES: u64 = 4_000_000;
/// The first seed whose users follow turns.
const FIRST_SEED_WITH_FOLLOWS: u64 = 5_000_000;

/// Users and servers of a world.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) weather: Weather,
    pub(super) activity: Activity,
    /// Running servers to attach to, each with its outages.
    pub(super) attached: Vec<Outages>,
    /// Number of servers that are started.
    pub(super) served: usize,
    /// Number of processes `opencode run`.
    pub(super) runs: usize,
    pub(super) batch: Batching,
    pub(super) size: Size,
}

/// Server of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Batching {
    /// The running servers, shared with all other users.
    Given,
    None,
    /// Servers that the batch starts.
    Started,
}

/// Amount of work per server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Large,
    Small,
}

impl Size {
    /// Largest number of sessions per server.
    pub(super) fn sessions_max(self) -> u64 {
        match self {
            Self::Large => 3,
            Self::Small => 1,
        }
    }

    /// Largest number of turns per session.
    pub(super) fn turns_max(self) -> u64 {
        match self {
            Self::Large => 3,
            Self::Small => 2,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outages {
    None,
    Some,
}

/// Course of one turn on the side of the client.
#[derive(Clone, Debug)]
pub(super) struct TurnPlan {
    pub(super) post: PostPlan,
    pub(super) joining: Joining,
    pub(super) asks: Answering,
    pub(super) reading: Reading,
    /// Cancel or drop of the turn, and the time.
    pub(super) interference: Option<(Interference, Duration)>,
    pub(super) overall: Option<Duration>,
    pub(super) log: Logging,
}

/// Moment from which a turn is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joining {
    /// The prompt is posted first, and the turn is followed after this time.
    After(Duration),
    FromTheStart,
}

impl Joining {
    pub(super) fn any(random: &mut Random, activity: &Activity) -> Self {
        if activity.follows == 0 || !random.happens(activity.follows) {
            return Self::FromTheStart;
        }
        Self::After(match random.below(3) {
            0 => Duration::ZERO,
            1 => random.milliseconds(0, 3_000),
            _ => random.milliseconds(0, 60_000),
        })
    }
}

/// Request that begins a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PostPlan {
    Prompt,
    Shell,
    /// A prompt with a schema for the answer.
    Structured,
}

/// Way in which asks are replied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answering {
    /// The reader of the stream takes the asks, and replies to some of them.
    ByReader,
    /// Handlers reply after a while.
    Late,
    /// Handlers never reply; only for turns with an interference.
    Never,
    NoHandler,
    Panics,
    AtOnce,
    /// Handlers reject with a message for the model.
    RejectWithMessage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Outcome,
    Prompt,
    Slow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interference {
    Cancel,
    Drop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logging {
    /// To a disk that is full.
    Full,
    Off,
    On,
}

impl Plan {
    pub(super) fn any(seed: u64, random: &mut Random) -> Self {
        let weather = Weather::any(random);
        // Seeds below have the worlds in which they failed once.
        let mut of_activity = Random::new(seed.rotate_left(32));
        let mut activity = match seed < FIRST_ACTIVE_SEED {
            true => Activity::NONE,
            false => Activity::any(&mut of_activity),
        };
        if seed >= FIRST_SEED_WITH_SUMMARIES {
            activity = activity.with_summaries(&mut of_activity);
        }
        if seed >= FIRST_SEED_WITH_FOLLOWS {
            activity = activity.with_follows(&mut of_activity);
        }
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
        if batch == Batching::Given {
            // A rival that disposes the directory would abort jobs.
            activity.rivals = 0;
        }
        Self { weather, activity, attached, served, runs, batch, size }
    }
}

impl PostPlan {
    pub(super) fn any(random: &mut Random, activity: &Activity) -> Self {
        if random.happens(activity.shells) {
            Self::Shell
        } else if random.happens(activity.structured) {
            Self::Structured
        } else {
            Self::Prompt
        }
    }
}

impl TurnPlan {
    pub(super) fn any(random: &mut Random) -> Self {
        let interference = random.happens(250).then(|| {
            let kind = if random.happens(500) { Interference::Cancel } else { Interference::Drop };
            let time = match random.below(3) {
                0 => random.milliseconds(0, 5),
                1 => random.milliseconds(0, 500),
                _ => random.milliseconds(0, 60_000),
            };
            (kind, time)
        });
        let asks = *random.choose(&[
            Answering::ByReader,
            Answering::Late,
            Answering::Never,
            Answering::NoHandler,
            Answering::Panics,
            Answering::AtOnce,
            Answering::AtOnce,
            Answering::AtOnce,
            Answering::AtOnce,
            Answering::RejectWithMessage,
        ]);
        let asks = match (asks, interference) {
            // Without an interference the turn would never end.
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
        let (post, joining) = (PostPlan::Prompt, Joining::FromTheStart);
        Self { post, joining, asks, reading, interference, overall, log }
    }
}
