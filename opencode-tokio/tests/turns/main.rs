//! Sessions and turns, on the real OpenCode with a scripted model.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test names only the variants it is about")]

#[path = "../common/adapter.rs"]
mod adapter;
mod deaths;
mod ends;
mod errors;
mod inputs;
mod kinds;
mod load;
mod operations;
mod plugins;
mod rivals;
mod runtime;
mod tool_data;
mod views;

use testkit::conformance::Host;

fn on() -> Host {
    testkit::conformance!(host: adapter::Tokio)
}
