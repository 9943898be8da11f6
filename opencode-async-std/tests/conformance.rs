//! What every adapter has to show: the list of `testkit::conformance`; and its core, whoever polls.
#![cfg(target_os = "linux")]

use std::future::Future;

use opencode_async_std::{AsyncStdRuntime, Runtime};
use testkit::conformance::Adapter;

struct AsyncStd;

impl Adapter for AsyncStd {
    fn runtime() -> impl Runtime {
        AsyncStdRuntime::new()
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        async_std::task::block_on(future)
    }
}

testkit::conformance!(AsyncStd);

/// An executor that is cared for.
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

/// The barest executor there is.
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
