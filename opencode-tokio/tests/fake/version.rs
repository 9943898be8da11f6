//! What the program says which version it is.

use std::time::Duration;

use opencode_tokio::{Version, VersionError};
use testkit::fake::Behavior;
use tokio::time::Instant;

use crate::events::answer;
use crate::imagined::{Imagined, Play};
use crate::world::{World, eventually, is_alive, is_zombie};

fn world() -> World {
    World::new(Behavior::new())
}

#[tokio::test]
async fn is_told() {
    let world = world();
    world.fake.set_version("1.18.33").unwrap();
    assert_eq!(world.opencode.version().await.unwrap(), Version::new(1, 18, 33));
    world.assert_nothing_left();
    world.fake.set_version("opencode v2.0.0-beta.1 (linux)").unwrap();
    let version = world.opencode.version().await.unwrap();
    assert_eq!(version.to_string(), "2.0.0-beta.1");
    assert_eq!(world.calls().len(), 0, "not by a run");
}

#[tokio::test]
async fn is_an_error_when_it_is_none() {
    let world = world();
    world.fake.set_version("\nnot a version\n").unwrap();
    let error = world.opencode.version().await.unwrap_err();
    let VersionError::NoVersion { command, printed } = &error else { panic!("{error:?}") };
    assert!(command.ends_with("/opencode --version"), "{command}");
    assert_eq!(printed, "not a version");
    assert!(error.to_string().contains("printed no version: not a version"), "{error}");
}

#[tokio::test]
async fn is_not_looked_for_in_endless_output() {
    let world = world();
    world.fake.set_version(&"x".repeat(10 << 20)).unwrap();
    let error = world.opencode.version().await.unwrap_err();
    let VersionError::NoVersion { printed, .. } = &error else { panic!("{error:?}") };
    assert!(printed.len() <= 4 << 10, "{} bytes", printed.len());
}

#[tokio::test]
async fn is_given_up_with_nothing_left() {
    let world = world();
    world.hide_version();
    let opencode = world.opencode.clone();
    let task = tokio::spawn(async move { opencode.version().await });
    // The program, and what it looks into the file with.
    eventually(|| world.processes().len() == 2).await;
    let started = world.processes();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    world.assert_nothing_left();
    for process in started {
        assert!(!is_alive(process.pid) && !is_zombie(process.pid), "{process:?}");
    }
}

async fn takes(play: Play) -> (Result<Version, VersionError>, Duration) {
    let world = world();
    let opencode = world.builder_on(Imagined::new([play])).build();
    let began = Instant::now();
    let version = opencode.version().await;
    world.assert_nothing_left();
    (version, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn has_half_a_minute() {
    const SECOND: Duration = Duration::from_secs(1);
    let late = Play::new().stdout(29 * SECOND, "1.2.3\n").exit(Duration::ZERO, 0);
    assert_eq!(takes(late).await.0.unwrap(), Version::new(1, 2, 3));

    for silent in [
        Play::new(),
        Play::new().stdout(SECOND, "1.2.3\n"),
        // It says nothing more, and does not end.
        Play::new().stdout(SECOND, "1.2.3\n").close_stdout(SECOND),
    ] {
        let (version, took) = takes(silent).await;
        let error = version.unwrap_err();
        let VersionError::TimedOut { limit, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*limit, 30 * SECOND);
        assert!(error.to_string().ends_with("did not answer within 30 s"), "{error}");
        assert!(took >= *limit && took < *limit + SECOND, "{took:?}");
    }
}

#[tokio::test]
async fn takes_no_part_in_the_queue() {
    let world = World::new(Behavior::new().read_stdin().stdout_raw(answer("Hello.")));
    let opencode = crate::cancel::one_at_a_time(world.builder()).build();
    let mut first = opencode.stream(world.request());
    assert!(crate::world::poll_once(first.next_event()).is_pending());
    opencode.version().await.unwrap();
    assert_eq!(first.outcome().await.unwrap().text(), "Hello.");
}
