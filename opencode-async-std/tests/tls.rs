//! Servers at `https://` URLs.
#![cfg(target_os = "linux")]

use std::future::Future;

use opencode_async_std::AsyncStdRuntime;
use opencode_async_std::runtime::Runtime;
use testkit::conformance::Adapter;
use testkit::conformance::Host;
use testkit::tls::cases;

struct AsyncStd;

impl Adapter for AsyncStd {
    fn runtime() -> impl Runtime {
        AsyncStdRuntime::new()
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        async_std::task::block_on(future)
    }
}

fn host() -> Host {
    testkit::conformance!(host: AsyncStd)
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
