//! The required behaviour of every adapter: a list of cases, which each adapter expands into tests.
//!
//! A case is an `async fn` that knows `opencode-client` and no runtime; services of a runtime come
//! from the [`Host`]. Every case is once in the list (`conformance/list.rs`), so that it runs on
//! every adapter. An adapter describes itself and expands the list in an integration test:
//!
//! ```ignore
//! struct Mine;
//!
//! impl testkit::conformance::Adapter for Mine {
//!     fn runtime() -> impl Runtime {
//!         MyRuntime::new()
//!     }
//!
//!     fn block_on<F: Future>(future: F) -> F::Output {
//!         my_runtime::block_on(future)
//!     }
//! }
//!
//! testkit::conformance!(Mine);
//! ```
//!
//! Every case becomes a test, such as `run::ends::a_signal_is_reported`.
//! `testkit::conformance!(core: Mine)` expands only the modules that the list marks as core, for
//! further executors that poll the same adapter.
//!
//! - `run`: run mode on a fake program.
//! - `serve`: servers from a fake program, and running servers.
//! - `turn`: turns on a fake server.
//! - `real`: the same on the real program with a scripted model. All sessions share one server.
//!
//! The building blocks of the cases are public, for tests that need only one runtime.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a case names only the variants that it is about"
)]

mod host;
pub mod lines;
mod list;
pub(crate) mod program;
pub mod real;
mod run;
pub mod serve;
pub mod turn;
pub mod world;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use opencode_client::runtime::Runtime;

pub(crate) use self::host::yield_now;
pub use self::host::{AnyRuntime, Host, SpawnedTask};

/// Limit on every wait of a case, long enough for a loaded machine; only failing cases reach it.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Description of an adapter for the list.
pub trait Adapter {
    /// Creates a runtime of the adapter.
    fn runtime() -> impl Runtime;

    /// Polls a future to the end, as programs with this adapter do.
    fn block_on<F: Future>(future: F) -> F::Output;
}

/// Future of a running case.
pub type CaseFuture<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// All cases of the list.
#[doc(hidden)]
pub mod cases {
    crate::conformance_list!(@cases);
}

/// Runs one case, or the role of a client process that a case has started this executable for.
#[doc(hidden)]
pub fn run_case(host: Host, test: &'static str, case: for<'a> fn(&'a Host) -> CaseFuture<'a>) {
    let host = host.in_test(test);
    if !program::plays_role(&host) {
        host.block_on(case(&host));
    }
}

/// Expands the list of cases into tests: see [`conformance`](mod@crate::conformance).
#[macro_export]
macro_rules! conformance {
    ($adapter:ty) => {
        $crate::conformance!(@root $adapter);
        $crate::conformance_list!(@all);
    };
    (core: $adapter:ty) => {
        $crate::conformance!(@root $adapter);
        $crate::conformance_list!(@core);
    };
    (host: $adapter:ty) => {
        $crate::conformance::Host::new::<$adapter>(env!("CARGO_TARGET_TMPDIR"))
    };
    (@root $adapter:ty) => {
        fn host() -> $crate::conformance::Host {
            $crate::conformance!(host: $adapter)
        }
    };
    // Modules to expand: all of them, or those of the core.
    (@module core rest $($cases:tt)*) => {};
    (@module $which:ident $rank:ident $group:ident $module:ident $($case:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $case() {
                    $crate::conformance::run_case(
                        super::super::host(),
                        concat!(module_path!(), "::", stringify!($case)),
                        $crate::conformance::cases::$group::$module::$case,
                    );
                }
            )*
        }
    };
}
