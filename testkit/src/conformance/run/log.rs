//! The event log.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use opencode_client::log::{EventLogConfig, EventLogError, EventLogMode};
use opencode_client::{RunEnd, RunError};
use serde_json::Value;

use crate::conformance::Host;
use crate::conformance::lines::{FINISH, START, answer, text};
use crate::conformance::world::{GATE, ProgramWorld, rest};
use crate::fake::Behavior;

fn answering(on: &Host) -> ProgramWorld {
    ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")))
}

fn objects(log: &Path) -> Vec<Value> {
    let log = fs::read_to_string(log).unwrap();
    assert!(log.ends_with('\n'), "{log}");
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn types(log: &Path) -> Vec<String> {
    objects(log).iter().map(|object| object["type"].as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn is_written_during_the_run(on: &Host) {
    let word = text("prt_2", "Yes.");
    let world = ProgramWorld::new(
        on,
        Behavior::new().stdout_line(START).pause_until(GATE).stdout_line(&word).stdout_line(FINISH),
    );
    let log = world.path("log");
    let mut run = world.opencode.stream(world.request().with_log(EventLogConfig::new(&log)));
    run.next_event().await.unwrap();
    on.until(&mut run, || fs::read_to_string(&log).unwrap() == format!("{START}\n")).await;
    world.fake.open(GATE).unwrap();
    rest(&mut run).await;
    assert_eq!(fs::read_to_string(&log).unwrap(), format!("{START}\n{word}\n{FINISH}\n"));
}

pub(crate) async fn has_unchanged_events_and_is_readable_by_its_owner_only(on: &Host) {
    let world = answering(on);
    let log = world.path("log");
    let request = world.request().with_log(EventLogConfig::new(&log));
    world.opencode.run(request).await.unwrap();
    assert_eq!(fs::read_to_string(&log).unwrap(), answer("Hello."));
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
}

pub(crate) async fn leaves_out_excluded_types(on: &Host) {
    let world = answering(on);
    let log = world.path("log");
    let config = EventLogConfig::new(&log).without_type("text").without_type("step_start");
    let report = world.opencode.run(world.request().with_log(config)).await.unwrap();
    assert_eq!(types(&log), ["step_finish"]);
    assert_eq!(report.text(), "Hello.");
}

pub(crate) async fn is_truncated_or_appended_to(on: &Host) {
    let world = answering(on);
    let log = world.path("log");
    fs::write(&log, "{\"type\":\"earlier\"}\n").unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o644)).unwrap();
    let run = ["step_start", "text", "step_finish"];
    for (mode, expected) in [
        (EventLogMode::Append, [&["earlier"][..], &run].concat()),
        (EventLogMode::Truncate, run.to_vec()),
        (EventLogMode::Append, [run, run].concat()),
    ] {
        let config = EventLogConfig::new(&log).with_mode(mode);
        world.opencode.run(world.request().with_log(config)).await.unwrap();
        assert_eq!(types(&log), expected);
    }
    assert_eq!(
        fs::metadata(&log).unwrap().permissions().mode() & 0o777,
        0o644,
        "the permissions of an existing file changed"
    );
}

pub(crate) async fn has_diagnostics_and_notices_as_objects(on: &Host) {
    let behavior = Behavior::new()
        .stdout_line("a \"banner\"")
        .stdout_raw(b"\xff\n")
        .stdout_line(START)
        .stderr_line("! permission requested: bash (id); auto-rejecting")
        .stdout_raw(r#"{"type":"#);
    let world = ProgramWorld::new(on, behavior);
    let log = world.path("log");
    let request = world.request().with_log(EventLogConfig::new(&log));
    world.opencode.run(request).await.unwrap_err();
    let mut found: Vec<_> = objects(&log)
        .iter()
        .map(|object| format!("{} {}", object["type"], object["kind"]).replace('"', ""))
        .collect();
    // Stdout and stderr have no common order.
    found.sort();
    let expected = [
        "diagnostic invalid_utf8",
        "diagnostic not_json",
        "diagnostic not_json",
        "diagnostic torn",
        "notice permission_rejected",
        "step_start null",
    ];
    assert_eq!(found, expected);
    assert_eq!(objects(&log)[0]["raw"], "a \"banner\"");
}

pub(crate) async fn write_error_fails_the_run_with_its_report(on: &Host) {
    let world = answering(on);
    // Every write fails as on a full disk.
    let full = EventLogConfig::new("/dev/full");
    let mut run = world.opencode.stream(world.request().with_log(full));
    assert_eq!(rest(&mut run).await.len(), 3, "the run does not continue");
    let error = run.outcome().await.unwrap_err();
    let RunError::Log { report, source } = &error else { panic!("{error:?}") };
    assert_eq!((&*report.text(), &report.outcome.end), ("Hello.", &RunEnd::Completed));
    assert_eq!(source.to_string(), "cannot write to the event log /dev/full");
    assert!(is_full(source));
    assert_eq!(error.report().unwrap().text(), "Hello.");
}

pub(crate) async fn write_error_is_a_warning_of_a_failed_run(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().stdout_line(START).exit(3));
    let full = EventLogConfig::new("/dev/full");
    let error = world.opencode.run(world.request().with_log(full)).await.unwrap_err();
    let RunError::Ended(report) = &error else { panic!("{error:?}") };
    let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
    assert_eq!(warning.to_string(), "cannot write to the event log /dev/full");
}

fn is_full(error: &EventLogError) -> bool {
    let EventLogError::Write { source, .. } = error else { panic!("{error:?}") };
    source.kind() == io::ErrorKind::StorageFull
}

pub(crate) async fn of_many_megabytes_is_complete(on: &Host) {
    let lines: String = (0..200)
        .map(|number| text(&format!("prt_{number}"), &"x".repeat(100_000)) + "\n")
        .collect();
    let world = ProgramWorld::new(
        on,
        Behavior::new().stdout_line(START).stdout_raw(lines.clone()).stdout_line(FINISH),
    );
    let log = world.path("log");
    let request = world.request().with_log(EventLogConfig::new(&log));
    world.opencode.run(request).await.unwrap();
    assert!(fs::read_to_string(&log).unwrap() == format!("{START}\n{lines}{FINISH}\n"));
}

pub(crate) async fn of_parallel_runs_has_whole_lines(on: &Host) {
    let world = answering(on);
    let log = world.path("log");
    let config = EventLogConfig::new(&log).with_mode(EventLogMode::Append);
    let runs = (0..4).map(|_| world.opencode.run(world.request().with_log(config.clone())));
    for result in futures_util::future::join_all(runs).await {
        result.unwrap();
    }
    assert_eq!(types(&log).len(), 4 * 3);
}
