//! Servers at `https://` URLs.
#![cfg(target_os = "linux")]

#[path = "common/adapter.rs"]
mod adapter;

testkit::tls_tests!(adapter::AsyncStd);
