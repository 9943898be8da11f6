//! Deadlines and delays, on a clock that moves only when nothing else happens.

use std::time::Duration;

use opencode_tokio::event::Deadline;
use opencode_tokio::process::{Version, VersionError};
use opencode_tokio::run::{Exit, RunSettings, StartPacing, StartupRetry};
use opencode_tokio::{Deadlines, RunEnd, RunError, RunReport};
use testkit::conformance::lines::{DATABASE_LOCKED, START, answer, text};
use testkit::conformance::world::settings;
use tokio::time::Instant;

use crate::imagined::{ImaginedRuntime, Play};
use crate::world;

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const NOW: Duration = Duration::ZERO;

/// Resolution of tokio's timers, with a margin.
const TICKS: Duration = Duration::from_millis(20);

/// Runs a play with the default settings and a change. Returns the result and the elapsed time.
async fn run(
    play: Play,
    change: impl FnOnce(RunSettings) -> RunSettings,
) -> (Result<RunReport, RunError>, Duration) {
    let world = world();
    let opencode = world.builder_on(ImaginedRuntime::new([play])).build();
    let settings = change(RunSettings::default());
    let began = Instant::now();
    let result = opencode.run(world.request().with_settings(settings)).await;
    (result, began.elapsed())
}

#[track_caller]
fn assert_took(took: Duration, expected: Duration) {
    assert!(expected <= took && took < expected + TICKS, "{took:?} instead of {expected:?}");
}

/// Time until an imagined process is given up after a deadline, when neither signal ends it:
/// `SIGKILL` follows within a second, and has a grace of 5 seconds.
const GIVEN_UP: Duration = Duration::from_millis(800 + 5000);
/// The same time after an answer: each signal has a grace of 5 seconds.
const LINGER_GIVEN_UP: Duration = Duration::from_secs(2 * 5);

#[tokio::test(start_paused = true)]
async fn the_first_event_has_a_deadline_of_ten_minutes() {
    let (result, took) = run(Play::new(), |settings| settings).await;
    let error = result.unwrap_err();
    assert_eq!(error.end().and_then(RunEnd::deadline), Some(Deadline::FirstEvent));
    assert_eq!(error.report().unwrap().outcome.exit, None, "an exit was seen");
    assert_took(took, 10 * MINUTE + GIVEN_UP);
}

#[tokio::test(start_paused = true)]
async fn every_pause_between_events_may_last_half_an_hour() {
    let play = Play::new()
        .stdout(9 * MINUTE, format!("{START}\n"))
        .stdout(29 * MINUTE, format!("{}\n", text("prt_2", "a")))
        .stdout(29 * MINUTE, format!("{}\n", text("prt_3", "b")));
    let (result, took) = run(play, |settings| settings).await;
    let error = result.unwrap_err();
    assert_eq!(error.end().and_then(RunEnd::deadline), Some(Deadline::Idle));
    assert_eq!(error.report().unwrap().text(), "ab");
    assert_took(took, (9 + 2 * 29 + 30) * MINUTE + GIVEN_UP);
}

#[tokio::test(start_paused = true)]
async fn stderr_and_diagnostics_are_no_events() {
    let play = Play::new().stderr(9 * MINUTE, "still here\n").stdout(NOW, "a banner\n");
    let (result, took) = run(play, |settings| settings).await;
    assert_eq!(result.unwrap_err().end().and_then(RunEnd::deadline), Some(Deadline::FirstEvent));
    assert_took(took, 10 * MINUTE + GIVEN_UP);
}

#[tokio::test(start_paused = true)]
async fn the_overall_deadline_counts_from_the_start() {
    let play = (0..100).fold(Play::new().stdout(NOW, format!("{START}\n")), |play, number| {
        play.stdout(MINUTE, format!("{}\n", text(&format!("prt_{number}"), "x")))
    });
    let deadlines = Deadlines::default().with_overall(60 * MINUTE);
    let (result, took) = run(play, |settings| settings.with_deadlines(deadlines)).await;
    let error = result.unwrap_err();
    assert_eq!(error.end().and_then(RunEnd::deadline), Some(Deadline::Overall));
    assert_took(took, 60 * MINUTE + GIVEN_UP);
    assert!(error.report().unwrap().text().len() >= 59);
}

#[tokio::test(start_paused = true)]
async fn an_exit_within_the_grace_period_is_reported() {
    let play = Play::new().exit(10 * MINUTE + Duration::from_secs(4), 0);
    let (result, took) = run(play, |settings| settings).await;
    let error = result.unwrap_err();
    assert_eq!(error.end().and_then(RunEnd::deadline), Some(Deadline::FirstEvent));
    assert_eq!(error.report().unwrap().outcome.exit, Some(Exit::Code(0)));
    assert_took(took, 10 * MINUTE + Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn a_process_may_linger_for_two_minutes_after_its_answer() {
    let answered = Play::new().stdout(MINUTE, answer("Hello."));
    let (result, took) = run(answered.clone(), |settings| settings).await;
    assert_eq!(result.unwrap().text(), "Hello.");
    assert_took(took, 3 * MINUTE + LINGER_GIVEN_UP);

    let (result, took) = run(answered.exit(MINUTE, 0), |settings| settings).await;
    assert_eq!(result.unwrap().outcome.exit, Some(Exit::Code(0)));
    assert_took(took, 2 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_process_may_linger_for_two_minutes_after_its_output() {
    let play = Play::new().stdout(MINUTE, answer("Hello.")).close_stdout(MINUTE);
    let (result, took) = run(play, |settings| settings).await;
    assert_eq!(result.unwrap().text(), "Hello.");
    assert_took(took, 4 * MINUTE + LINGER_GIVEN_UP);
}

#[tokio::test(start_paused = true)]
async fn deadlines_too_far_in_the_future_never_expire() {
    let play = Play::new().stdout(10_000 * MINUTE, answer("At last.")).exit(NOW, 0);
    let (result, took) = run(play, |settings| {
        let never = Duration::MAX;
        let deadlines =
            Deadlines::default().with_first_event(never).with_idle(never).with_overall(never);
        settings
            .with_deadlines(deadlines)
            .with_linger_limit(never)
            .with_drain_limit(never)
            .with_kill_grace(never)
    })
    .await;
    assert_eq!(result.unwrap().text(), "At last.");
    assert_took(took, 10_000 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn every_retry_delay_doubles() {
    let locked = Play::new().stderr(Duration::ZERO, DATABASE_LOCKED).exit(Duration::ZERO, 1);
    let imagined = ImaginedRuntime::new([locked]);
    let world = world();
    let opencode = world.builder_on(imagined.clone()).build();
    let request = world
        .request()
        .with_settings(settings(|settings| settings.with_deadlines(Deadlines::NONE)));

    let error = opencode.run(request.clone().with_retry(StartupRetry::new(3, HOUR))).await;
    assert_eq!(error.unwrap_err().report().unwrap().attempts, 4);
    let started = imagined.started();
    let waits: Vec<_> = started.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(waits, [3600, 2 * 3600, 4 * 3600]);

    opencode.run(request.with_retry(StartupRetry::NONE)).await.unwrap_err();
    assert_eq!(imagined.started().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn starts_are_spaced() {
    let imagined = ImaginedRuntime::new([Play::new()
        .stdout(Duration::ZERO, answer("Hello."))
        .exit(HOUR / 2, 0)]);
    let world = world();
    let pacing = StartPacing::new().with_spacing(HOUR);
    let opencode = world.builder_on(imagined.clone()).pacing(pacing).build();
    let request = world.request().with_deadlines(Deadlines::NONE);
    let runs: Vec<_> =
        (0..4).map(|_| tokio::spawn(opencode.stream(request.clone()).outcome())).collect();
    for run in runs {
        run.await.unwrap().unwrap();
    }
    let started = imagined.started();
    let apart: Vec<_> = started.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(apart, [3600; 3]);
}

async fn version_takes(play: Play) -> (Result<Version, VersionError>, Duration) {
    let world = world();
    let opencode = world.builder_on(ImaginedRuntime::new([]).with_version(play)).build();
    let began = Instant::now();
    let version = opencode.version().await;
    world.assert_nothing_left();
    (version, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn the_version_check_has_a_minute() {
    let late = Play::new().stdout(59 * SECOND, "1.2.3\n").exit(Duration::ZERO, 0);
    assert_eq!(version_takes(late).await.0.unwrap(), Version::new(1, 2, 3));

    for silent in [
        Play::new(),
        Play::new().stdout(SECOND, "1.2.3\n"),
        // Closes the output, and does not exit.
        Play::new().stdout(SECOND, "1.2.3\n").close_stdout(SECOND),
    ] {
        let (version, took) = version_takes(silent).await;
        let error = version.unwrap_err();
        let VersionError::TimedOut { limit, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*limit, MINUTE);
        assert!(error.to_string().ends_with("did not exit within 60 s"), "{error}");
        assert!(took >= *limit && took < *limit + SECOND, "{took:?}");
    }
}
