//! Dropping a server handle in every state: when the drop returns, nothing is left.

use std::pin::pin;

use opencode_client::run::Exit;
use opencode_client::server::ServeEnd;

use super::fake_program::{answering, request, serve, stubborn};
use crate::conformance::world::{ProgramWorld, poll_once, send};
use crate::conformance::{Host, yield_now};
use crate::fake::Behavior;

pub(crate) async fn with_the_last_clone(on: &Host) {
    let server = answering();
    let world = ProgramWorld::new(on, stubborn(&server));
    let one = serve(&world).await;
    let other = one.clone();
    drop(one);
    assert!(other.is_running());
    assert_eq!((world.call().started.len(), world.private_dirs().len()), (2, 1));
    drop(other);
    world.assert_nothing_left();
}

pub(crate) async fn a_killed_server_wakes_its_watchers(on: &Host) {
    let server = answering();
    let world = ProgramWorld::new(on, stubborn(&server));
    let running = serve(&world).await;
    let waits = running.clone();
    let task = on.spawn(async move { waits.exited().await });
    yield_now().await;
    send("KILL", &running.process_id().unwrap().to_string());
    let outcome = task.await;
    assert_eq!((outcome.end, outcome.exit), (ServeEnd::Exited, Some(Exit::Signal(9))));
    drop(running);
    world.assert_nothing_left();
}

pub(crate) async fn during_the_start(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new().hang());
    let opencode = world.opencode.clone();
    let mut starting = Box::pin(opencode.serve(request(&world)));
    on.eventually(|| {
        assert!(poll_once(starting.as_mut()).is_pending());
        world.calls().len() == 1
    })
    .await;
    drop(starting);
    world.assert_nothing_left();
}

pub(crate) async fn during_a_stop(on: &Host) {
    let server = answering();
    let world = ProgramWorld::new(on, stubborn(&server));
    let running = serve(&world).await;
    assert!(poll_once(pin!(running.stop())).is_pending());
    drop(running);
    world.assert_nothing_left();
}
