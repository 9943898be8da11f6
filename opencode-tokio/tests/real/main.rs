//! Run mode on the real OpenCode with a scripted model.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "../common/adapter.rs"]
mod adapter;
mod answers;
mod cancellation;
mod context;
mod deadlines;
mod event_log;
mod isolation;
mod many;
mod permissions;
mod places;
mod prompts;
mod provider;
mod refusals;
mod servers;
mod sessions;
mod tools;

use testkit::conformance::Host;

fn on() -> Host {
    testkit::conformance!(host: adapter::Tokio)
}
