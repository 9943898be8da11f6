//! Retries of starts that find the database locked by another process.

use std::ffi::OsStr;
use std::time::Duration;

use opencode_client::log::EventLogConfig;
use opencode_client::run::StartupRetry;
use opencode_client::{RunEnd, RunError};

use crate::conformance::Host;
use crate::conformance::lines::{DATABASE_LOCKED, START, answer};
use crate::conformance::world::{ProgramWorld, rest, types};
use crate::fake::Behavior;

fn locked() -> Behavior {
    Behavior::new().stderr_line(DATABASE_LOCKED).exit(1)
}

fn retry(retries_max: u32) -> StartupRetry {
    StartupRetry::new(retries_max, Duration::ZERO)
}

pub(crate) async fn a_locked_database_is_retried_up_to_the_limit(on: &Host) {
    for retries_max in [0, 1, 3] {
        let world = ProgramWorld::new(on, locked());
        let request = world.request().with_retry(retry(retries_max));
        let error = world.opencode.run(request).await.unwrap_err();
        let RunError::Ended(report) = &error else { panic!("{error:?}") };
        let message = "database is locked".to_owned();
        assert_eq!(report.outcome.end, RunEnd::StartupDatabase { message });
        assert_eq!(report.attempts, retries_max + 1);
        assert_eq!(world.calls().len(), report.attempts as usize);
    }
}

pub(crate) async fn failed_attempts_leave_no_trace_in_the_result(on: &Host) {
    let behavior = Behavior::new().read_stdin().stdout_raw(answer("Hello."));
    let world = ProgramWorld::with_attempts(on, [locked(), behavior]);
    let log = world.path("log");
    let request = world.request().with_retry(retry(2)).with_log(EventLogConfig::new(&log));
    let mut run = world.opencode.stream(request);
    let events = rest(&mut run).await;
    let report = run.outcome().await.unwrap();

    assert_eq!(types(&events), ["step_start", "text", "step_finish"]);
    assert_eq!(std::fs::read_to_string(log).unwrap(), answer("Hello."));
    assert_eq!((report.attempts, &*report.text()), (2, "Hello."));
    assert_eq!(report.outcome.stderr, "", "the report has output of a failed attempt");
    let calls = world.calls();
    assert_eq!(calls[0].args, calls[1].args);
    assert_eq!(calls[1].stdin.as_deref(), Some(&b"Hello?"[..]));
    let data = |call: usize| calls[call].env.get(OsStr::new("XDG_DATA_HOME")).unwrap();
    assert_ne!(data(0), data(1), "both attempts have the same directory");
}

pub(crate) async fn diagnostics_of_failed_attempts_are_delivered(on: &Host) {
    let banner = Behavior::new().stdout_line("a banner").stderr_line(DATABASE_LOCKED).exit(1);
    let world =
        ProgramWorld::with_attempts(on, [banner, Behavior::new().stdout_raw(answer("Hello."))]);
    let log = world.path("log");
    let request = world.request().with_retry(retry(2)).with_log(EventLogConfig::new(&log));
    let mut run = world.opencode.stream(request);
    let expected = ["diagnostic", "step_start", "text", "step_finish"];
    assert_eq!(types(&rest(&mut run).await), expected);
    assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), expected.len());
    assert_eq!(run.outcome().await.unwrap().attempts, 2);
}

pub(crate) async fn other_failures_are_not_retried(on: &Host) {
    for behavior in [
        // The model may have been called already.
        Behavior::new().stdout_line(START).stderr_line(DATABASE_LOCKED).exit(1),
        Behavior::new().stderr_line("Error: Session not found").exit(1),
        Behavior::new().kill_self(crate::fake::Signal::Kill),
        Behavior::new(),
    ] {
        let world = ProgramWorld::new(on, behavior);
        let error = world.opencode.run(world.request().with_retry(retry(2))).await.unwrap_err();
        let report = error.report().unwrap();
        assert_eq!((report.attempts, world.calls().len()), (1, 1), "{error}");
    }
}
