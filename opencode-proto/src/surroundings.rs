//! Faults in the surroundings of a prompt: plugins and MCP servers that OpenCode works without.
//!
//! OpenCode 1.18.33 reports them in several places, and in none that a client would look at:
//!
//! | fault | place |
//! |---|---|
//! | an MCP server did not start | `GET /mcp`; log, level `WARN`, without the error |
//! | the connection to an MCP server was lost | `mcp.tools.changed` and `GET /mcp`; log, level `WARN` |
//! | a plugin is missing, cannot be installed or compiled | `session.error` without a session, on `/global/event` only |
//! | the function of a plugin fails | log, level `ERROR` |

use std::fmt;

use serde::Serialize;

pub(crate) use log_line::LogLine;

mod log_line;

/// An MCP server with its status.
///
/// `Serialize` writes `{name, status}`, and the error where there is one.
///
/// ```
/// use opencode_proto::api::{McpServer, McpStatus};
///
/// let server = McpServer::new("tickets", McpStatus::NeedsAuth);
/// assert_eq!(server.to_string(), "MCP server `tickets`: needs authentication");
/// assert_eq!(serde_json::to_string(&server)?, r#"{"name":"tickets","status":"needs_auth"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct McpServer {
    /// Name of the server in the config.
    pub name: String,
    /// Status of the server.
    #[serde(flatten)]
    pub status: McpStatus,
}

/// Status of an MCP server. Mirrors `MCPStatus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
#[non_exhaustive]
pub enum McpStatus {
    /// The model can use the tools of the server.
    Connected,
    /// The config switches the server off.
    Disabled,
    /// The server did not start, or its connection was lost.
    Failed {
        /// The error in OpenCode's words, where OpenCode names one.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The server requires a login (`opencode mcp auth NAME`).
    NeedsAuth,
    /// The server requires the id of a registered client in the config.
    NeedsClientRegistration {
        /// The error in OpenCode's words, where OpenCode names one.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// No config that OpenCode reads names the server. A finding of this library.
    NotConfigured,
    /// A status that this version of the crate does not know.
    #[serde(untagged)]
    Other {
        /// The status in OpenCode's spelling.
        status: Box<str>,
    },
}

impl McpServer {
    /// Creates a server with this status.
    pub fn new(name: impl Into<String>, status: McpStatus) -> Self {
        Self { name: name.into(), status }
    }

    /// Returns whether a config wants the server, and the model has no tools of it.
    pub fn is_faulty(&self) -> bool {
        !matches!(self.status, McpStatus::Connected | McpStatus::Disabled)
    }

    /// Returns the first of the `required` servers that is not connected.
    pub fn missing<'a>(
        servers: &[Self],
        required: impl IntoIterator<Item = &'a String>,
    ) -> Option<Self> {
        required.into_iter().find_map(|name| {
            match servers.iter().find(|server| server.name == *name) {
                Some(server) if server.status == McpStatus::Connected => None,
                Some(server) => Some(server.clone()),
                None => Some(Self::new(name, McpStatus::NotConfigured)),
            }
        })
    }
}

impl McpStatus {
    /// Returns the status of this spelling.
    pub(crate) fn of(status: &str, error: Option<String>) -> Self {
        match status {
            "connected" => Self::Connected,
            "disabled" => Self::Disabled,
            "failed" => Self::Failed { error },
            "needs_auth" => Self::NeedsAuth,
            "needs_client_registration" => Self::NeedsClientRegistration { error },
            "not_configured" => Self::NotConfigured,
            other => Self::Other { status: other.into() },
        }
    }

    /// Returns OpenCode's spelling of the status.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Connected => "connected",
            Self::Disabled => "disabled",
            Self::Failed { .. } => "failed",
            Self::NeedsAuth => "needs_auth",
            Self::NeedsClientRegistration { .. } => "needs_client_registration",
            Self::NotConfigured => "not_configured",
            Self::Other { status } => status,
        }
    }

    /// Returns the error in OpenCode's words, where OpenCode names one.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Failed { error } | Self::NeedsClientRegistration { error } => error.as_deref(),
            Self::Connected
            | Self::Disabled
            | Self::NeedsAuth
            | Self::NotConfigured
            | Self::Other { .. } => None,
        }
    }
}

impl fmt::Display for McpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MCP server `{}`: {}", self.name, self.status)
    }
}

impl fmt::Display for McpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connected => "connected",
            Self::Disabled => "disabled in the config",
            Self::Failed { .. } => "failed",
            Self::NeedsAuth => "needs authentication",
            Self::NeedsClientRegistration { .. } => "needs a client registration",
            Self::NotConfigured => "no config names the server",
            Self::Other { status } => status,
        })?;
        match self.error() {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

/// A plugin that OpenCode works without.
///
/// ```
/// use opencode_proto::ServerEvent;
///
/// let event = ServerEvent::decode(
///     r#"{"type":"session.error","properties":{"error":{"name":"UnknownError","data":
///         {"message":"Failed to load plugin file:///src/p.js: Unexpected =>"}}}}"#.into(),
/// );
/// let fault = event.plugin_fault().expect("a plugin that does not compile");
/// assert_eq!(&*fault.plugin, "file:///src/p.js");
/// assert_eq!(
///     fault.to_string(),
///     "plugin `file:///src/p.js` was not loaded: Unexpected =>"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PluginFault {
    /// The plugin, as a package or as the URL of a file.
    pub plugin: String,
    /// The reason in OpenCode's words.
    pub reason: String,
}

impl PluginFault {
    /// Creates the fault of a plugin, for this reason.
    pub fn new(plugin: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { plugin: plugin.into(), reason: reason.into() }
    }

    /// Reads the fault of an error without a session.
    pub(crate) fn of_message(message: &str) -> Option<Self> {
        if let Some(skipped) = message.strip_prefix("Plugin ") {
            let (plugin, reason) = skipped.split_once(" skipped: ")?;
            return Some(Self::new(plugin, reason));
        }
        let failed = message
            .strip_prefix("Failed to load plugin ")
            .or_else(|| message.strip_prefix("Failed to install plugin "))?;
        let (plugin, reason) = failed.split_once(": ")?;
        Some(Self::new(plugin, reason))
    }
}

impl fmt::Display for PluginFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, reason } = self;
        write!(f, "plugin `{plugin}` was not loaded: {reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_event::ServerEvent;

    fn fault(message: &str) -> Option<PluginFault> {
        let message = serde_json::to_string(message).expect("a text is JSON");
        let event = format!(
            r#"{{"type":"session.error","properties":{{"error":{{"name":"UnknownError","data":{{
                "message":{message}}}}}}}}}"#
        );
        ServerEvent::decode(event.into()).plugin_fault()
    }

    #[test]
    fn faults_of_plugins_are_read_from_errors_without_a_session() {
        let cases = [
            ("Failed to install plugin a@1.0.0: 404 Not Found", "a@1.0.0", "404 Not Found"),
            ("Failed to load plugin @s/a: Cannot find module", "@s/a", "Cannot find module"),
            ("Plugin a@2 skipped: needs a newer OpenCode", "a@2", "needs a newer OpenCode"),
        ];
        for (message, plugin, reason) in cases {
            assert_eq!(fault(message), Some(PluginFault::new(plugin, reason)));
        }
        assert_eq!(fault("Failed to load the plugins of a friend"), None);
        let of_session = ServerEvent::decode(
            r#"{"type":"session.error","properties":{"sessionID":"ses_1","error":{
                "name":"UnknownError","data":{"message":"Failed to load plugin a: b"}}}}"#
                .into(),
        );
        assert_eq!(of_session.plugin_fault(), None);
    }
}
