//! Survey of a directory before its first prompt: plugins and MCP servers that OpenCode works
//! without.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opencode_proto::api::{ConfiguredExtensions, ListMcpServers, McpServer, McpStatus};
use opencode_proto::{PluginFault, ServerEvent, SseEvent, SseFramer};

use crate::http::{EventBody, Http};
use crate::log::describe;
use crate::process::warning::Warning;
use crate::runtime::latch::{Latch, SetOnDrop};
use crate::runtime::wait::within;

/// Longest wait for the stream of all directories.
const OPEN_LIMIT: Duration = Duration::from_secs(2);
/// Silence after which no further fault of a plugin is expected. OpenCode publishes the faults
/// before it replies to the first request for the directory.
const QUIET: Duration = Duration::from_millis(500);
/// Largest event that can be about a plugin.
const EVENT_SIZE_MAX: usize = 1 << 20;
/// Most events that are read for faults, on a server that is busy with other directories.
const EVENTS_MAX: usize = 10_000;

/// Results of the surveys of a server, by directory. Each directory is surveyed once.
#[derive(Default)]
pub(super) struct Surveys(Mutex<BTreeMap<Option<String>, SurveyLatch>>);

/// Set with the warnings when the survey is made.
type SurveyLatch = Arc<Latch<Vec<Warning>>>;

impl Surveys {
    /// Returns the warnings of all surveys that were made.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let surveys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made = surveys.values().filter_map(|survey| survey.value());
        made.flat_map(|warnings| Vec::clone(&warnings)).collect()
    }

    /// Returns the warnings about a directory, after the first caller has made the `survey`.
    pub(super) async fn of(
        &self,
        directory: Option<String>,
        survey: impl Future<Output = Vec<Warning>>,
    ) -> Arc<Vec<Warning>> {
        let (latch, is_first) = {
            let mut surveys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_first = !surveys.contains_key(&directory);
            (Arc::clone(surveys.entry(directory).or_default()), is_first)
        };
        if is_first {
            // A survey that is cancelled is not made again: the directory has begun to work.
            let _told = SetOnDrop(&latch, Vec::new);
            latch.set(survey.await);
        }
        latch.wait().await
    }
}

/// Surveys a directory: reads the configuration, which makes OpenCode load the plugins, and lists
/// the MCP servers, which makes OpenCode start them.
///
/// A server that does not reply gives no warning: the prompt has to report such a failure. Without
/// a listener, faults of plugins stay unknown.
pub(super) async fn survey(
    http: &Http,
    directory: Option<&str>,
    mut faults: Option<PluginFaults>,
) -> Vec<Warning> {
    if let Some(faults) = &mut faults {
        faults.listen(http).await;
    }
    let configured = match http.call(&ConfiguredExtensions::new(), directory).await {
        Ok(configured) => configured,
        Err(error) => {
            tracing::debug!(%error, "surroundings not surveyed");
            return Vec::new();
        }
    };
    let mut warnings = Vec::new();
    if let (false, Some(faults)) = (configured.plugins.is_empty(), faults) {
        let faults = faults.collect(http, directory).await;
        warnings.extend(faults.into_iter().map(Warning::PluginFailed));
    }
    if !configured.mcp.is_empty() {
        match http.call(&ListMcpServers::new(), directory).await {
            Ok(servers) => {
                let faulty = servers.into_iter().filter(McpServer::is_faulty);
                warnings.extend(faulty.map(Warning::McpUnavailable));
            }
            Err(error) => tracing::debug!(%error, "MCP servers not listed"),
        }
    }
    for warning in &warnings {
        tracing::warn!(%warning, directory, "surroundings are incomplete");
    }
    warnings
}

/// Returns the first of the required MCP servers that is not connected in the directory.
pub(crate) async fn missing_mcp(
    http: &Http,
    directory: Option<&str>,
    required: &[String],
) -> Option<McpServer> {
    let first = required.first()?;
    match http.call(&ListMcpServers::new(), directory).await {
        Ok(servers) => McpServer::missing(&servers, required),
        Err(error) => {
            let error = Some(describe(&error));
            Some(McpServer::new(first, McpStatus::Failed { error }))
        }
    }
}

/// Listener to the faults of plugins, which OpenCode publishes on `GET /global/event` alone, before
/// a client could open the stream of the directory.
#[derive(Default)]
pub(super) struct PluginFaults(Option<Listening>);

struct Listening {
    body: EventBody,
    framer: SseFramer,
}

impl PluginFaults {
    /// Opens the stream, unless it is open. Waits for the first event, so that later ones come too.
    pub(super) async fn listen(&mut self, http: &Http) {
        if self.0.is_some() {
            return;
        }
        let opened = within(&**http.runtime(), Some(OPEN_LIMIT), async {
            let body = http.events("/global/event", None).await.ok()?;
            let mut listening = Listening { body, framer: SseFramer::new(EVENT_SIZE_MAX) };
            listening.next_event().await.map(|_| listening)
        });
        self.0 = opened.await.ok().flatten();
    }

    /// Returns the faults that the server has published for the directory.
    async fn collect(self, http: &Http, directory: Option<&str>) -> Vec<PluginFault> {
        let Some(mut listening) = self.0 else { return Vec::new() };
        let mut faults = Vec::new();
        for _ in 0..EVENTS_MAX {
            let next = within(&**http.runtime(), Some(QUIET), listening.next_event());
            let Ok(Some(event)) = next.await else { break };
            let is_here = directory.is_none() || event.directory.as_deref() == directory;
            faults.extend(event.plugin_fault().filter(|_| is_here));
        }
        faults
    }
}

impl Listening {
    /// Returns the next event; `None` when the stream has ended.
    async fn next_event(&mut self) -> Option<ServerEvent> {
        loop {
            match self.framer.next_event() {
                Some(SseEvent::Message { data, .. }) => return Some(ServerEvent::decode(data)),
                Some(SseEvent::Comment | SseEvent::Retry { .. } | SseEvent::TooLong { .. }) => {}
                None => {
                    let chunk = poll_fn(|cx| self.body.poll_chunk(cx)).await?;
                    self.framer.push(chunk.ok()?);
                }
            }
        }
    }
}
