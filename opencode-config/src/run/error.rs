use std::path::PathBuf;

use crate::PermissionError;

/// Why a configuration cannot be run. Always the caller's fault; nothing has been started.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RunConfigError {
    /// `command` together with `files`: OpenCode would drop the files without a word.
    #[error("`opencode run --command {command}` ignores files: name them in the prompt instead")]
    CommandWithFiles {
        /// The command.
        command: String,
    },
    /// The config is larger than an environment can carry.
    #[error(
        "the config has {size} bytes, more than {size_max}: put long texts into files and refer to them as `{{file:/path}}`"
    )]
    ConfigTooLarge {
        /// Of the config, in bytes.
        size: usize,
        /// In bytes.
        size_max: usize,
    },
    /// User or password inside a URL, which every user of the machine can read.
    #[error("the URL for `--attach` carries credentials: pass them as `Credentials`")]
    CredentialsInUrl,
    /// A prompt without any visible character, which OpenCode refuses.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// An empty text where OpenCode would take the flag for absent.
    #[error("the value of `{flag}` is empty")]
    EmptyValue {
        /// The flag or variable.
        flag: &'static str,
    },
    /// An environment variable whose name no environment can hold.
    #[error("`{name}` cannot be the name of an environment variable")]
    InvalidVariable {
        /// As given, with replacements for what is no text.
        name: String,
    },
    /// A name of an extra flag that is none.
    #[error("`{flag}` is not the name of a flag: give it without dashes and value")]
    MalformedFlag {
        /// As given.
        flag: String,
    },
    /// A NUL character in what is passed to a process.
    #[error("{place} contains a NUL character")]
    Nul {
        /// Which argument or variable, without its value.
        place: String,
    },
    /// A permission rule that cannot be used.
    #[error(transparent)]
    Permission(PermissionError),
    /// An extra flag that would break the event stream.
    #[error("`{flag}` would break the event stream")]
    ProtectedFlag {
        /// Its name, without dashes.
        flag: String,
    },
    /// A directory that is not absolute.
    #[error("`{}` is not an absolute path", .path.display())]
    RelativeDirectory {
        /// As given.
        path: PathBuf,
    },
    /// Relative instructions without a project: OpenCode would look for them in its own config
    /// directory.
    #[error("the instructions `{path}` must be absolute when the project's config is ignored")]
    RelativeInstructions {
        /// As given.
        path: String,
    },
    /// A variable in `env` that the run sets itself.
    #[error("the variable {name} is set by the run itself: use {instead}")]
    ReservedVariable {
        /// The variable.
        name: String,
        /// What to use.
        instead: &'static str,
    },
    /// An extra flag that has a typed field as well, and both are set.
    #[error("the flag `{flag}` is set twice")]
    SetTwice {
        /// Its long name, without dashes.
        flag: String,
    },
}
