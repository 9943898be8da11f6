//! Programs that are not async: `opencode_tokio::blocking`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod handlers;
mod inside;
mod real;
mod runs;
mod servers;

use opencode_tokio::{TokioRuntime, blocking};
use testkit::conformance::Host;
use testkit::conformance::world::ProgramWorld;
use testkit::fake::Behavior;

/// A world with a program that behaves like this, and a handle that waits for it.
fn world(behavior: Behavior) -> (ProgramWorld, blocking::OpenCode) {
    let world = ProgramWorld::new(&on(), behavior);
    let opencode = blocking::OpenCode::new(world.builder().build()).unwrap();
    (world, opencode)
}

fn on() -> Host {
    Host::of(TokioRuntime::new())
}
