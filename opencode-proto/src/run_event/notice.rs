use std::fmt;

mod log;

use serde::Serialize;

use crate::MessageId;
use crate::surroundings::{LogLine, McpServer, PluginFault};

/// Fact that OpenCode prints on standard error only, or that follows from the events of a run.
///
/// ```
/// use opencode_proto::Notice;
///
/// let notice = Notice::permission_rejected("bash", "rm -r .");
/// assert_eq!(notice.to_string(), "permission `bash` was rejected for rm -r .");
/// assert_eq!(
///     serde_json::to_string(&notice)?,
///     r#"{"type":"permission_rejected","permission":"bash","patterns":"rm -r ."}"#
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// The requested agent does not exist or cannot be used. The default agent answers instead,
    /// with its own prompt, tools and permissions.
    #[non_exhaustive]
    AgentReplaced {
        /// The reason in OpenCode's words.
        reason: String,
    },
    /// The answer is complete and has no text: the model stopped without a word.
    AnswerEmpty,
    /// Over a server: the answer covers this prompt of another writer of the session as well.
    #[non_exhaustive]
    AnsweredWith {
        /// Message of the other prompt.
        #[serde(rename = "promptID")]
        prompt: MessageId,
    },
    /// npm packages of plugins are being installed, before the first event of the run.
    #[non_exhaustive]
    Installing {
        /// The packages.
        plugins: Vec<String>,
    },
    /// The connection to an MCP server was lost during the run. Its tools are gone.
    McpLost(McpServer),
    /// An MCP server did not start. The model does not have its tools.
    ///
    /// A process reports no error text; a server does.
    McpUnavailable(McpServer),
    /// The run continues or forks a session, and names another agent or model than the session
    /// had.
    #[non_exhaustive]
    SettingChanged {
        /// `agent` or `model`.
        setting: String,
        /// Value in the session.
        from: String,
        /// Value of the run.
        to: String,
    },
    /// A permission was needed and could not be asked for, so OpenCode rejected it. The turn stops
    /// there.
    #[non_exhaustive]
    PermissionRejected {
        /// Name of the permission, for example `bash` or `external_directory`.
        permission: String,
        /// Commands, paths or patterns of the request, joined by `, `.
        patterns: String,
    },
    /// A plugin was not loaded. OpenCode works without the plugin.
    ///
    /// A process reports a plugin whose function fails, and is silent about a plugin that is
    /// missing, is not installed or does not compile; a server reports all of them.
    PluginFailed(PluginFault),
    /// The session was shared.
    #[non_exhaustive]
    Shared {
        /// Address of the public page.
        url: String,
    },
}

const INSTALLING: &str = "plugins are being installed: ";
const ANSWER_EMPTY: &str = "the answer of the model is empty";
const CHANGED: &str = "the session is continued with another ";
const ANSWERED_WITH: &str = "the answer of the model covers another prompt as well: ";

impl Notice {
    /// Creates the notice of an agent that the default agent replaced, for this reason.
    pub fn agent_replaced(reason: impl Into<String>) -> Self {
        Self::AgentReplaced { reason: reason.into() }
    }

    /// Creates the notice of npm packages that are being installed.
    pub fn installing(plugins: Vec<String>) -> Self {
        Self::Installing { plugins }
    }

    /// Creates the notice of a permission that was refused for these patterns.
    pub fn permission_rejected(permission: impl Into<String>, patterns: impl Into<String>) -> Self {
        Self::PermissionRejected { permission: permission.into(), patterns: patterns.into() }
    }

    /// Creates the notice of a session that is continued with another agent or model.
    pub fn setting_changed(
        setting: impl Into<String>,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> Self {
        Self::SettingChanged { setting: setting.into(), from: from.into(), to: to.into() }
    }

    /// Creates the notice of a session that was shared at this address.
    pub fn shared(url: impl Into<String>) -> Self {
        Self::Shared { url: url.into() }
    }

    /// Reads a line of standard error that has no colour codes.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let line = line.trim();
        if let Some(log) = LogLine::read(line) {
            return Self::of_log(&log);
        }
        if let Some(url) = line.strip_prefix('~') {
            let url = url.trim();
            return url.starts_with("http").then(|| Self::Shared { url: url.to_owned() });
        }
        let warning = line.strip_prefix('!')?.trim();
        if warning == ANSWER_EMPTY {
            return Some(Self::AnswerEmpty);
        }
        if let Some(prompt) = warning.strip_prefix(ANSWERED_WITH) {
            return Some(Self::AnsweredWith { prompt: prompt.into() });
        }
        if let Some(changed) = warning.strip_prefix(CHANGED) {
            let (setting, values) = changed.split_once(": ")?;
            let (to, from) = values.split_once(" after ")?;
            return Some(Self::setting_changed(setting, from, to));
        }
        if let Some(plugins) = warning.strip_prefix(INSTALLING) {
            return Some(Self::Installing {
                plugins: plugins.split(", ").map(str::to_owned).collect(),
            });
        }
        if let Some(reason) = warning.strip_suffix(". Falling back to default agent") {
            return Some(Self::AgentReplaced { reason: reason.to_owned() });
        }
        let asked =
            warning.strip_prefix("permission requested: ")?.strip_suffix("; auto-rejecting")?;
        let (permission, patterns) = asked.split_once(" (")?;
        Some(Self::PermissionRejected {
            permission: permission.to_owned(),
            patterns: patterns.strip_suffix(')')?.to_owned(),
        })
    }

    /// Returns the line of standard error for this fact.
    pub(crate) fn to_line(&self) -> String {
        match self {
            Self::AgentReplaced { reason } => format!("! {reason}. Falling back to default agent"),
            Self::AnswerEmpty => format!("! {ANSWER_EMPTY}"),
            Self::AnsweredWith { prompt } => format!("! {ANSWERED_WITH}{prompt}"),
            Self::Installing { plugins } => format!("! {INSTALLING}{}", plugins.join(", ")),
            Self::PermissionRejected { permission, patterns } => {
                format!("! permission requested: {permission} ({patterns}); auto-rejecting")
            }
            Self::SettingChanged { setting, from, to } => {
                format!("! {CHANGED}{setting}: {to} after {from}")
            }
            Self::Shared { url } => format!("~  {url}"),
            Self::McpLost(_) | Self::McpUnavailable(_) | Self::PluginFailed(_) => {
                self.log_line().unwrap_or_default()
            }
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::AgentReplaced { .. } => "agent_replaced",
            Self::AnswerEmpty => "answer_empty",
            Self::AnsweredWith { .. } => "answered_with",
            Self::Installing { .. } => "installing",
            Self::McpLost(_) => "mcp_lost",
            Self::McpUnavailable(_) => "mcp_unavailable",
            Self::PermissionRejected { .. } => "permission_rejected",
            Self::PluginFailed(_) => "plugin_failed",
            Self::SettingChanged { .. } => "setting_changed",
            Self::Shared { .. } => "shared",
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgentReplaced { reason } => {
                write!(f, "the default agent was used instead: {reason}")
            }
            Self::AnswerEmpty => f.write_str(ANSWER_EMPTY),
            Self::AnsweredWith { prompt } => write!(f, "{ANSWERED_WITH}{prompt}"),
            Self::Installing { plugins } => write!(f, "{INSTALLING}{}", plugins.join(", ")),
            Self::McpLost(server) | Self::McpUnavailable(server) => server.fmt(f),
            Self::PluginFailed(fault) => fault.fmt(f),
            Self::PermissionRejected { permission, patterns } => {
                write!(f, "permission `{permission}` was rejected for {patterns}")
            }
            Self::SettingChanged { setting, from, to } => {
                write!(f, "{CHANGED}{setting}: {to} after {from}")
            }
            Self::Shared { url } => write!(f, "shared at {url}"),
        }
    }
}
