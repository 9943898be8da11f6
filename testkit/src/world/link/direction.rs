//! One direction of a connection, and the faults.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;

use crate::world::core::TimerKey;
use crate::world::random::Random;

/// Bytes on their way in one direction.
pub(super) struct Direction {
    pub(super) queue: VecDeque<(Duration, InFlight)>,
    pub(super) queued: usize,
    /// Arrival time of the last item in the queue.
    pub(super) last: Duration,
    pub(super) written: u64,
    pub(super) faults: LinkFaults,
    /// Set when all further bytes get lost without an error at either end.
    pub(super) is_silent: bool,
    pub(super) has_ended: bool,
    pub(super) is_reader_gone: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pub(super) timer: Option<TimerKey>,
}

#[derive(Clone)]
pub(super) enum InFlight {
    Bytes(Bytes),
    End,
    Reset,
}

/// Faults and delays of one direction.
#[derive(Clone, Debug, Default)]
pub(in crate::world) struct LinkFaults {
    pub(super) latency: Duration,
    /// Largest size of a piece, and the pause before each piece.
    pub(super) slow: Option<(usize, Duration)>,
    /// Number of bytes after which the accident happens.
    pub(super) accident: Option<(u64, LinkAccident)>,
}

/// A fault in the middle of a connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::world) enum LinkAccident {
    /// The connection is closed.
    Cut,
    Reset,
    /// Nothing arrives any more, in either direction, and neither end gets an error.
    Silence,
    /// Nothing arrives for this time.
    Stall(Duration),
}

impl LinkFaults {
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
                0 | 1 => LinkAccident::Cut,
                2 | 3 => LinkAccident::Reset,
                4 => LinkAccident::Silence,
                _ => LinkAccident::Stall(random.milliseconds(10, 60_000)),
            };
            (after, accident)
        });
        Self { latency, slow, accident }
    }
}

impl Direction {
    pub(super) fn new(faults: LinkFaults) -> Self {
        Self {
            queue: VecDeque::new(),
            queued: 0,
            last: Duration::ZERO,
            written: 0,
            faults,
            is_silent: false,
            has_ended: false,
            is_reader_gone: false,
            reader: None,
            writer: None,
            timer: None,
        }
    }

    pub(super) fn push(&mut self, now: Duration, item: InFlight) {
        if self.is_silent || self.has_ended {
            return;
        }
        self.last = self.last.max(now + self.faults.latency);
        match item {
            InFlight::Bytes(mut bytes) => {
                self.written += bytes.len() as u64;
                while !bytes.is_empty() {
                    let size = match self.faults.slow {
                        Some((size, delay)) => {
                            self.last += delay;
                            size.min(bytes.len())
                        }
                        None => bytes.len(),
                    };
                    self.queued += size;
                    self.queue.push_back((self.last, InFlight::Bytes(bytes.split_to(size))));
                }
            }
            InFlight::End | InFlight::Reset => {
                self.has_ended = true;
                self.queue.push_back((self.last, item));
            }
        }
    }
}
