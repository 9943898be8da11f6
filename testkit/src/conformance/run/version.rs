//! The version of the program.

use opencode_client::process::{Version, VersionError};

use crate::conformance::Host;
use crate::conformance::lines::answer;
use crate::conformance::world::{ProgramWorld, is_alive, is_zombie, poll_once};
use crate::fake::Behavior;

fn world(on: &Host) -> ProgramWorld {
    ProgramWorld::new(on, Behavior::new())
}

pub(crate) async fn is_parsed(on: &Host) {
    let world = world(on);
    world.fake.set_version("1.18.33").unwrap();
    assert_eq!(world.opencode.version().await.unwrap(), Version::new(1, 18, 33));
    world.assert_nothing_left();
    world.fake.set_version("opencode v2.0.0-beta.1 (linux)").unwrap();
    let version = world.opencode.version().await.unwrap();
    assert_eq!(version.to_string(), "2.0.0-beta.1");
    assert_eq!(world.calls().len(), 0, "the version check started a run");
}

pub(crate) async fn is_an_error_when_unparsable(on: &Host) {
    let world = world(on);
    world.fake.set_version("\nnot a version\n").unwrap();
    let error = world.opencode.version().await.unwrap_err();
    let VersionError::NoVersion { command, printed } = &error else { panic!("{error:?}") };
    assert!(command.ends_with("/opencode --version"), "{command}");
    assert_eq!(printed, "not a version");
    assert!(error.to_string().contains("printed no version: not a version"), "{error}");
}

pub(crate) async fn is_read_from_limited_output(on: &Host) {
    let world = world(on);
    world.fake.set_version(&"x".repeat(10 << 20)).unwrap();
    let error = world.opencode.version().await.unwrap_err();
    let VersionError::NoVersion { printed, .. } = &error else { panic!("{error:?}") };
    assert!(printed.len() <= 4 << 10, "{} bytes", printed.len());
}

pub(crate) async fn check_leaves_nothing_when_dropped(on: &Host) {
    let world = world(on);
    world.hide_version();
    let opencode = world.opencode.clone();
    let task = on.spawn(async move { opencode.version().await });
    // The program, and `cat`, which it prints the file with.
    on.eventually(|| world.processes().len() == 2).await;
    let started = world.processes();
    task.abort().await;
    world.assert_nothing_left();
    for process in started {
        assert!(!is_alive(process.pid) && !is_zombie(process.pid), "{process:?}");
    }
}

pub(crate) async fn check_ignores_the_start_queue(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    let opencode = super::cancel::one_at_a_time(world.builder()).build();
    let mut first = opencode.stream(world.request());
    assert!(poll_once(first.next_event()).is_pending());
    opencode.version().await.unwrap();
    assert_eq!(first.outcome().await.unwrap().text(), "Hello.");
}
