//! The log of a run's events, and how it is read again.

use std::fs;
use std::time::Instant;

use opencode_proto::{Run, RunAction, RunSettings};
use opencode_tokio::{AgentFallback, EventLogConfig, EventLogMode, RunError, RunEvent, RunOutcome};
use testkit::conformance::real::runs::{RunWorld, bash, types};
use testkit::model::{Reply, Script};

use crate::on;

/// What a run said, from its log alone.
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
            RunAction::Wait(_) => panic!("nothing is left to wait for"),
        }
    }
}

#[tokio::test]
async fn a_log_holds_the_events_and_can_be_replayed() {
    let world = RunWorld::new(&on());
    let first = Reply::new().text("One\n").tool("bash", bash("printf 'a\\nb\\033[0m'"));
    let second = Reply::new().text("Two \u{1f980}");
    world.model.default_script(Script::new().then(first).then(second));
    let path = world.path("events.jsonl");
    fs::write(&path, "{\"type\":\"of another run\"}\n").unwrap();
    let log = EventLogConfig::new(&path).with_mode(EventLogMode::Append).without_type("step_start");
    // An agent that is none gives a notice, which is no line of standard output.
    let config = world.config().with_agent("general");
    let mut request = world.request_with("Go.", config).with_log(log);
    request.settings.agent_fallback = AgentFallback::Accept;

    let mut run = world.start(request);
    let mut events = run.events().await;
    let report = run.outcome().await.unwrap();

    assert_eq!(types(&events).iter().filter(|kind| **kind == "step_start").count(), 2);
    events.retain(|event| event.event_type() != "step_start");
    let logged = fs::read(&path).unwrap();
    let lines: Vec<_> = logged.split_inclusive(|byte| *byte == b'\n').collect();
    let told = events.iter().map(|event| [&*event.to_json_line(), b"\n"].concat());
    assert_eq!(lines[0], b"{\"type\":\"of another run\"}\n");
    assert_eq!(lines[1..], told.collect::<Vec<_>>());

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
async fn a_log_that_cannot_be_opened_stops_a_run_before_it_starts() {
    let world = RunWorld::new(&on());
    let log = EventLogConfig::new(world.path("no/such/directory"));

    let error = world.run(world.request("Go.").with_log(log)).await.unwrap_err();

    assert!(matches!(error, RunError::LogOpen(_)), "{error:?}");
    assert_eq!(world.model.requests().len(), 0);
}
