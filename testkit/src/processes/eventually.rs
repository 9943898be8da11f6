use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(10);

/// Polls a condition until it holds, and returns the value.
///
/// Meant for conditions that the system sends no event for, such as the end of a process that is
/// not a child. The panic shows the `Err` value that the condition returned last.
///
/// # Panics
///
/// When the condition does not hold within this time.
#[track_caller]
pub fn eventually<T, E: Debug>(within: Duration, mut condition: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + within;
    loop {
        let seen = match condition() {
            Ok(value) => return value,
            Err(seen) => seen,
        };
        assert!(Instant::now() < deadline, "not within {within:?}; last seen: {seen:#?}");
        thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_returned_as_soon_as_there_is_one() {
        let mut asked = 0;
        let value = eventually(Duration::from_secs(10), || {
            asked += 1;
            if asked < 3 { Err(asked) } else { Ok("done") }
        });
        assert_eq!((value, asked), ("done", 3));
    }

    #[test]
    #[should_panic(expected = "not within 1ms; last seen: \"still here\"")]
    fn the_panic_shows_the_last_error() {
        eventually(Duration::from_millis(1), || Err::<(), _>("still here"));
    }
}
