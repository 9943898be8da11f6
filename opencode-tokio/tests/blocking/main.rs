//! `opencode_tokio::blocking`, for programs that are not async.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod handlers;
mod inside;
mod real;
mod requests;
mod runs;
mod servers;
mod sessions;

use opencode_tokio::{TokioRuntime, blocking};
use testkit::conformance::Host;
use testkit::conformance::world::ProgramWorld;
use testkit::fake::Behavior;

/// Creates a world with a fake program, and a blocking handle.
fn world(behavior: Behavior) -> (ProgramWorld, blocking::OpenCode) {
    let world = ProgramWorld::new(&on(), behavior);
    let opencode = blocking::OpenCode::new(world.builder().build()).unwrap();
    (world, opencode)
}

fn on() -> Host {
    Host::of(TokioRuntime::new())
}
