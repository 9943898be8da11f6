#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests have a clock and know what is there"
)]

use super::*;

fn status(status: u16, headers: &[(&'static str, &str)]) -> RetryCause {
    let headers = headers.iter().map(|(name, value)| {
        (http::HeaderName::from_static(name), value.parse::<http::HeaderValue>().unwrap())
    });
    RetryCause::reply(StatusCode::from_u16(status).unwrap(), &headers.collect())
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn pauses_double_up_to_the_longest_and_end_with_the_attempts() {
    for seed in 0..1000 {
        let policy = RetryPolicy::default().with_attempts_max(5).with_delay_max(ms(700));
        let mut retry = Retry::new(policy, seed);
        let now = Instant::now();
        for longest in [200, 400, 700, 700] {
            let pause = retry.handle_failure(&RetryCause::Connection, now).unwrap() - now;
            assert!(ms(longest) / 2 <= pause && pause <= ms(longest), "{pause:?} of {longest} ms");
        }
        assert_eq!(retry.handle_failure(&RetryCause::Connection, now), None);
    }
}

#[test]
fn a_seed_decides_the_pauses() {
    let now = Instant::now();
    let first = |seed| {
        Retry::new(RetryPolicy::default(), seed).handle_failure(&RetryCause::Connection, now)
    };
    assert_eq!(first(7), first(7));
    assert_ne!(first(7), first(8));
}

#[test]
fn only_what_may_pass_is_tried_again() {
    let now = Instant::now();
    for code in 100..600 {
        let again = Retry::new(RetryPolicy::default(), 1).handle_failure(&status(code, &[]), now);
        assert_eq!(again.is_some(), [408, 429, 502, 503, 504].contains(&code), "{code}");
    }
    let none = Retry::new(RetryPolicy::NONE, 1).handle_failure(&RetryCause::Connection, now);
    assert_eq!(none, None);
}

#[test]
fn a_server_that_says_when_is_obeyed_up_to_the_limit() {
    let now = Instant::now();
    let pause = |headers: &[(&'static str, &str)]| {
        let cause = status(503, headers);
        let at = Retry::new(RetryPolicy::default(), 1).handle_failure(&cause, now);
        at.map(|at| at - now)
    };
    assert_eq!(pause(&[("retry-after", "3")]), Some(ms(3000)));
    assert_eq!(pause(&[("retry-after", " 0.5 ")]), Some(ms(500)));
    assert_eq!(pause(&[("retry-after-ms", "70"), ("retry-after", "3")]), Some(ms(70)));
    assert_eq!(pause(&[("retry-after", "60")]), Some(ms(60_000)));
    assert_eq!(pause(&[("retry-after", "61")]), None);
    // What cannot be understood was not said.
    for odd in ["-1", "NaN", "inf", "soon", "", "Wed, 21 Oct 2015 07:28:00 GMT", "1e300"] {
        let pause = pause(&[("retry-after", odd)]).unwrap();
        assert!(ms(100) <= pause && pause <= ms(200), "{odd}: {pause:?}");
    }
}

#[test]
fn a_request_that_may_act_twice_is_repeated_only_if_it_was_not_sent() {
    let now = Instant::now();
    let again = |cause| {
        let mut retry = Retry::new(RetryPolicy::default(), 1).with_repeat(Repeat::Never);
        retry.handle_failure(&cause, now).is_some()
    };
    assert!(again(RetryCause::NotSent));
    assert!(!again(RetryCause::Connection));
    for code in [408, 429, 502, 503, 504] {
        assert!(!again(status(code, &[("retry-after", "1")])), "{code}");
    }
}

#[test]
fn no_attempt_begins_after_the_time_for_all_of_them() {
    let start = Instant::now();
    let policy = RetryPolicy::default().with_attempts_max(100).with_time_max(ms(2000));
    let mut retry = Retry::new(policy, 1);
    let (mut now, mut attempts) = (start, 0);
    while let Some(at) = retry.handle_failure(&status(503, &[("retry-after-ms", "300")]), now) {
        // Each attempt takes 100 ms.
        now = at + ms(100);
        attempts += 1;
        assert!(at - start <= ms(2000), "{:?}", at - start);
    }
    assert_eq!(attempts, 5);

    let mut retry = Retry::new(policy, 1);
    assert_eq!(retry.handle_failure(&status(503, &[("retry-after", "3")]), start), None);
}

#[test]
fn no_policy_overflows() {
    let policy = RetryPolicy {
        attempts_max: u32::MAX,
        delay_first: Duration::MAX,
        delay_max: Duration::MAX,
        retry_after_max: Duration::MAX,
        time_max: Duration::MAX,
    };
    let now = Instant::now();
    let mut retry = Retry::new(policy, 1);
    retry.failures = u32::MAX - 5;
    assert_eq!(retry.handle_failure(&RetryCause::Connection, now), None);
    let for_ever = RetryCause::Status { status: StatusCode::OK, after: Some(Duration::MAX) };
    assert_eq!(retry.handle_failure(&for_ever, now), None);
}
