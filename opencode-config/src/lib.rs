//! What to run: configuration, command lines, permissions and isolation of
//! [OpenCode](https://opencode.ai), as values.
//!
//! Nothing here reads a file, a clock or the environment, or starts anything. What has to be read
//! comes in as arguments, and what has to be done comes out as a plan:
//!
//! ```
//! use opencode_config::{
//!     Environment, Invocation, IsolationPlan, Permissions, ReadSource, RunConfig, RunFlags,
//!     SourceContent,
//! };
//!
//! // What to run.
//! let config = RunConfig::new()
//!     .with_model("anthropic/claude-haiku-4-5".parse()?)
//!     .with_permission(Permissions::new().deny("*").allow("read").allow("grep"))
//!     .with_flags(RunFlags::new().with_title("review"));
//!
//! // Which files of the user matter. The caller reads them.
//! # fn read(_: &std::path::Path) -> SourceContent { SourceContent::Missing }
//! let inherited: Environment = std::env::vars_os().collect();
//! let read = config
//!     .sources(&inherited)
//!     .into_iter()
//!     .map(|source| ReadSource { content: read(&source.path), source })
//!     .collect();
//!
//! // What to put into a private directory. The caller does it, and removes it afterwards.
//! let plan = IsolationPlan::new(&config, &inherited, "/tmp/run-1", read)?;
//! for directory in &plan.directories {
//!     println!("mkdir -m {:o} {}", directory.mode, directory.path.display());
//! }
//!
//! // What to start.
//! let run = Invocation::run("opencode", "Review the last commit.", "/src/app", &config, &plan)?;
//! assert_eq!(
//!     run.command_line(),
//!     "opencode run --format json --model=anthropic/claude-haiku-4-5 --title=review --log-level=ERROR --print-logs",
//! );
//! assert_eq!(run.stdin, "Review the last commit.");
//! assert_eq!(run.env.var("XDG_DATA_HOME"), Some("/tmp/run-1/data".as_ref()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//!
//! - [`RunConfig`]: what to run, with [`ModelRef`], [`Permissions`], [`RunFlags`] and [`ExtraFlags`];
//!   [`ServeFlags`] for a server.
//! - [`Isolation`]: what of the user and the project a run sees; the table of environment variables is
//!   there. [`IsolationPlan`]: directories, files, links and environment that make it so.
//! - [`Invocation`]: the process to start.
//! - [`Environment`], [`parse_jsonc`], [`merge()`]: what these are made of.
//!
//! # Invariants
//!
//! - The prompt is never an argument, and a value never a flag.
//! - Secrets (values of variables, prompts, contents of files) are in no `Debug` and no error.
//! - The order of permission rules is kept from the caller to OpenCode: the last match wins.
//! - What the crate cannot use of the user's is left out with a [`ConfigWarning`], never silently.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod credentials;
mod environment;
mod flags;
#[doc(hidden)]
pub mod fuzzing;
mod invocation;
mod isolation;
mod jsonc;
mod merge;
mod model;
mod permission;
mod run;

pub use credentials::Credentials;
pub use environment::Environment;
pub use flags::{
    Approval, Attach, ExtraFlags, FlagValue, History, LogLevel, LogOutput, Plugins, Reasoning,
    Resume, ResumeTarget, RunFlags, ServeFlags, Sharing,
};
pub use invocation::Invocation;
pub use isolation::{
    CacheHome, ConfigSource, ConfigWarning, DataHome, Existing, Isolation, IsolationPlan,
    PlannedDirectory, PlannedFile, PlannedLink, ProjectConfig, ReadSource, SourceContent, TempHome,
    UserConfig,
};
pub use jsonc::{CONFIG_FILE_SIZE_MAX, JsoncError, parse_jsonc};
pub use merge::merge;
pub use model::{ModelRef, ModelRefError};
pub use permission::{
    PermissionAction, PermissionError, PermissionRule, Permissions, RulesetRule, wildcard_matches,
};
pub use run::{RunConfig, RunConfigError, ToolSwitch};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
