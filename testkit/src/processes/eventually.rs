use std::fmt::Debug;
use std::thread;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(10);

/// Asks for a condition again and again until it holds, and returns its value.
///
/// For what the system reports no event for, such as the end of a process that is not a child. The
/// condition says what it still sees (`Err`), which the panic shows.
///
/// # Panics
///
/// When the condition does not hold `within` that time.
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
    fn returns_the_value_as_soon_as_there_is_one() {
        let mut asked = 0;
        let value = eventually(Duration::from_secs(10), || {
            asked += 1;
            if asked < 3 { Err(asked) } else { Ok("done") }
        });
        assert_eq!((value, asked), ("done", 3));
    }

    #[test]
    #[should_panic(expected = "not within 1ms; last seen: \"still here\"")]
    fn shows_what_was_seen_last() {
        eventually(Duration::from_millis(1), || Err::<(), _>("still here"));
    }
}
