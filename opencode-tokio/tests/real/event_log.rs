//! Event logs of runs, and their replay.

use std::fs;
use std::time::Instant;

use opencode_proto::{Run, RunAction, RunSettings};
use opencode_tokio::log::{EventLogConfig, EventLogMode};
use opencode_tokio::run::{AgentFallback, RunOutcome};
use opencode_tokio::{RunError, RunEvent};
use testkit::conformance::real::runs::{RunWorld, bash, types};
use testkit::model::{Reply, Script};

use crate::on;

/// Replays a log. Returns the outcome and the events.
fn replay(log: Vec<u8>) -> (RunOutcome, Vec<RunEvent>) {
    let now = Instant::now();
    let mut run = Run::new(RunSettings::default(), now);
    run.handle_stdout(log.into(), now);
    run.handle_stdout_end(now);
    run.handle_stderr_end(now);
    run.handle_exit(None, now);
    let mut events = Vec::new();
    loop {
        match run.poll_action() {
            RunAction::Event(event) => events.push(*event),
            RunAction::Finished(outcome) => return (*outcome, events),
            RunAction::Signal(_) | RunAction::Sweep => {}
            RunAction::Wait(_) => panic!("the replayed run waits"),
        }
    }
}

#[tokio::test]
async fn a_log_contains_the_events_and_can_be_replayed() {
    let world = RunWorld::new(&on());
    let first = Reply::new().text("One\n").tool("bash", bash("printf 'a\\nb\\033[0m'"));
    let second = Reply::new().text("Two \u{1f980}");
    world.model.default_script(Script::new().then(first).then(second));
    let path = world.path("events.jsonl");
    fs::write(&path, "{\"type\":\"of another run\"}\n").unwrap();
    let log = EventLogConfig::new(&path).with_mode(EventLogMode::Append).without_type("step_start");
    // Another agent than requested gives a notice, which is not on standard output.
    let config = world.config().with_agent("general");
    let request = world.request_with("Go.", config).with_log(log);
    let settings = request.settings().clone().with_agent_fallback(AgentFallback::Accept);
    let request = request.with_settings(settings);

    let mut run = world.start(request);
    let mut events = run.events().await;
    let report = run.outcome().await.unwrap();

    assert_eq!(types(&events).iter().filter(|kind| **kind == "step_start").count(), 2);
    events.retain(|event| event.event_type() != "step_start");
    let logged = fs::read(&path).unwrap();
    let lines: Vec<_> = logged.split_inclusive(|byte| *byte == b'\n').collect();
    let lines_of_events = events.iter().map(|event| [&*event.to_json_line(), b"\n"].concat());
    assert_eq!(lines[0], b"{\"type\":\"of another run\"}\n");
    assert_eq!(lines[1..], lines_of_events.collect::<Vec<_>>());

    let (outcome, replayed) = replay(lines[1..].concat());
    assert_eq!(replayed, events);
    assert_eq!(outcome.answer.text(), report.text());
    assert_eq!(outcome.answer.full_text(), "One\nTwo \u{1f980}");
    assert_eq!(outcome.answer.tools(), report.answer().tools());
    assert_eq!(outcome.answer.tokens(), report.answer().tokens());
    assert_eq!(outcome.notices, report.outcome.notices);
    assert_eq!(outcome.notices.len(), 1);
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_prevents_the_start() {
    let world = RunWorld::new(&on());
    let log = EventLogConfig::new(world.path("no/such/directory"));

    let error = world.run(world.request("Go.").with_log(log)).await.unwrap_err();

    assert!(matches!(error, RunError::LogOpen(_)), "{error:?}");
    assert_eq!(world.model.requests().len(), 0);
}
