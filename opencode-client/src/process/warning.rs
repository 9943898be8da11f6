use std::fmt;
use std::sync::Arc;

use opencode_config::ConfigWarning;
use opencode_proto::api::McpServer;
use opencode_proto::{Notice, PluginFault};

use super::cleanup::CleanupError;
use super::guardian::GuardianError;
use super::ripgrep::RipgrepMissing;
use crate::log::EventLogError;

/// A problem that did not stop a run or a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Warning {
    /// A configuration file of the user was ignored.
    Config(ConfigWarning),
    /// No guardian watches the run: processes and files stay behind if this program is killed.
    Guardian(Arc<GuardianError>),
    /// The cleanup after a failed run was not complete. After a successful run, this is
    /// [`RunError::Leftovers`](crate::RunError::Leftovers).
    Leftovers(Arc<CleanupError>),
    /// The log of a failed run is not complete. After a successful run, this is
    /// [`RunError::Log`](crate::RunError::Log).
    Log(Arc<EventLogError>),
    /// The connection to an MCP server was lost while the model worked. The tools of the server are
    /// gone.
    McpLost(McpServer),
    /// An MCP server did not start. The model does not have the tools of the server.
    /// [`RunConfig::with_required_mcp`](crate::RunConfig::with_required_mcp) makes this an error.
    McpUnavailable(McpServer),
    /// OpenCode works without a plugin, which could not be installed or loaded.
    PluginFailed(PluginFault),
    /// Ripgrep is not installed, so that some tools of OpenCode may fail.
    Ripgrep(RipgrepMissing),
}

impl Warning {
    /// Returns the warnings among the notices of a run.
    pub(crate) fn of_notices(notices: &[Notice]) -> impl Iterator<Item = Self> {
        notices.iter().filter_map(|notice| {
            if let Notice::McpLost(server) = notice {
                return Some(Self::McpLost(server.clone()));
            }
            if let Notice::McpUnavailable(server) = notice {
                return Some(Self::McpUnavailable(server.clone()));
            }
            if let Notice::PluginFailed(fault) = notice {
                return Some(Self::PluginFailed(fault.clone()));
            }
            None
        })
    }
}

impl Warning {
    /// Returns the notice of a run for a fault in the surroundings.
    pub(crate) fn notice(&self) -> Option<Notice> {
        match self {
            Self::McpLost(server) => Some(Notice::McpLost(server.clone())),
            Self::McpUnavailable(server) => Some(Notice::McpUnavailable(server.clone())),
            Self::PluginFailed(fault) => Some(Notice::PluginFailed(fault.clone())),
            Self::Config(_)
            | Self::Guardian(_)
            | Self::Leftovers(_)
            | Self::Log(_)
            | Self::Ripgrep(_) => None,
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(warning) => warning.fmt(f),
            Self::Guardian(error) => error.fmt(f),
            Self::Leftovers(error) => error.fmt(f),
            Self::Log(error) => error.fmt(f),
            Self::McpLost(server) | Self::McpUnavailable(server) => server.fmt(f),
            Self::PluginFailed(fault) => fault.fmt(f),
            Self::Ripgrep(missing) => missing.fmt(f),
        }
    }
}
