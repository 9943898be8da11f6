//! Flags with a fixed set of values.

/// Reaction of `opencode run` to permission requests, which arise from rules that are `ask`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Approval {
    /// Requests are rejected, which ends the turn (`opencode run` without a flag).
    #[default]
    Reject,
    /// Requests are approved, so that everything is allowed that no rule denies (`--auto`).
    Auto,
}

/// Level of OpenCode's own log (`--log-level`).
///
/// ```
/// use opencode_config::LogLevel;
///
/// assert_eq!(LogLevel::Warn.as_str(), "WARN");
/// assert!(LogLevel::Debug < LogLevel::Error);
/// ```
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum LogLevel {
    /// Every message.
    Debug,
    /// Messages about normal operation, and the levels below.
    Info,
    /// Warnings and errors.
    Warn,
    /// Errors only.
    Error,
}

impl LogLevel {
    /// Returns OpenCode's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// Destination of OpenCode's own log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum LogOutput {
    /// The file `log/opencode.log` in the data directory.
    #[default]
    File,
    /// The file and stderr (`--print-logs`).
    FileAndStderr,
}

/// Plugins that OpenCode loads.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Plugins {
    /// The built-in plugins and those that config names.
    #[default]
    All,
    /// The built-in plugins only (`--pure`).
    BuiltIn,
}

/// Availability of the tool by which a model asks the user questions (`question`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Questions {
    /// OpenCode decides by the name of the client (`OPENCODE_CLIENT`), and offers the tool by
    /// default. A client of the server must answer the questions.
    #[default]
    Offer,
    /// The model does not see the tool, unless [`RunConfig::with_env`](crate::RunConfig::with_env)
    /// has chosen a client for which OpenCode offers it. `opencode run` always works like this.
    Hide,
}

/// Output of reasoning by `opencode run`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reasoning {
    /// Reasoning is left out of the output.
    #[default]
    Hide,
    /// Reasoning is printed as `reasoning` events (`--thinking`).
    Show,
}

/// Publication of a session on a public page.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Sharing {
    /// The session is published when the configuration asks for that (`share`).
    #[default]
    Configured,
    /// The session is published (`--share`).
    Share,
}
