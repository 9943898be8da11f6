//! Flags of `opencode serve`.

use super::{ExtraFlags, LogLevel, LogOutput, Plugins};
use crate::Credentials;

/// The typed flags of `opencode serve`.
///
/// Host name and port are always given on the command line, so no config decides them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ServeFlags {
    /// What clients must present (`OPENCODE_SERVER_USERNAME` and `OPENCODE_SERVER_PASSWORD`).
    /// Without them anybody on the machine can use the server.
    pub credentials: Option<Credentials>,
    /// Flags beside the typed ones.
    pub extra_flags: ExtraFlags,
    /// The address to listen on (`--hostname`), `127.0.0.1` by default.
    pub hostname: Option<String>,
    /// How much is logged (`--log-level`).
    pub log_level: Option<LogLevel>,
    /// Where logs go.
    pub logs: LogOutput,
    /// Which plugins are loaded.
    pub plugins: Plugins,
    /// The port (`--port`). Without one, or with 0, OpenCode takes 4096 if it is free and any other
    /// if it is not.
    pub port: Option<u16>,
}

impl ServeFlags {
    /// No flags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`credentials`](Self::credentials).
    #[must_use]
    pub fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }

    /// Sets [`extra_flags`](Self::extra_flags).
    #[must_use]
    pub fn with_extra_flags(self, extra_flags: ExtraFlags) -> Self {
        Self { extra_flags, ..self }
    }

    /// Sets [`hostname`](Self::hostname).
    #[must_use]
    pub fn with_hostname(self, hostname: impl Into<String>) -> Self {
        Self { hostname: Some(hostname.into()), ..self }
    }

    /// Sets [`log_level`](Self::log_level).
    #[must_use]
    pub fn with_log_level(self, log_level: LogLevel) -> Self {
        Self { log_level: Some(log_level), ..self }
    }

    /// Sets [`logs`](Self::logs).
    #[must_use]
    pub fn with_logs(self, logs: LogOutput) -> Self {
        Self { logs, ..self }
    }

    /// Sets [`plugins`](Self::plugins).
    #[must_use]
    pub fn with_plugins(self, plugins: Plugins) -> Self {
        Self { plugins, ..self }
    }

    /// Sets [`port`](Self::port).
    #[must_use]
    pub fn with_port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }
}
