//! The behaviour that every adapter has to show: one list of cases, which each adapter expands into its tests.
//!
//! A case is an `async fn` that knows `opencode-client` and no runtime: what it needs of one it asks its [`Host`] for. It
//! stands in the list (`conformance/list.rs`) once, and so it runs on every adapter. An adapter says what it is and
//! expands the list, in an integration test:
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
//! Every case becomes a test of its own, such as `run::ends::a_signal_is_told`. `testkit::conformance!(core: Mine)` takes
//! only the modules that the list marks as core: for other executors that poll the same adapter.
//!
//! - `run`: run mode on a program that only pretends to be OpenCode.
//! - `serve`: servers that such a program is, and those that run already.
//! - `turn`: turns on a server that only pretends to be OpenCode.
//! - `real`: the same on the real program, where only the model is scripted. All sessions share one server.
//!
//! What the cases are made of is public, for tests that need one runtime and no other.
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a case looks for one kind of many")]

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

use opencode_client::Runtime;

#[doc(hidden)]
pub use self::host::Site;
pub(crate) use self::host::yield_now;
pub use self::host::{AnyRuntime, Host, Task};
#[doc(hidden)]
pub use self::program::plays_its_part;

/// For a machine that does other things as well: no case waits this long when all is well.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// What makes an adapter, for the list.
pub trait Adapter {
    /// Its runtime.
    fn runtime() -> impl Runtime;

    /// Polls the future to its end, as programs do that use the adapter.
    fn block_on<F: Future>(future: F) -> F::Output;
}

/// A case at work.
pub type CaseFuture<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Every case of the list.
#[doc(hidden)]
pub mod cases {
    crate::conformance_list!(@cases);
}

/// Runs one case.
#[doc(hidden)]
pub fn run_case(on: &Host, case: for<'a> fn(&'a Host) -> CaseFuture<'a>) {
    on.block_on(case(on));
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
        $crate::conformance::Host::new::<$adapter>($crate::conformance::Site {
            module: module_path!(),
            directory: env!("CARGO_TARGET_TMPDIR"),
        })
    };
    (@root $adapter:ty) => {
        fn host() -> $crate::conformance::Host {
            $crate::conformance!(host: $adapter)
        }

        /// Is no test but what this program does when a test starts it once more; else there is nothing to do.
        #[test]
        fn plays_its_part() {
            $crate::conformance::plays_its_part(&host());
        }
    };
    // Which modules are in: all, or those of the core.
    (@module core rest $($cases:tt)*) => {};
    (@module $which:ident $rank:ident $group:ident $module:ident $($case:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $case() {
                    let host = super::super::host();
                    $crate::conformance::run_case(&host, $crate::conformance::cases::$group::$module::$case);
                }
            )*
        }
    };
}
