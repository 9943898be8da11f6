//! Policies against a model that tries to escape, on the real OpenCode with a scripted model.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "../common/adapter.rs"]
mod adapter;
mod commands;
mod escapes;
mod files;
mod limits;
mod mcp;
mod servers;
mod subagents;
mod world;

use testkit::conformance::Host;

fn on() -> Host {
    testkit::conformance!(host: adapter::Tokio)
}
