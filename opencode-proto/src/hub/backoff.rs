use std::time::{Duration, Instant};

use super::HubSettings;
use crate::random::Random;

/// Time of the next attempt.
#[derive(Debug)]
pub(super) struct Backoff {
    delay: Duration,
    delay_max: Duration,
    give_up: Option<Duration>,
    no_listener_limit: Duration,
    random: Random,
    /// The first of the failures in a row, and their number.
    failing: Option<(Instant, u32)>,
    /// The first of the refused connections in a row.
    refused: Option<Instant>,
}

impl Backoff {
    pub(super) fn new(settings: &HubSettings) -> Self {
        Self {
            delay: settings.delay,
            delay_max: settings.delay_max,
            give_up: settings.give_up,
            no_listener_limit: settings.no_listener_limit,
            random: Random::new(settings.seed),
            failing: None,
            refused: None,
        }
    }

    pub(super) fn reset(&mut self) {
        (self.failing, self.refused) = (None, None);
    }

    /// Returns the time of the next attempt after a refused connection; `None` after the limit.
    pub(super) fn next_after_refusal(&mut self, now: Instant) -> Option<Instant> {
        let since = *self.refused.get_or_insert(now);
        if now.saturating_duration_since(since) >= self.no_listener_limit {
            return None;
        }
        // Long pauses would exceed the limit.
        let latest = now.checked_add(self.no_listener_limit / 5)?;
        Some(self.delayed(now)?.min(latest))
    }

    /// Returns the time of the next attempt after another failure; `None` after the limit.
    pub(super) fn next(&mut self, now: Instant) -> Option<Instant> {
        self.refused = None;
        self.delayed(now)
    }

    fn delayed(&mut self, now: Instant) -> Option<Instant> {
        let (since, failures) = *self.failing.get_or_insert((now, 0));
        self.failing = Some((since, failures.saturating_add(1)));
        if self.give_up.is_some_and(|limit| now.saturating_duration_since(since) >= limit) {
            return None;
        }
        if failures == 0 {
            return Some(now);
        }
        let factor = 1u32.checked_shl(failures - 1).unwrap_or(u32::MAX);
        let delay = self.delay.saturating_mul(factor).min(self.delay_max);
        // Jitter of up to a quarter.
        now.checked_add(delay.mul_f64(0.75 + self.random.unit() / 2.0))
    }
}
