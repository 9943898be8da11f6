//! One direction of a connection, and what happens to it.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;

use crate::world::core::TimerKey;
use crate::world::random::Random;

/// What is on its way in one direction.
pub(super) struct Direction {
    pub(super) queue: VecDeque<(Duration, Item)>,
    pub(super) queued: usize,
    /// When the last of it arrives.
    pub(super) last: Duration,
    pub(super) written: u64,
    pub(super) troubles: Troubles,
    /// What is written gets lost, and nobody is told.
    pub(super) is_silent: bool,
    pub(super) has_ended: bool,
    pub(super) is_reader_gone: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pub(super) timer: Option<TimerKey>,
}

#[derive(Clone)]
pub(super) enum Item {
    Bytes(Bytes),
    End,
    Reset,
}

/// What happens to one direction.
#[derive(Clone, Debug, Default)]
pub(in crate::world) struct Troubles {
    pub(super) latency: Duration,
    /// Pieces of that size at most, so far apart.
    pub(super) slow: Option<(usize, Duration)>,
    /// After so many bytes.
    pub(super) accident: Option<(u64, Accident)>,
}

/// What ends a connection, or nearly.
#[derive(Clone, Copy, Debug)]
pub(in crate::world) enum Accident {
    /// The peer closes it.
    Cut,
    Reset,
    /// Nothing arrives any more, in either direction, and nobody is told.
    Silence,
    /// Nothing arrives for so long.
    Stall(Duration),
}

impl Troubles {
    pub(in crate::world) fn any(random: &mut Random, broken: u64, slow: u64, size: u64) -> Self {
        let latency = match random.below(8) {
            0 => random.milliseconds(0, 400),
            1 | 2 => random.milliseconds(0, 20),
            _ => Duration::from_micros(random.range(50, 900)),
        };
        let slow =
            random.happens(slow).then(|| (1 + random.index(200), random.milliseconds(0, 20)));
        let accident = random.happens(broken).then(|| {
            let after = random.below(size);
            let accident = match random.below(6) {
                0 | 1 => Accident::Cut,
                2 | 3 => Accident::Reset,
                4 => Accident::Silence,
                _ => Accident::Stall(random.milliseconds(10, 60_000)),
            };
            (after, accident)
        });
        Self { latency, slow, accident }
    }
}

impl Direction {
    pub(super) fn new(troubles: Troubles) -> Self {
        Self {
            queue: VecDeque::new(),
            queued: 0,
            last: Duration::ZERO,
            written: 0,
            troubles,
            is_silent: false,
            has_ended: false,
            is_reader_gone: false,
            reader: None,
            writer: None,
            timer: None,
        }
    }

    pub(super) fn push(&mut self, now: Duration, item: Item) {
        if self.is_silent || self.has_ended {
            return;
        }
        self.last = self.last.max(now + self.troubles.latency);
        match item {
            Item::Bytes(mut bytes) => {
                self.written += bytes.len() as u64;
                while !bytes.is_empty() {
                    let size = match self.troubles.slow {
                        Some((size, delay)) => {
                            self.last += delay;
                            size.min(bytes.len())
                        }
                        None => bytes.len(),
                    };
                    self.queued += size;
                    self.queue.push_back((self.last, Item::Bytes(bytes.split_to(size))));
                }
            }
            Item::End | Item::Reset => {
                self.has_ended = true;
                self.queue.push_back((self.last, item));
            }
        }
    }
}
