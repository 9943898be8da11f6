//! Dropping a server, whatever it is at: when the drop returns, nothing is left.

use std::pin::pin;

use opencode_tokio::{Exit, ServeEnd};
use testkit::fake::Behavior;

use crate::fake_world::{World, eventually, poll_once, send};
use crate::pretended::{answering, ready, request, serve, stubborn};

#[tokio::test]
async fn by_its_last_clone() {
    let server = answering();
    let world = World::new(stubborn(&server));
    let one = serve(&world).await;
    let other = one.clone();
    drop(one);
    assert!(other.is_running());
    assert_eq!((world.call().started.len(), world.private_dirs().len()), (2, 1));
    drop(other);
    world.assert_nothing_left();
}

#[tokio::test]
async fn who_watches_it_is_told() {
    let server = answering();
    let world = World::new(stubborn(&server));
    let running = serve(&world).await;
    let waits = running.clone();
    let task = tokio::spawn(async move { waits.exited().await });
    tokio::task::yield_now().await;
    send("KILL", &running.process_id().unwrap().to_string());
    let outcome = task.await.unwrap();
    assert_eq!((outcome.end, outcome.exit), (ServeEnd::Exited, Some(Exit::Signal(9))));
    drop(running);
    world.assert_nothing_left();
}

#[tokio::test]
async fn while_it_starts() {
    let world = World::new(Behavior::new().hang());
    let opencode = world.opencode.clone();
    let mut starting = Box::pin(opencode.serve(request(&world)));
    eventually(|| {
        assert!(poll_once(starting.as_mut()).is_pending());
        world.calls().len() == 1
    })
    .await;
    drop(starting);
    world.assert_nothing_left();
}

#[tokio::test]
async fn while_it_is_being_stopped() {
    let server = answering();
    let world = World::new(stubborn(&server));
    let running = serve(&world).await;
    assert!(poll_once(pin!(running.stop())).is_pending());
    drop(running);
    world.assert_nothing_left();
}

#[test]
fn when_the_runtime_is_gone() {
    for begin in
        [tokio::runtime::Builder::new_current_thread, tokio::runtime::Builder::new_multi_thread]
    {
        let server = answering();
        let world = World::new(ready(Behavior::new(), &server).hang());
        let runtime = begin().enable_all().build().unwrap();
        let running = runtime.block_on(serve(&world));
        drop(runtime);
        assert!(running.is_running());
        drop(running);
        world.assert_nothing_left();
    }
}

#[test]
fn by_the_end_of_its_runtime() {
    let server = answering();
    let world = World::new(stubborn(&server));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let running = runtime.block_on(serve(&world));
    runtime.spawn(async move {
        let _running = running;
        std::future::pending::<()>().await;
    });
    drop(runtime);
    world.assert_nothing_left();
}
