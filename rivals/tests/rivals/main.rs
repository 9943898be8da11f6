//! Real plugins, MCP servers and other clients of OpenCode, with a scripted model.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "../../../opencode-tokio/tests/common/adapter.rs"]
mod adapter;
mod clients;
mod mcp;
mod plugins;

use testkit::conformance::Host;

fn on() -> Host {
    testkit::conformance!(host: adapter::Tokio)
}
