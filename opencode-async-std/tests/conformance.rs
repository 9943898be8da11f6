//! The conformance cases of `testkit::conformance`, and their core on other executors.
#![cfg(target_os = "linux")]

#[path = "common/adapter.rs"]
mod adapter;

use std::future::Future;

use opencode_async_std::AsyncStdRuntime;
use opencode_async_std::runtime::Runtime;
use testkit::conformance::Adapter;

testkit::conformance!(adapter::AsyncStd);

/// smol, the maintained successor of async-std.
mod on_smol {
    use super::*;

    struct Smol;

    impl Adapter for Smol {
        fn runtime() -> impl Runtime {
            AsyncStdRuntime::new()
        }

        fn block_on<F: Future>(future: F) -> F::Output {
            smol::block_on(future)
        }
    }

    testkit::conformance!(core: Smol);
}

/// The minimal executor of `futures`.
mod on_a_bare_executor {
    use super::*;

    struct Bare;

    impl Adapter for Bare {
        fn runtime() -> impl Runtime {
            AsyncStdRuntime::new()
        }

        fn block_on<F: Future>(future: F) -> F::Output {
            futures_executor::block_on(future)
        }
    }

    testkit::conformance!(core: Bare);
}
