//! Typed answers, end to end: on the real OpenCode, where only the model is scripted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "each test looks at some of the events")]

#[path = "../common/adapter.rs"]
mod adapter;
mod again;
mod fits;
mod refused;
#[expect(dead_code, reason = "the tests of pretended servers use all of it")]
#[path = "../pretended/still.rs"]
mod still;
mod time;
mod types;

use testkit::conformance::Host;

fn on() -> Host {
    testkit::conformance!(host: adapter::Tokio)
}
