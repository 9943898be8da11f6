//! The conformance cases of `testkit::conformance`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

#[path = "common/adapter.rs"]
mod adapter;

testkit::conformance!(adapter::Tokio);

/// A runtime with several threads, on which tasks run in parallel to the case.
mod on_many_threads {
    use std::future::Future;

    use opencode_tokio::TokioRuntime;
    use opencode_tokio::runtime::Runtime;
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
