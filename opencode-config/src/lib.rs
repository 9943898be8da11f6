//! Configuration, command lines, permissions and isolation of [OpenCode](https://opencode.ai), as
//! values.
//!
//! The crate does no I/O: nothing reads a file, a clock or the environment, or starts a process.
//! Files and variables come in as arguments, and directories, files and a command line come out as
//! a plan, which any program can carry out in its own way.
//!
//! # From a prompt to a process
//!
//! ```
//! use opencode_config::{
//!     Environment, Invocation, IsolationPlan, Permissions, ReadSource, RunConfig, RunFlags,
//!     SourceContent,
//! };
//!
//! // 1. Configure the run.
//! let config = RunConfig::new()
//!     .with_model("anthropic/claude-haiku-4-5".parse()?)
//!     .with_permission(Permissions::new().deny("*").allow("read").allow("grep"))
//!     .with_flags(RunFlags::new().with_title("review"));
//!
//! // 2. Read the user's config files that matter: by default, for the providers in them.
//! # fn read(_: &std::path::Path) -> SourceContent { SourceContent::Missing }
//! let inherited: Environment = std::env::vars_os().collect();
//! let read = config
//!     .sources(&inherited)
//!     .into_iter()
//!     .map(|source| {
//!         let content = read(source.path());
//!         ReadSource::new(source, content)
//!     })
//!     .collect();
//!
//! // 3. Plan the private directories. Create them now, and remove `/tmp/run-1` after the run.
//! let plan = IsolationPlan::new(&config, &inherited, "/tmp/run-1", read)?;
//! for directory in &plan.directories {
//!     println!("mkdir -m {:o} {}", directory.mode, directory.path.display());
//! }
//!
//! // 4. Build the command line, with the environment and the text for stdin.
//! let run = Invocation::run("opencode", "Review the last commit.", "/src/app", &config, &plan)?;
//! assert_eq!(
//!     run.command_line(),
//!     "opencode run --format json --model=anthropic/claude-haiku-4-5 --title=review \
//!      --log-level=WARN --print-logs",
//! );
//! assert_eq!(run.stdin, "Review the last commit.");
//! assert_eq!(run.env.var("XDG_DATA_HOME"), Some("/tmp/run-1/data".as_ref()));
//! assert_eq!(
//!     run.env.var("OPENCODE_CONFIG_CONTENT"),
//!     Some(r#"{"permission":{"*":"deny","read":"allow","grep":"allow"}}"#.as_ref()),
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A program that uses tokio or async-std need not do this: `opencode-tokio` and
//! `opencode-async-std` take a [`RunConfig`] and carry out the plan, and read the output.
//!
//! # Map
//!
//! - [`RunConfig`]: the configuration of a run or a server, with [`ModelRef`], [`Permissions`],
//!   [`RunFlags`] and [`ExtraFlags`]; [`ServeFlags`] for a server.
//! - [`Isolation`]: the parts of the user's and the project's configuration that a run sees, with a
//!   list of environment variables. [`IsolationPlan`]: directories, files, links and environment.
//! - [`Invocation`]: the process to start, by the [`ProgramCommand`] that starts OpenCode.
//! - [`Version`] of OpenCode, and the [`Feature`]s that not every supported version has.
//! - [`Json`] and [`JsonObject`]: settings that this crate has no types for, with their keys in
//!   order.
//! - [`Environment`], [`parse_jsonc`], [`merge()`]: the parts that these are made of.
//!
//! # Conventions
//!
//! Types that a program builds have private fields, a method `with_…` for each setting and one of
//! the same name for reading the setting back. Types that this crate hands out, such as an
//! [`Invocation`], have public fields. Directories are `PathBuf`s.
//!
//! # Invariants
//!
//! - The prompt is never an argument, and a value is never taken for a flag.
//! - Secrets (values of variables, prompts, contents of files) are in no `Debug` and no error.
//! - The order of permission rules is kept from the caller to OpenCode: the last match wins.
//! - Parts of the user's configuration that cannot be used are left out with a [`ConfigWarning`],
//!   never silently.
//! - The crate enables no feature of `serde_json` that changes the JSON of other crates.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(test)]
#[macro_use]
mod testing;

mod credentials;
mod environment;
mod error;
mod feature;
mod flags;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod invocation;
mod isolation;
mod json;
mod jsonc;
mod merge;
mod model;
mod permission;
mod plan;
mod plugins;
mod program;
mod run;
mod version;

pub use credentials::Credentials;
pub use environment::Environment;
pub use error::RunConfigError;
pub use feature::{Feature, Unsupported};
pub use flags::{
    Approval, Attach, ExtraFlags, FlagValue, LogLevel, LogOutput, Plugins, Questions, Reasoning,
    Resume, RunFlags, ServeFlags, Sharing,
};
pub use gate::CommandGate;
pub use invocation::Invocation;
pub use isolation::{
    CacheHome, DataHome, Isolation, PluginHome, ProjectConfig, TempHome, UserConfig,
};
pub use json::{Json, JsonEntries, JsonNumber, JsonNumberError, JsonObject};
pub use jsonc::{CONFIG_FILE_SIZE_MAX, JsoncError, parse_jsonc};
pub use merge::merge;
pub use model::{ModelRef, ModelRefError};
pub use permission::{
    PermissionAction, PermissionError, PermissionRule, Permissions, RulesetRule, UnknownAction,
    wildcard_matches,
};
pub use plan::{
    ConfigSource, ConfigWarning, ExistingFile, IsolationPlan, KeptPackages, PlannedDirectory,
    PlannedFile, PlannedLink, ReadSource, SourceContent,
};
pub use plugins::npm_plugins;
pub use program::{ProgramCommand, ProgramCommandError};
pub use run::{RunConfig, ToolSwitch};
pub use version::{UnsupportedVersion, Version, parse_version};

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
