//! Policies against a model that tries to get out, end to end: on the real OpenCode, where only the model is scripted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

#[path = "../common/adapter.rs"]
mod adapter;
mod commands;
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
