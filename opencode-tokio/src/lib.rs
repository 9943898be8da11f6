//! Drive [OpenCode](https://opencode.ai) from tokio.
#![forbid(unsafe_code)]

mod process;
mod runtime;

pub use opencode_client::*;
pub use runtime::TokioRuntime;

/// An [`OpenCode`] on tokio, with the defaults.
pub fn opencode() -> OpenCode {
    OpenCode::new(TokioRuntime::new())
}

/// An [`OpenCode`] on tokio, with choices.
pub fn builder() -> Builder {
    OpenCode::builder(TokioRuntime::new())
}
