//! Deadlines of real processes. `time` tests their lengths in virtual time.

use std::time::Duration;

use opencode_client::event::Deadline;
use opencode_client::run::Exit;
use opencode_client::{Deadlines, RunEnd};

use crate::conformance::Host;
use crate::conformance::lines::{START, answer, text};
use crate::conformance::world::{ProgramWorld, rest, types};
use crate::fake::{Behavior, Pipes, Signal};

const SHORT: Duration = Duration::from_millis(50);

pub(crate) async fn each_deadline_ends_the_run(on: &Host) {
    let hanging = Behavior::new().read_stdin().hang();
    let silent = Behavior::new().read_stdin().stdout_line(START).hang();
    for (behavior, deadlines, deadline, events) in [
        (&hanging, Deadlines::NONE.with_first_event(SHORT), Deadline::FirstEvent, 0),
        (&silent, Deadlines::NONE.with_idle(SHORT), Deadline::Idle, 1),
        (&hanging, Deadlines::NONE.with_overall(SHORT), Deadline::Overall, 0),
    ] {
        let world = ProgramWorld::new(on, behavior.clone());
        let mut run = world.opencode.stream(world.request().with_deadlines(deadlines));
        assert_eq!(rest(&mut run).await.len(), events, "{deadline}");
        let error = run.outcome().await.unwrap_err();
        assert_eq!(error.end().and_then(RunEnd::deadline), Some(deadline));
        assert_eq!(error.report().unwrap().outcome.exit, Some(Exit::Signal(15)));
        assert!(error.to_string().ends_with(&deadline.to_string()), "{error}");
    }
}

pub(crate) async fn partial_results_are_kept(on: &Host) {
    let behavior = Behavior::new().stdout_line(START).stdout_line(&text("prt_2", "Half"));
    let world = ProgramWorld::new(on, behavior.hang());
    let request = world.request().with_deadlines(Deadlines::NONE.with_idle(SHORT));
    let mut run = world.opencode.stream(request);
    assert_eq!(types(&rest(&mut run).await), ["step_start", "text"]);
    let error = run.outcome().await.unwrap_err();
    assert_eq!(error.report().unwrap().text(), "Half");
}

pub(crate) async fn a_program_that_ignores_sigterm_is_killed(on: &Host) {
    let deaf = Behavior::new().ignore(Signal::Terminate).spawn_orphan(Pipes::Hold);
    let world = ProgramWorld::new(on, deaf.stdout_line(START).hang());
    let request = world.request_with(|settings| {
        settings
            .with_deadlines(Deadlines::NONE.with_idle(SHORT))
            .with_kill_grace(Duration::from_secs(1))
    });
    let error = world.opencode.run(request).await.unwrap_err();
    assert_eq!(error.end().and_then(RunEnd::deadline), Some(Deadline::Idle));
    assert_eq!(error.report().unwrap().outcome.exit, Some(Exit::Signal(9)));
    assert_eq!(world.call().started.len(), 1);
}

pub(crate) async fn a_run_within_its_deadlines_completes(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    let minute = Duration::from_secs(60);
    let deadlines = Deadlines::NONE.with_first_event(minute).with_idle(minute);
    let request = world.request().with_deadlines(deadlines.with_overall(minute));
    assert_eq!(world.opencode.run(request).await.unwrap().outcome.exit, Some(Exit::Code(0)));
}
