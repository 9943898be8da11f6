//! What only tokio has: a clock that tests can stop, and an end of the runtime. What every adapter has to show is in
//! `conformance.rs`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod dropped;
mod imagined;
mod time;

use opencode_tokio::TokioRuntime;
use testkit::conformance::Host;
use testkit::conformance::world::ProgramWorld;
use testkit::fake::Behavior;

fn world() -> ProgramWorld {
    world_of(Behavior::new())
}

fn world_of(behavior: Behavior) -> ProgramWorld {
    ProgramWorld::new(&Host::of(TokioRuntime::new()), behavior)
}
