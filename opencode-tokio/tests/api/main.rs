//! The whole API, on the real OpenCode with a scripted model.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "../common/adapter.rs"]
mod adapter;
mod calls;
mod document;
mod examples;
mod groups;
mod pages;
mod requests;
mod streams;

use testkit::conformance::Host;

fn on() -> Host {
    testkit::conformance!(host: adapter::Tokio)
}
