//! tokio as an adapter for `testkit::conformance`.

use std::future::Future;

use opencode_tokio::TokioRuntime;
use opencode_tokio::runtime::Runtime;
use testkit::conformance::Adapter;

pub(crate) struct Tokio;

impl Adapter for Tokio {
    fn runtime() -> impl Runtime {
        TokioRuntime::new()
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap().block_on(future)
    }
}
