//! Servers at `https://` URLs.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "common/adapter.rs"]
mod adapter;

testkit::tls_tests!(adapter::Tokio);
