//! Runs that start a server of their own.

use opencode_tokio::config::RunFlags;
use opencode_tokio::event::Deadline;
use opencode_tokio::run::{Backend, Exit};
use opencode_tokio::{Deadlines, RunEnd, RunEvent, RunRequest};
use serde_json::json;
use testkit::conformance::real::runs::{RunWorld, bash, object, types};
use testkit::model::{Reply, Script};
use testkit::processes::Process;

use crate::on;
use crate::shared::kill;
use crate::world::titled;

fn request(world: &RunWorld, reply: impl Into<Script>) -> RunRequest {
    world.model.default_script(reply);
    world.request("Go.").with_backend(Backend::NewServer)
}

fn is_server(process: &Process) -> bool {
    process.cmdline.iter().any(|argument| argument == "serve")
}

#[tokio::test]
async fn a_server_for_one_run_is_isolated_and_leaves_nothing() {
    let world = RunWorld::new(&on());
    let step = Reply::new()
        .deltas(["I ", "look."])
        .tool("bash", bash("echo $OF_THE_RUN; sleep 300 >&- 2>&- &"));
    let script = Script::new().then(step).then(Reply::new().text("Done."));
    let request = request(&world, script);
    let config = request.config().clone().with_env("OF_THE_RUN", "told");
    let request = request.with_config(config);

    let mut run = world.start(request);
    let started = run.until(|event| event.event_type() == "step_start").await;
    assert_eq!(world.processes().iter().filter(|process| is_server(process)).count(), 1);
    assert!(world.private_dir().join("data/opencode").exists());
    let events = run.events().await;
    let report = run.outcome().await.unwrap();

    assert_eq!((started.session.as_ref(), report.attempts), (report.answer().session(), 1));
    let streamed: String = events.iter().filter_map(RunEvent::text).collect();
    assert_eq!((&*streamed, &*report.answer().full_text()), ("I look.Done.", "I look.Done."));
    assert_eq!(*report.answer().tools()[0].state.output().unwrap(), "told\n");
    assert!(report.command.contains(" serve "), "{}", report.command);
    assert!(report.warnings.is_empty() && report.outcome.exit.is_none(), "{report:?}");
}

#[tokio::test]
async fn a_cancelled_or_dropped_run_leaves_nothing() {
    let world = RunWorld::new(&on());
    let mut run = world.start(request(&world, Reply::new().text("I wait.").stall()));
    run.until(|event| event.text().as_deref() == Some("I wait.")).await;
    run.stream.cancel();
    let error = run.outcome().await.unwrap_err();
    assert_eq!(error.end(), Some(&RunEnd::Cancelled));

    let mut run = world.start(request(&world, Reply::new().text("I wait.").stall()));
    run.until(|event| event.text().as_deref() == Some("I wait.")).await;
    drop(run);
    world.assert_nothing_left();

    // The same while the server starts.
    let mut run = world.start(request(&world, Reply::new().text("Never said.")));
    starting(&world, &mut run).await;
    drop(run);
    world.assert_nothing_left();
    let mut run = world.start(request(&world, Reply::new().text("Never said.")));
    starting(&world, &mut run).await;
    run.stream.cancel();
    let error = run.outcome().await.unwrap_err();
    assert_eq!(error.end(), Some(&RunEnd::Cancelled));
}

/// Polls the run until the process of the server is running.
async fn starting(world: &RunWorld, run: &mut testkit::conformance::real::runs::LiveRun<'_>) {
    let root = world.root();
    let (_, events) = run
        .during(move || {
            testkit::processes::eventually(testkit::conformance::real::runs::LONG, || {
                let processes = testkit::conformance::real::runs::processes_of(&root);
                if processes.iter().any(is_server) { Ok(()) } else { Err(processes) }
            });
        })
        .await;
    assert_eq!(types(&events), [""; 0]);
}

#[tokio::test]
async fn a_server_that_fails_ends_its_run() {
    let world = RunWorld::new(&on());
    let invalid = request(&world, Reply::new())
        .with_config(titled(RunFlags::new()).with_overrides(object(&json!({ "model": 1 }))));
    let error = world.run(invalid).await.unwrap_err();
    let end = error.end().unwrap_or_else(|| panic!("{error:?}"));
    assert!(matches!(end, RunEnd::StartupError { .. }), "{end}");

    let deadline = std::time::Duration::from_millis(100);
    let late = request(&world, Reply::new()).with_deadlines(Deadlines::NONE.with_overall(deadline));
    let error = world.run(late).await.unwrap_err();
    assert_eq!(error.end().and_then(RunEnd::deadline), Some(Deadline::Overall));

    let mut run = world.start(request(&world, Reply::new().text("I wait.").stall()));
    run.until(|event| event.text().as_deref() == Some("I wait.")).await;
    kill(world.processes().iter().find(|process| is_server(process)).unwrap().pid);
    let error = run.outcome().await.unwrap_err();
    let report = error.report().unwrap();
    assert_eq!(report.outcome.end, RunEnd::Interrupted { signal: 9 });
    assert_eq!(report.outcome.exit, Some(Exit::Signal(9)));
    assert_eq!(world.model.requests().len(), 1);
}
