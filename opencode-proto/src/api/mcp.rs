//! MCP servers of a directory.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::{Call, one};
use super::{ApiError, Operation, Pace, Repeat};
use crate::json::string;
use crate::surroundings::{McpServer, McpStatus};

/// Lists the MCP servers of a directory with their status. `GET /mcp`.
///
/// OpenCode starts the servers before it replies, unless a prompt has started them before, and
/// waits up to 30 seconds for each.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{ListMcpServers, McpStatus, Operation};
///
/// let reply = r#"{"browser":{"status":"failed","error":"Connection closed"}}"#;
/// let servers = ListMcpServers::new().decode(Response::new(reply.into()))?;
/// let error = Some("Connection closed".into());
/// assert_eq!((&*servers[0].name, &servers[0].status), ("browser", &McpStatus::Failed { error }));
/// # Ok::<(), opencode_proto::api::ApiError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListMcpServers;

impl ListMcpServers {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["mcp"])
    }
}

impl Operation for ListMcpServers {
    type Output = Vec<McpServer>;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Vec<McpServer>, ApiError> {
        #[derive(Deserialize)]
        struct WireMcpStatus {
            status: String,
            #[serde(default)]
            error: Option<String>,
        }
        Self::call().read(response, |body| {
            one(body, |raw| {
                let servers: BTreeMap<String, WireMcpStatus> = serde_json::from_str(raw.get())?;
                let server = |(name, WireMcpStatus { status, error })| McpServer {
                    name,
                    status: McpStatus::of(&status, error),
                };
                Ok(servers.into_iter().map(server).collect())
            })
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    // Longer than the start of a directory: OpenCode waits for every server.
    fn pace(&self) -> Pace {
        Pace::Boot
    }
}

/// Reads the names of the MCP servers and plugins in a directory's configuration. `GET /config`.
///
/// The first request for a directory waits until OpenCode has installed and loaded the plugins.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{ConfiguredExtensions, Operation};
///
/// let reply = r#"{"mcp":{"browser":{}},"plugin":["opencode-pty@0.1.3",["./mine.js",{}]]}"#;
/// let found = ConfiguredExtensions::new().decode(Response::new(reply.into()))?;
/// assert_eq!(found.mcp, ["browser"]);
/// assert_eq!(found.plugins, ["opencode-pty@0.1.3", "./mine.js"]);
/// # Ok::<(), opencode_proto::api::ApiError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfiguredExtensions;

/// Names of the MCP servers and plugins in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions {
    /// Names of the MCP servers, those that are switched off included.
    pub mcp: Vec<String>,
    /// Plugins, as packages or as URLs of files.
    pub plugins: Vec<String>,
}

impl ConfiguredExtensions {
    /// Creates the operation.
    pub const fn new() -> Self {
        Self
    }

    fn call() -> Call {
        Call::get(["config"])
    }
}

impl Operation for ConfiguredExtensions {
    type Output = Extensions;

    fn request(&self) -> Request<Bytes> {
        Self::call().request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Extensions, ApiError> {
        #[derive(Deserialize)]
        struct WireExtensions<'a> {
            #[serde(borrow, default)]
            mcp: BTreeMap<String, &'a RawValue>,
            #[serde(borrow, default)]
            plugin: Vec<&'a RawValue>,
        }
        Self::call().read(response, |body| {
            one(body, |raw| {
                let wire: WireExtensions<'_> = serde_json::from_str(raw.get())?;
                let plugins = wire.plugin.into_iter().filter_map(plugin_name).collect();
                Ok(Extensions { mcp: wire.mcp.into_keys().collect(), plugins })
            })
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn pace(&self) -> Pace {
        Pace::Boot
    }
}

/// Returns the name of a plugin, which is a string, or a list of the name and options.
fn plugin_name(raw: &RawValue) -> Option<String> {
    string(raw).or_else(|| {
        let list: Vec<&RawValue> = serde_json::from_str(raw.get()).ok()?;
        list.first().copied().and_then(string)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(body: &'static str) -> Vec<McpServer> {
        ListMcpServers::new().decode(Response::new(body.into())).expect("a list")
    }

    #[test]
    fn every_status_is_read_and_written_in_opencodes_spelling() {
        let body = r#"{"a":{"status":"connected"},"b":{"status":"disabled"},
            "c":{"status":"failed","error":"gone"},"d":{"status":"needs_auth"},
            "e":{"status":"needs_client_registration","error":"id"},"f":{"status":"paused"}}"#;
        let servers = servers(body);
        let faulty: Vec<_> = servers.iter().filter(|server| server.is_faulty()).collect();
        assert_eq!(faulty.iter().map(|server| &*server.name).collect::<String>(), "cdef");
        let json = serde_json::to_string(&faulty).expect("JSON");
        assert_eq!(
            json,
            r#"[{"name":"c","status":"failed","error":"gone"},{"name":"d","status":"needs_auth"},"#
                .to_owned()
                + r#"{"name":"e","status":"needs_client_registration","error":"id"},"#
                + r#"{"name":"f","status":"paused"}]"#
        );
        assert_eq!(faulty[0].to_string(), "MCP server `c`: failed: gone");
        for server in &servers {
            let error = server.status.error().map(str::to_owned);
            assert_eq!(McpStatus::of(server.status.as_str(), error), server.status);
        }
    }

    #[test]
    fn a_required_server_is_missing_unless_it_is_connected() {
        let servers = servers(r#"{"a":{"status":"connected"},"b":{"status":"disabled"}}"#);
        let missing = |name: &str| McpServer::missing(&servers, &[name.to_owned()]);
        assert_eq!(missing("a"), None);
        assert_eq!(missing("b"), Some(McpServer::new("b", McpStatus::Disabled)));
        assert_eq!(missing("c"), Some(McpServer::new("c", McpStatus::NotConfigured)));
        assert_eq!(McpServer::missing(&servers, []), None);
    }
}
