//! Another try, when several processes began to use one database at once.

use std::ffi::OsStr;
use std::time::Duration;

use opencode_tokio::{EventLogConfig, RunEnd, RunError, StartupRetry};
use testkit::fake::Behavior;

use crate::events::{DATABASE_LOCKED, START, answer};
use crate::imagined::{Imagined, Play};
use crate::world::{World, rest, settings, types};

const AT_ONCE: StartupRetry = StartupRetry::NONE;

fn locked() -> Behavior {
    Behavior::new().stderr_line(DATABASE_LOCKED).exit(1)
}

fn retry(retries_max: u32) -> StartupRetry {
    StartupRetry::new(retries_max, Duration::ZERO)
}

#[tokio::test]
async fn it_is_tried_as_often_as_allowed_and_no_more() {
    for retries_max in [0, 1, 3] {
        let world = World::new(locked());
        let request = world.request().with_retry(retry(retries_max));
        let error = world.opencode.run(request).await.unwrap_err();
        let RunError::Ended(report) = &error else { panic!("{error:?}") };
        let message = "database is locked".to_owned();
        assert_eq!(report.outcome.end, RunEnd::StartupDatabase { message });
        assert_eq!(report.attempts, retries_max + 1);
        assert_eq!(world.calls().len(), report.attempts as usize);
    }
}

#[tokio::test]
async fn what_failed_before_the_answer_is_not_seen() {
    let behavior = Behavior::new().read_stdin().stdout_raw(answer("Hello."));
    let world = World::with_attempts([locked(), behavior]);
    let log = world.path("log");
    let request = world.request().with_retry(retry(2)).with_log(EventLogConfig::new(&log));
    let mut run = world.opencode.stream(request);
    let events = rest(&mut run).await;
    let report = run.outcome().await.unwrap();

    assert_eq!(types(&events), ["step_start", "text", "step_finish"]);
    assert_eq!(std::fs::read_to_string(log).unwrap(), answer("Hello."));
    assert_eq!((report.attempts, &*report.text()), (2, "Hello."));
    assert_eq!(report.outcome.stderr, "", "of the try that worked");
    let calls = world.calls();
    assert_eq!(calls[0].args, calls[1].args);
    assert_eq!(calls[1].stdin.as_deref(), Some(&b"Hello?"[..]));
    let data = |call: usize| calls[call].env.get(OsStr::new("XDG_DATA_HOME")).unwrap();
    assert_ne!(data(0), data(1), "a directory of its own");
}

#[tokio::test]
async fn what_was_no_event_was_told_before() {
    let banner = Behavior::new().stdout_line("a banner").stderr_line(DATABASE_LOCKED).exit(1);
    let world = World::with_attempts([banner, Behavior::new().stdout_raw(answer("Hello."))]);
    let log = world.path("log");
    let request = world.request().with_retry(retry(2)).with_log(EventLogConfig::new(&log));
    let mut run = world.opencode.stream(request);
    let expected = ["diagnostic", "step_start", "text", "step_finish"];
    assert_eq!(types(&rest(&mut run).await), expected);
    assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), expected.len());
    assert_eq!(run.outcome().await.unwrap().attempts, 2);
}

#[tokio::test]
async fn nothing_else_is_tried_again() {
    for behavior in [
        // The model was asked already.
        Behavior::new().stdout_line(START).stderr_line(DATABASE_LOCKED).exit(1),
        Behavior::new().stderr_line("Error: Session not found").exit(1),
        Behavior::new().kill_self(testkit::fake::Signal::Kill),
        Behavior::new(),
    ] {
        let world = World::new(behavior);
        let error = world.opencode.run(world.request().with_retry(retry(2))).await.unwrap_err();
        let report = error.report().unwrap();
        assert_eq!((report.attempts, world.calls().len()), (1, 1), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_wait_is_twice_as_long_as_the_one_before() {
    const HOUR: Duration = Duration::from_secs(3600);
    let locked = Play::new().stderr(Duration::ZERO, DATABASE_LOCKED).exit(Duration::ZERO, 1);
    let imagined = Imagined::new([locked]);
    let world = World::new(Behavior::new());
    let opencode = world.builder_on(imagined.clone()).build();
    let request = world.request().with_settings(settings(|settings| {
        settings.deadlines = opencode_tokio::Deadlines::NONE;
    }));

    let error = opencode.run(request.clone().with_retry(StartupRetry::new(3, HOUR))).await;
    assert_eq!(error.unwrap_err().report().unwrap().attempts, 4);
    let started = imagined.started();
    let waits: Vec<_> = started.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect();
    assert_eq!(waits, [3600, 2 * 3600, 4 * 3600]);

    opencode.run(request.with_retry(AT_ONCE)).await.unwrap_err();
    assert_eq!(imagined.started().len(), 5);
}
