//! Drops after the shutdown of the runtime. The runtime of async-std never shuts down.

use testkit::conformance::lines::START;
use testkit::conformance::serve::stubborn as stubborn_server;
use testkit::conformance::serve::{answering, ready, serve};
use testkit::conformance::world::poll_once;
use testkit::fake::{Behavior, Pipes, Signal};

use crate::world_of;

/// A program that ignores SIGTERM, and starts tools.
fn stubborn() -> Behavior {
    let tools = Behavior::new().spawn_orphan(Pipes::Hold).spawn_tool(Pipes::Close);
    tools.ignore(Signal::Terminate).stdout_line(START).hang()
}

#[test]
fn a_run_after_the_runtime() {
    for begin in
        [tokio::runtime::Builder::new_current_thread, tokio::runtime::Builder::new_multi_thread]
    {
        let world = world_of(stubborn());
        let runtime = begin().enable_all().build().unwrap();
        let run = runtime.block_on(world.started());
        let cancelled = runtime.block_on(async {
            let mut run = world.started().await;
            run.cancel();
            assert!(poll_once(run.next_event()).is_pending());
            run
        });
        drop(runtime);
        drop(cancelled);
        // The same on a thread that never had a runtime.
        std::thread::scope(|scope| scope.spawn(|| drop(run)).join()).unwrap();
        world.assert_nothing_left();
    }
}

#[test]
fn a_run_by_the_shutdown_of_its_runtime() {
    let world = world_of(stubborn());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.spawn(world.opencode.stream(world.request()).outcome());
    runtime.block_on(
        world.host.eventually(|| world.calls().first().is_some_and(|call| call.started.len() == 2)),
    );
    drop(runtime);
    world.assert_nothing_left();
}

#[test]
fn a_server_after_the_runtime() {
    for begin in
        [tokio::runtime::Builder::new_current_thread, tokio::runtime::Builder::new_multi_thread]
    {
        let server = answering();
        let world = world_of(ready(Behavior::new(), &server).hang());
        let runtime = begin().enable_all().build().unwrap();
        let running = runtime.block_on(serve(&world));
        drop(runtime);
        assert!(running.is_running());
        drop(running);
        world.assert_nothing_left();
    }
}

#[test]
fn a_server_by_the_shutdown_of_its_runtime() {
    let server = answering();
    let world = world_of(stubborn_server(&server));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let running = runtime.block_on(serve(&world));
    runtime.spawn(async move {
        let _running = running;
        std::future::pending::<()>().await;
    });
    drop(runtime);
    world.assert_nothing_left();
}
