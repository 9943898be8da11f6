use std::io;
use std::path::PathBuf;
use std::time::Duration;

use opencode_config::RunConfigError;
use opencode_proto::api::McpServer;
use opencode_proto::{HealthError, ServeOutcome, UnsupportedVersion, Version};

#[cfg(feature = "tls")]
use crate::http::TlsError;
use crate::http::UrlError;
use crate::process::binary::BinaryNotFound;
use crate::process::launch::LaunchPlanError;
use crate::process::launch::SpawnError;
use crate::process::private_dir::PrivateDirError;
use crate::process::version::{VersionError, in_parentheses};
use crate::runtime::describe::debug_as_chain;

/// An error of the start of a server. Processes and files of the failed start are removed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// OpenCode was not found at any searched location.
    #[error(transparent)]
    Binary(#[from] BinaryNotFound),
    /// The configuration cannot be passed to the server.
    #[error("the server's configuration is not usable")]
    Config(#[from] RunConfigError),
    /// The project's directory is not accessible.
    #[error("cannot serve {}", path.display())]
    Directory {
        /// The project's directory.
        path: PathBuf,
        /// The reason of the failure.
        source: io::Error,
    },
    /// The process exited before the server was ready.
    #[error("`{command}`{}: {}", in_parentheses(version.as_deref()), .outcome.end)]
    Ended {
        /// The command of the server, quoted for a shell.
        command: String,
        /// The version of OpenCode, as far as it is known.
        version: Option<Box<Version>>,
        /// The end of the process, with the output.
        outcome: Box<ServeOutcome>,
    },
    /// OpenCode rejected the configuration, which can include the user's and the project's files.
    #[error("`{command}`{}: {message}", in_parentheses(version.as_deref()))]
    InvalidConfig {
        /// The command of the server, quoted for a shell.
        command: String,
        /// The version of OpenCode, as far as it is known.
        version: Option<Box<Version>>,
        /// OpenCode's description of the fault.
        message: String,
        /// The end of the server's standard error.
        stderr: String,
    },
    /// The server cannot listen on the requested address, mostly because the port is in use.
    #[error("`{command}`{} cannot listen on {address}", in_parentheses(version.as_deref()))]
    Listen {
        /// The command of the server, quoted for a shell.
        command: String,
        /// The version of OpenCode, as far as it is known.
        version: Option<Box<Version>>,
        /// Host and port of the server.
        address: String,
        /// The reason as found by this library: OpenCode does not report one.
        source: io::Error,
        /// The end of the server's standard error.
        stderr: String,
    },
    /// A required MCP server is not available
    /// ([`RunConfig::with_required_mcp`](crate::RunConfig::with_required_mcp)).
    #[error("a required {server}")]
    McpUnavailable {
        /// The command of the server, quoted for a shell.
        command: String,
        /// The version of OpenCode, as far as it is known.
        version: Option<Box<Version>>,
        /// The MCP server and the status.
        server: Box<McpServer>,
        /// The end of the server's standard error.
        stderr: String,
    },
    /// No free port was found.
    #[error("cannot find a free port on {hostname}")]
    NoPort {
        /// The host that was searched for a free port.
        hostname: String,
        /// The reason of the failure.
        source: io::Error,
    },
    /// The private directory could not be created.
    #[error("cannot isolate the server")]
    PrivateDir(#[from] PrivateDirError),
    /// The process could not be started.
    #[error("cannot start `{command}`{}", in_parentheses(version.as_deref()))]
    Spawn {
        /// The command of the server, quoted for a shell.
        command: String,
        /// The version of OpenCode, as far as it is known.
        version: Option<Box<Version>>,
        /// The reason of the failure.
        source: io::Error,
    },
    /// The server was not ready in time.
    #[error(
        "`{command}`{} was not ready within {limit:?}{}",
        in_parentheses(version.as_deref()),
        installed(installing)
    )]
    TimedOut {
        /// The command of the server, quoted for a shell.
        command: String,
        /// The version of OpenCode, as far as it is known.
        version: Option<Box<Version>>,
        /// The time limit that passed.
        limit: Duration,
        /// npm packages of plugins that the server was installing.
        installing: Vec<String>,
        /// The end of the server's standard error.
        stderr: String,
    },
    /// The version of OpenCode is not supported, or the program prints none.
    #[error("the version check of OpenCode failed")]
    Version(#[source] VersionError),
    /// The server listens on a URL that this crate cannot use, or HTTP cannot express the user
    /// name.
    #[error("cannot use the URL of `{command}`{}", in_parentheses(version.as_deref()))]
    Url {
        /// The command of the server, quoted for a shell.
        command: String,
        /// The version of OpenCode, as far as it is known.
        version: Option<Box<Version>>,
        /// The fault in the URL.
        source: UrlError,
    },
    /// The server listens, but failed the health check.
    #[error(
        "`{command}`{} listens on {url} but failed the health check",
        in_parentheses(version.as_deref())
    )]
    Unhealthy {
        /// The command of the server, quoted for a shell.
        command: String,
        /// The version of OpenCode, as far as it is known.
        version: Option<Box<Version>>,
        /// The URL on which the server listens.
        url: String,
        /// The error of the health check.
        source: Box<HealthError>,
        /// The end of the server's standard error.
        stderr: String,
    },
}

debug_as_chain!(ServeError);

impl ServeError {
    /// Returns the end of the process's standard error, without colours, if there was a process.
    pub fn stderr(&self) -> Option<&str> {
        match self {
            Self::Ended { outcome, .. } => Some(&outcome.stderr),
            Self::InvalidConfig { stderr, .. }
            | Self::Listen { stderr, .. }
            | Self::McpUnavailable { stderr, .. }
            | Self::TimedOut { stderr, .. }
            | Self::Unhealthy { stderr, .. } => Some(stderr),
            Self::Binary(_)
            | Self::Config(_)
            | Self::Directory { .. }
            | Self::NoPort { .. }
            | Self::PrivateDir(_)
            | Self::Spawn { .. }
            | Self::Url { .. }
            | Self::Version(_) => None,
        }
    }

    /// Names the plugins that were being installed when the start took too long.
    #[must_use]
    pub(crate) fn while_installing(mut self, plugins: Vec<String>) -> Self {
        if let Self::TimedOut { installing, .. } = &mut self {
            *installing = plugins;
        }
        self
    }

    /// Returns `true` if a retry may succeed with nothing changed by the caller.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unhealthy { source, .. } => !matches!(**source, HealthError::Version(_)),
            Self::Version(error) => error.is_passing(),
            Self::Ended { .. }
            | Self::Listen { .. }
            | Self::NoPort { .. }
            | Self::Spawn { .. }
            | Self::TimedOut { .. } => true,
            Self::Binary(_)
            | Self::Config(_)
            | Self::Directory { .. }
            | Self::InvalidConfig { .. }
            | Self::McpUnavailable { .. }
            | Self::PrivateDir(_)
            | Self::Url { .. } => false,
        }
    }
}

/// Returns the part of a message about plugins that are being installed.
fn installed(plugins: &[String]) -> String {
    match plugins {
        [] => String::new(),
        plugins => format!(", while plugins were being installed: {}", plugins.join(", ")),
    }
}

impl From<LaunchPlanError> for ServeError {
    fn from(error: LaunchPlanError) -> Self {
        match error {
            LaunchPlanError::Binary(error) => Self::Binary(error),
            LaunchPlanError::Config(error) => Self::Config(error),
            LaunchPlanError::Directory { path, source } => Self::Directory { path, source },
        }
    }
}

impl From<VersionError> for ServeError {
    fn from(error: VersionError) -> Self {
        if let VersionError::Binary(error) = error {
            return Self::Binary(error);
        }
        Self::Version(error)
    }
}

impl From<SpawnError> for ServeError {
    fn from(SpawnError { command, version, source }: SpawnError) -> Self {
        Self::Spawn { command, version: version.map(Box::new), source }
    }
}

/// An error of the attempt to attach to a server.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The requested directory is relative, or OpenCode would take the name for another directory.
    #[error("{url} cannot work in {}", directory.display())]
    Directory {
        /// The URL of the server, without a password.
        url: String,
        /// The requested directory.
        directory: PathBuf,
        /// The reason, a [`DirectoryError`](super::DirectoryError).
        source: io::Error,
    },
    /// A variable of the environment has a value that is not understood
    /// ([`AttachRequest::from_env`](crate::AttachRequest::from_env)).
    #[error("cannot use {variable}: {reason}")]
    Environment {
        /// Name of the variable.
        variable: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// A required MCP server is not available
    /// ([`AttachRequest::with_required_mcp`](crate::AttachRequest::with_required_mcp)).
    #[error("{url}: a required {server}")]
    McpUnavailable {
        /// The URL of the server, without a password.
        url: String,
        /// The MCP server and the status.
        server: Box<McpServer>,
    },
    /// The server did not answer in time.
    #[error("{url} did not answer within {limit:?}")]
    TimedOut {
        /// The requested URL, without a password.
        url: String,
        /// The time limit that passed.
        limit: Duration,
    },
    /// Encryption cannot be set up for an `https://` URL.
    #[cfg(feature = "tls")]
    #[error("cannot encrypt the connection to {url}")]
    Tls {
        /// The URL of the server, without a password.
        url: String,
        /// The reason.
        source: TlsError,
    },
    /// The server rejected the credentials, which are missing or wrong.
    #[error(
        "{url} rejected the credentials: set those of the server with \
         `AttachRequest::with_credentials`"
    )]
    Unauthorized {
        /// The URL of the server, without a password.
        url: String,
    },
    /// No server listens at the URL, or the server does not work or is not OpenCode.
    #[error("there is no working OpenCode at {url}")]
    Unhealthy {
        /// The requested URL, without a password.
        url: String,
        /// The error of the health check.
        source: HealthError,
    },
    /// The URL cannot be the URL of a server.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The version of the server is not supported.
    #[error("{url}: {unsupported}")]
    Version {
        /// The URL of the server, without a password.
        url: String,
        /// The version, and the supported ones.
        unsupported: UnsupportedVersion,
    },
}

debug_as_chain!(AttachError);

impl AttachError {
    /// Returns `true` if a retry may succeed with nothing changed by the caller.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::TimedOut { .. } | Self::Unhealthy { .. } => true,
            #[cfg(feature = "tls")]
            Self::Tls { .. } => false,
            Self::Directory { .. }
            | Self::Environment { .. }
            | Self::McpUnavailable { .. }
            | Self::Unauthorized { .. }
            | Self::Url(_)
            | Self::Version { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_start_names_the_plugins_that_were_being_installed() {
        let late = || ServeError::TimedOut {
            command: "opencode serve".to_owned(),
            version: Some(Box::new(Version::new(1, 18, 33))),
            limit: Duration::from_secs(60),
            installing: Vec::new(),
            stderr: String::new(),
        };
        let plain = "`opencode serve` (OpenCode 1.18.33) was not ready within 60s";
        assert_eq!(late().to_string(), plain);
        let error = late().while_installing(vec!["a@1.0.0".to_owned(), "b@latest".to_owned()]);
        let expected = format!("{plain}, while plugins were being installed: a@1.0.0, b@latest");
        assert_eq!(error.to_string(), expected);
    }
}
