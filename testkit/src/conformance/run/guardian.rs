//! Runs of a client process that ends without a chance to clean up.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use opencode_client::RunConfig;
use opencode_client::process::GuardianError;
use opencode_client::run::Warning;

use crate::conformance::lines::{START, answer};
use crate::conformance::program::{self, ClientProcess, ClientRole};
use crate::conformance::world::{ProgramWorld, send};
use crate::conformance::{Host, LONG};
use crate::fake::{Behavior, Pipes, Signal};
use crate::processes::eventually;

/// A program that runs until it is ended, with tools in sessions of their own and private files.
fn running() -> Behavior {
    let tools = Behavior::new().spawn_orphan(Pipes::Hold).spawn_tool(Pipes::Close);
    tools.read_stdin().stdout_line(START).hang()
}

/// Starts a client process and waits for the first event of the run.
fn start(world: &ProgramWorld, part: ClientRole) -> ClientProcess {
    let mut program = program::start(world, part);
    assert_eq!(program.wait_for("event"), "step_start");
    program
}

#[track_caller]
fn assert_left_to_the_guardian(world: &ProgramWorld) {
    eventually(LONG, || {
        let left = (world.processes(), world.private_dirs(), world.guardians());
        if left.0.is_empty() && left.1.is_empty() && left.2.is_empty() { Ok(()) } else { Err(left) }
    });
}

pub(crate) async fn a_killed_client_leaves_nothing(on: &Host) {
    let world = ProgramWorld::new(on, running());
    let mut program = start(&world, ClientRole::Wait);
    // The client, OpenCode and the two tools. A process is invisible for a moment while it execs.
    eventually(LONG, || match world.processes() {
        processes if processes.len() > 1 + 2 => Ok(()),
        processes => Err(processes),
    });
    assert_eq!((world.private_dirs().len(), world.guardians().len()), (1, 1));
    send("KILL", &program.id().to_string());
    assert_eq!(program.wait().signal(), Some(9));
    assert_left_to_the_guardian(&world);
}

pub(crate) async fn a_killed_client_leaves_no_process_that_ignores_signals(on: &Host) {
    let deaf = [Signal::Terminate, Signal::Interrupt, Signal::Hangup];
    let deaf = deaf.into_iter().fold(Behavior::new(), Behavior::ignore);
    let world = ProgramWorld::new(on, deaf.spawn_orphan(Pipes::Close).stdout_line(START).hang());
    let mut program = start(&world, ClientRole::Wait);
    send("KILL", &program.id().to_string());
    program.wait();
    assert_left_to_the_guardian(&world);
}

pub(crate) async fn an_aborted_client_leaves_nothing(on: &Host) {
    let world = ProgramWorld::new(on, running());
    let mut program = start(&world, ClientRole::Abort);
    assert_eq!(program.wait().signal(), Some(6));
    assert_left_to_the_guardian(&world);
}

pub(crate) async fn a_client_that_exits_during_a_run_leaves_nothing(on: &Host) {
    let world = ProgramWorld::new(on, running());
    let mut program = start(&world, ClientRole::Exit);
    assert!(program.wait().success());
    assert_left_to_the_guardian(&world);
}

pub(crate) async fn a_client_whose_process_group_is_signalled_leaves_nothing(on: &Host) {
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        let world = ProgramWorld::new(on, running());
        let mut program = start(&world, ClientRole::Wait);
        send(signal, &format!("-{}", program.id()));
        assert_eq!(program.wait().signal(), Some(number));
        assert_left_to_the_guardian(&world);
    }
}

pub(crate) async fn a_client_killed_during_a_version_check_leaves_nothing(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new());
    world.hide_version();
    let mut program = program::start(&world, ClientRole::Version);
    eventually(LONG, || match world.private_dirs() {
        found if found.len() == 1 && world.processes().len() > 1 => Ok(()),
        found => Err(found),
    });
    send("KILL", &program.id().to_string());
    program.wait();
    assert_left_to_the_guardian(&world);
}

pub(crate) async fn a_run_without_a_guardian_completes_with_a_warning(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    let mut environment = world.environment();
    // Too long for the environment of the guardian. The run has another search path.
    environment.set("PATH", "/bin:".repeat(50_000));
    let opencode = world.builder().environment(environment).build();
    let config = RunConfig::new().with_env("PATH", "/bin");
    let report = opencode.run(world.request().with_config(config)).await.unwrap();
    assert_eq!(report.text(), "Hello.");
    // The run's own search path may have ripgrep or not.
    let of_guardian = |warning: &&Warning| !matches!(warning, Warning::Ripgrep(_));
    let warnings: Vec<_> = report.warnings.iter().filter(of_guardian).collect();
    let [Warning::Guardian(error)] = warnings[..] else { panic!("{warnings:?}") };
    assert!(matches!(**error, GuardianError::Start(_)), "{error:?}");
    assert_eq!(warnings[0].to_string(), "cannot start the guardian /bin/sh");
    assert_eq!(world.guardians(), []);
}

pub(crate) async fn a_guardian_ends_with_its_handle(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().stdout_raw(answer("Hello.")));
    let opencode = world.builder().build();
    assert_eq!(world.guardians(), [], "a guardian without a run");
    opencode.run(world.request()).await.unwrap();
    let clone = opencode.clone();
    drop(opencode);
    assert_eq!(world.guardians().len(), 1);
    drop(clone);
    assert_eq!(world.guardians(), []);
}

pub(crate) async fn a_killed_guardian_harms_no_run_and_is_replaced(on: &Host) {
    let world = ProgramWorld::new(on, running());
    let run = world.started().await;
    let [guardian] = &world.guardians()[..] else { panic!("one") };
    send("KILL", &guardian.pid.to_string());
    // No other run is needed for that.
    let replaced = || match &world.guardians()[..] {
        [replacement] if replacement.pid != guardian.pid => Ok(()),
        guardians => Err(format!("{guardians:?}")),
    };
    eventually(LONG, replaced);
    let other = world.started().await;
    assert_eq!(world.guardians().len(), 1);
    drop(run);
    assert_eq!(world.private_dirs().len(), 1);
    drop(other);
    world.assert_nothing_left();
}

pub(crate) async fn a_client_killed_after_its_guardian_leaves_nothing(on: &Host) {
    let world = ProgramWorld::new(on, running());
    let mut program = start(&world, ClientRole::Wait);
    let [guardian] = &world.guardians()[..] else { panic!("one") };
    send("KILL", &guardian.pid.to_string());
    eventually(LONG, || match &world.guardians()[..] {
        [replacement] if replacement.pid != guardian.pid => Ok(()),
        guardians => Err(format!("{guardians:?}")),
    });
    send("KILL", &program.id().to_string());
    program.wait();
    assert_left_to_the_guardian(&world);
}

pub(crate) async fn leftovers_of_a_dead_client_and_guardian_are_swept_at_the_next_start(on: &Host) {
    let world = ProgramWorld::with_attempts(
        on,
        [running(), Behavior::new().read_stdin().stdout_raw(answer("Hello."))],
    );
    let mut program = start(&world, ClientRole::Wait);
    // A stopped client cannot replace its guardian.
    send("STOP", &program.id().to_string());
    let [guardian] = &world.guardians()[..] else { panic!("one") };
    send("KILL", &guardian.pid.to_string());
    send("KILL", &program.id().to_string());
    program.wait();
    assert!(!world.processes().is_empty(), "the run goes on without its client");
    assert_eq!(world.private_dirs().len(), 1);

    let report = world.opencode.run(world.request()).await.unwrap();
    assert_eq!(report.text(), "Hello.");
    world.assert_nothing_left();
}

pub(crate) async fn a_guardian_needs_no_search_path(on: &Host) {
    let world = ProgramWorld::new(on, running());
    let mut environment = world.environment();
    environment.set("PATH", world.path("empty"));
    let opencode = world.builder().environment(environment).build();
    let mut run = opencode.stream(world.request());
    run.next_event().await.unwrap();
    assert_eq!(world.guardians().len(), 1);
    run.cancel();
    let error = run.outcome().await.unwrap_err();
    let [Warning::Ripgrep(missing)] = &error.report().unwrap().warnings[..] else {
        panic!("{error:?}")
    };
    assert!(missing.to_string().contains("ripgrep (`rg`) was not found"), "{missing}");
}

pub(crate) async fn a_guardian_inherits_no_environment(on: &Host) {
    let world = ProgramWorld::new(on, running());
    let mut environment = world.environment();
    environment.set("API_KEY", "s3cret");
    let opencode = world.builder().environment(environment).build();
    let mut run = opencode.stream(world.request());
    run.next_event().await.unwrap();
    let [guardian] = &world.guardians()[..] else { panic!("one") };
    let environ = fs::read(format!("/proc/{}/environ", guardian.pid)).unwrap();
    let environ = String::from_utf8(environ).unwrap();
    let mut names: Vec<_> =
        environ.split_terminator('\0').filter_map(|entry| Some(entry.split_once('=')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["LC_ALL", "OPENCODE_RS_GUARDIAN", "PATH"]);
}
