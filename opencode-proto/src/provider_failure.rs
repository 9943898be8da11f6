//! Failures of the model's provider that OpenCode retries.

use std::fmt;

use serde::Serialize;

/// The last failure of the model's provider before the end of a turn or run.
///
/// OpenCode repeats a call that failed, after a delay that the provider may set (`retry-after`).
///
/// ```
/// use opencode_proto::ProviderFailure;
///
/// let mut failure = ProviderFailure::new("quota exceeded");
/// assert_eq!(failure.to_string(), "quota exceeded");
/// (failure.attempt, failure.next_ms) = (Some(1), Some(1_796_057_009_761));
/// assert_eq!(
///     failure.to_string(),
///     "quota exceeded (attempt 1, the next one at 2026-11-30T16:43:29Z)"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProviderFailure {
    /// Message in the provider's words.
    pub message: String,
    /// Number of the attempt that failed, from 1. A run by process does not know the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u64>,
    /// Time of the next attempt, in milliseconds since 1970 by the server's clock. A run by process
    /// does not know the time.
    #[serde(rename = "next", skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<u64>,
}

impl ProviderFailure {
    /// Creates a failure of which only the message is known.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), attempt: None, next_ms: None }
    }
}

impl fmt::Display for ProviderFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(attempt) = self.attempt {
            write!(f, " (attempt {attempt}")?;
            if let Some(next_ms) = self.next_ms {
                write!(f, ", the next one at {}", Utc(next_ms))?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// Time in milliseconds since 1970, printed to the second.
struct Utc(u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: u64 = 24 * 60 * 60;
        let seconds = self.0 / 1000;
        let (days, time) = (seconds / DAY, seconds % DAY);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Returns year, month and day of the Gregorian calendar for a number of days since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    // Years begin in March, so that the leap day is the last day of a year.
    let days = days + 719_468;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_in_utc() {
        for (ms, printed) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Utc(ms).to_string(), printed);
        }
    }
}
