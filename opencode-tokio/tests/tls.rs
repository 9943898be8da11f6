//! Servers at `https://` URLs.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "common/adapter.rs"]
mod adapter;

use testkit::conformance::Host;
use testkit::tls::cases;

fn host() -> Host {
    testkit::conformance!(host: adapter::Tokio)
}

#[test]
fn an_encrypted_server_is_used_like_any_other() {
    let host = host();
    host.block_on(async { cases::an_encrypted_server_is_used_like_any_other(&host).await });
}

#[test]
fn a_server_that_is_not_trusted_gets_no_request() {
    let host = host();
    host.block_on(async { cases::a_server_that_is_not_trusted_gets_no_request(&host).await });
}

#[test]
fn a_root_certificate_that_is_none_is_an_error() {
    let host = host();
    host.block_on(async { cases::a_root_certificate_that_is_none_is_an_error(&host).await });
}
