use std::path::PathBuf;

use crate::{JsoncError, PermissionError, Unsupported};

/// A configuration that cannot be run. Nothing has been started.
///
/// Every variant is a mistake of the caller. The message names the way out where there is one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RunConfigError {
    /// Approved command lines are required of `opencode run`, which cannot have them approved.
    #[error("a command gate needs a server: start one with this config, or leave the gate open")]
    CommandGate,
    /// A command is combined with attached files, which OpenCode would drop without a word.
    #[error("`opencode run --command {command}` ignores attached files: name them in the prompt")]
    CommandWithFiles {
        /// Name of the command.
        command: String,
    },
    /// The config is larger than an environment can carry.
    #[error(
        "the config has {size} bytes, more than {size_max}: put long texts into files and refer to \
         them as `{{file:/path}}`"
    )]
    ConfigTooLarge {
        /// Size of the config in bytes.
        size: usize,
        /// Largest size in bytes.
        size_max: usize,
    },
    /// The URL contains a user or a password, which every user of the machine can read.
    #[error("the URL for `--attach` contains credentials: use `Attach::with_credentials`")]
    CredentialsInUrl,
    /// The prompt has no visible character; OpenCode refuses such prompts.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// The value is empty, so that OpenCode would take the flag for absent.
    #[error("the value of `{flag}` is empty")]
    EmptyValue {
        /// Name of the flag or variable.
        flag: &'static str,
    },
    /// No environment can hold a variable of this name.
    #[error("`{name}` cannot be the name of an environment variable")]
    InvalidVariable {
        /// Name as given, with replacements for bytes that are not UTF-8.
        name: String,
    },
    /// A session is to be continued, and the data directory is a private one of the run.
    #[error(
        "the private data directory of the run has no session to continue: keep the data with \
         `Isolation::with_data`"
    )]
    NothingToResume,
    /// The name of an extra flag is not the bare name of a flag.
    #[error("`{flag}` is not the name of a flag: use the name without dashes and value")]
    MalformedFlag {
        /// Name as given.
        flag: String,
    },
    /// A variable that holds config, set with `RunConfig::with_env`, is not JSON.
    #[error("cannot read the variable {variable} as config")]
    MalformedVariable {
        /// Name of the variable.
        variable: &'static str,
        /// Fault of the value.
        source: JsoncError,
    },
    /// The directory for temporary files cannot be named in a config.
    #[error("`{}` is not UTF-8: use a directory for temporary files with a name in UTF-8", .path.display())]
    NotUtf8 {
        /// Path that the config has to name.
        path: PathBuf,
    },
    /// An argument or a variable of the process contains a NUL character.
    #[error("{place} contains a NUL character")]
    Nul {
        /// Argument or variable, without the value.
        place: String,
    },
    /// The overrides are not a JSON object.
    #[error("the overrides are {found}: use a JSON object")]
    OverridesNotAnObject {
        /// Kind of the value, such as `an array`.
        found: &'static str,
    },
    /// A permission rule cannot be used.
    #[error(transparent)]
    Permission(PermissionError),
    /// An extra flag would break the event stream.
    #[error("the extra flag `{flag}` would break the event stream: leave it out")]
    ProtectedFlag {
        /// Name of the flag, without dashes.
        flag: String,
    },
    /// A directory is not absolute.
    #[error("`{}` is not an absolute path", .path.display())]
    RelativeDirectory {
        /// Path as given.
        path: PathBuf,
    },
    /// The instructions are relative and the project is ignored: OpenCode would look for them in
    /// the user's config directory.
    #[error("the instructions `{path}` must be absolute when the project's config is ignored")]
    RelativeInstructions {
        /// Path as given.
        path: String,
    },
    /// MCP servers are required of a process whose log cannot name the servers that did not start.
    #[error("a process cannot require MCP servers with {cause}: change that, or run over a server")]
    RequiredMcp {
        /// The setting that stands against the requirement.
        cause: &'static str,
    },
    /// The environment sets a variable that the run sets itself.
    #[error("the variable {name} is set by the run itself: use {instead}")]
    ReservedVariable {
        /// Name of the variable.
        name: String,
        /// Setting to use instead.
        instead: &'static str,
    },
    /// An extra flag repeats a flag that another method has set.
    #[error("the flag `{flag}` is set twice: leave out the extra flag")]
    SetTwice {
        /// Long name of the flag, without dashes.
        flag: String,
    },
    /// The version of OpenCode lacks a feature that the configuration needs.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}

impl From<PermissionError> for RunConfigError {
    fn from(error: PermissionError) -> Self {
        Self::Permission(error)
    }
}
