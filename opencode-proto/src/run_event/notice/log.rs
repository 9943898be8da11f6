//! Notices that are lines of OpenCode's log.

use super::Notice;
use crate::surroundings::{LogLine, McpServer, McpStatus, PluginFault};

/// OpenCode's words for the status of an MCP server whose connection was lost.
const CONNECTION_CLOSED: &str = "Connection closed";

impl Notice {
    /// Reads the fact of a line of the log.
    pub(crate) fn of_log(log: &LogLine<'_>) -> Option<Self> {
        let message = log.field("message")?;
        match &*message {
            "server unavailable" => {
                let status = McpStatus::of(&log.field("status")?, log.field("error"));
                Some(Self::McpUnavailable(McpServer::new(log.field("key")?, status)))
            }
            "MCP connection closed" => Some(Self::McpLost(McpServer::new(
                log.field("server")?,
                McpStatus::Failed { error: Some(CONNECTION_CLOSED.to_owned()) },
            ))),
            "failed to load plugin" => {
                let fault = PluginFault::new(log.field("path")?, log.field("error")?);
                Some(Self::PluginFailed(fault))
            }
            _ => None,
        }
    }

    /// Returns the line of the log for a fault of the surroundings.
    pub(crate) fn log_line(&self) -> Option<String> {
        let quoted = |text: &str| serde_json::to_string(text).expect("a text is JSON");
        match self {
            Self::McpUnavailable(McpServer { name, status }) => {
                let error = status.error().map(|error| format!(" error={}", quoted(error)));
                Some(format!(
                    "timestamp= level=WARN message=\"server unavailable\" key={} status={}{}",
                    quoted(name),
                    quoted(status.as_str()),
                    error.unwrap_or_default()
                ))
            }
            Self::McpLost(McpServer { name, .. }) => Some(format!(
                "timestamp= level=WARN message=\"MCP connection closed\" server={}",
                quoted(name)
            )),
            Self::PluginFailed(PluginFault { plugin, reason }) => Some(format!(
                "timestamp= level=ERROR message=\"failed to load plugin\" path={} error={}",
                quoted(plugin),
                quoted(reason)
            )),
            Self::AgentReplaced { .. }
            | Self::AnswerEmpty
            | Self::AnsweredWith { .. }
            | Self::Installing { .. }
            | Self::PermissionRejected { .. }
            | Self::SettingChanged { .. }
            | Self::Shared { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_a_fault_is_read_as_the_same_fault() {
        let error = Some("a \"quoted\" word=1".to_owned());
        let faults = [
            Notice::McpUnavailable(McpServer::new("a b", McpStatus::Failed { error })),
            Notice::McpUnavailable(McpServer::new("c", McpStatus::NeedsAuth)),
            Notice::McpLost(McpServer::new(
                "c",
                McpStatus::Failed { error: Some(CONNECTION_CLOSED.into()) },
            )),
            Notice::PluginFailed(PluginFault::new("file:///p.js", "it = \"broken\"")),
        ];
        for fault in faults {
            assert_eq!(Notice::read(&fault.to_line()), Some(fault));
        }
    }

    #[test]
    fn lines_of_the_real_log_are_read() {
        let line = "timestamp=2026-11-30T23:00:39.635Z level=WARN run=5f5d3a08 \
            message=\"server unavailable\" key=gone type=local status=failed";
        let status = McpStatus::Failed { error: None };
        let expected = Notice::McpUnavailable(McpServer::new("gone", status));
        assert_eq!(Notice::read(line), Some(expected));
        let line = "timestamp=2026-11-30T23:00:37.645Z level=ERROR run=5f5d3a08 \
            message=\"failed to load plugin\" path=file:///p/throws.js error=\"boom at init\"";
        let expected = PluginFault::new("file:///p/throws.js", "boom at init");
        assert_eq!(Notice::read(line), Some(Notice::PluginFailed(expected)));
        assert_eq!(Notice::read("timestamp=1 level=WARN message=\"something else\" key=a"), None);
    }
}
