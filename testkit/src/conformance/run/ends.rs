//! Ends of runs, and their reports.

use opencode_client::run::Exit;
use opencode_client::{RunEnd, RunError};

use crate::conformance::Host;
use crate::conformance::lines::{FINISH, START, answer, text};
use crate::conformance::world::{GATE, ProgramWorld, error_chain, rest, send};
use crate::fake::{Behavior, Signal};
use crate::opencode::VERSION;

async fn ends_with(on: &Host, behavior: Behavior, expected: RunEnd, exit: Exit) {
    let shown = format!("{behavior:?}");
    let world = ProgramWorld::new(on, behavior);
    let error = world.opencode.run(world.request()).await.unwrap_err();
    let RunError::Ended(report) = &error else { panic!("{error:?} of {shown}") };
    assert_eq!(report.outcome.end, expected, "of {shown}");
    assert_eq!(report.outcome.exit, Some(exit), "of {shown}");
    assert_eq!(error.to_string(), format!("`{}` (OpenCode {VERSION}): {expected}", report.command));
    assert_eq!((report.attempts, world.calls().len()), (1, 1));
}

fn started() -> Behavior {
    Behavior::new().stdout_line(START)
}

pub(crate) async fn a_failure_before_the_first_event_is_a_startup_error(on: &Host) {
    let message = |message: &str| RunEnd::StartupError { message: message.to_owned() };
    let refused = Behavior::new().stderr_line("Error: Session not found");
    ends_with(on, refused.clone().exit(1), message("Session not found"), Exit::Code(1)).await;
    // Some failures come with exit code 0.
    ends_with(on, refused, message("Session not found"), Exit::Code(0)).await;
    ends_with(on, Behavior::new().exit(42), message(""), Exit::Code(42)).await;
    ends_with(on, Behavior::new(), RunEnd::Torn, Exit::Code(0)).await;
}

pub(crate) async fn a_failure_after_an_event_is_a_crash(on: &Host) {
    let crashed = |code, message: &str| RunEnd::Crashed { code, message: message.to_owned() };
    let failed = started().stderr_line("Error: database is locked").exit(3);
    ends_with(on, failed, crashed(3, "database is locked"), Exit::Code(3)).await;
    let failed = started().stderr_line("Error: out of memory").exit(3);
    let message = "the process ran out of memory: out of memory";
    ends_with(on, failed, crashed(3, message), Exit::Code(3)).await;
    let answered = Behavior::new().stdout_raw(answer("Hello.")).exit(255);
    ends_with(on, answered, crashed(255, ""), Exit::Code(255)).await;
    ends_with(on, started(), RunEnd::Torn, Exit::Code(0)).await;
}

pub(crate) async fn a_signal_is_reported(on: &Host) {
    for (signal, number) in
        [(Signal::Hangup, 1), (Signal::Interrupt, 2), (Signal::Kill, 9), (Signal::Terminate, 15)]
    {
        let interrupted = RunEnd::Interrupted { signal: number };
        for behavior in [Behavior::new(), started()] {
            let killed = behavior.kill_self(signal);
            ends_with(on, killed, interrupted.clone(), Exit::Signal(number)).await;
        }
    }
    // Shells exit with 128 + n when signal n ended their child.
    let code = started().exit(143);
    ends_with(on, code, RunEnd::Interrupted { signal: 15 }, Exit::Code(143)).await;
}

pub(crate) async fn a_killed_program_keeps_partial_results(on: &Host) {
    let behavior = started().stdout_line(&text("prt_2", "Half an ans")).pause_until(GATE);
    let world = ProgramWorld::new(on, behavior.stdout_line(FINISH));
    let mut run = world.opencode.stream(world.request());
    run.next_event().await.unwrap();
    run.next_event().await.unwrap();
    send("SEGV", &world.call().pid.to_string());
    assert_eq!(rest(&mut run).await, []);
    let error = run.outcome().await.unwrap_err();
    assert_eq!(error.end(), Some(&RunEnd::Interrupted { signal: 11 }));
    assert_eq!(error.report().unwrap().text(), "Half an ans");
    assert!(error_chain(&error).ends_with("signal 11 ended the process"), "{error}");
}

pub(crate) async fn a_complete_answer_has_a_full_report(on: &Host) {
    let behavior = Behavior::new().stderr_line("note").stdout_raw(answer("Hello."));
    let world = ProgramWorld::new(on, behavior);
    let report = world.opencode.run(world.request()).await.unwrap();
    assert_eq!(report.outcome.end, RunEnd::Completed);
    assert_eq!(report.outcome.exit, Some(Exit::Code(0)));
    assert_eq!((report.attempts, report.warnings.len()), (1, 0));
    assert_eq!(report.outcome.stderr, "note\n");
    assert_eq!(report.outcome.lines.events, 3);
    assert_eq!(report.text(), "Hello.");
    assert_eq!(report.answer().session().unwrap().as_str(), "ses_1");
    let program = world.fake.program();
    let expected = format!("{} run --format json ", program.display());
    assert!(report.command.starts_with(&expected), "{}", report.command);
}
