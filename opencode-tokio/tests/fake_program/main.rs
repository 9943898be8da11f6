//! Features of tokio alone: a clock that can be paused, and the shutdown of a runtime. The required
//! behaviour of every adapter is tested in `conformance.rs`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod dropped;
mod imagined;
mod places;
mod plugins;
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
