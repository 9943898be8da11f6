//! async-std as an adapter for `testkit::conformance`.

use std::future::Future;

use opencode_async_std::AsyncStdRuntime;
use opencode_async_std::runtime::Runtime;
use testkit::conformance::Adapter;

pub(crate) struct AsyncStd;

impl Adapter for AsyncStd {
    fn runtime() -> impl Runtime {
        AsyncStdRuntime::new()
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        async_std::task::block_on(future)
    }
}
