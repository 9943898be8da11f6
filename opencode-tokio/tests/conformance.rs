//! What every adapter has to show: the list of `testkit::conformance`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

#[path = "common/adapter.rs"]
mod adapter;

testkit::conformance!(adapter::Tokio);

/// Tasks go on while the case does.
mod on_many_threads {
    use std::future::Future;

    use opencode_tokio::{Runtime, TokioRuntime};
    use testkit::conformance::Adapter;

    struct ManyThreads;

    impl Adapter for ManyThreads {
        fn runtime() -> impl Runtime {
            TokioRuntime::new()
        }

        fn block_on<F: Future>(future: F) -> F::Output {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(4)
                .enable_all()
                .build()
                .unwrap()
                .block_on(future)
        }
    }

    testkit::conformance!(core: ManyThreads);
}
