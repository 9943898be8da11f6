use std::sync::Arc;

use opencode_proto::{EventStream, HubSettings, MessageId, SessionId, Version};

use super::files::ServerMachine;
use super::hub::{Follower, HubServer, Hubs};
use super::life::ServerExit;
use super::local::Local;
use super::sessions::{MessageIds, Sessions};
use super::survey::{self, PluginFaults, Surveys};
use crate::http::Http;
use crate::process::host::Host;
use crate::process::warning::Warning;

/// State shared by all clones of a server and everything made from a clone.
pub(crate) struct ServerInner {
    pub(crate) http: Http,
    pub(crate) host: Arc<Host>,
    /// The directory of requests; `None` for the directory in which the server was started.
    pub(crate) directory: Option<String>,
    machine: ServerMachine,
    version: Option<Version>,
    /// `None` for an attached server.
    pub(super) local: Option<Local>,
    events: HubSettings,
    hubs: Hubs,
    pub(crate) sessions: Sessions,
    message_ids: MessageIds,
    surveys: Surveys,
}

impl ServerInner {
    pub(super) fn new(
        host: Arc<Host>,
        http: Http,
        directory: Option<String>,
        version: Option<Version>,
        local: Option<Local>,
    ) -> Self {
        Self {
            http,
            host,
            directory,
            machine: match local {
                Some(_) => ServerMachine::Here,
                None => ServerMachine::Elsewhere,
            },
            version,
            local,
            events: HubSettings::default(),
            hubs: Hubs::default(),
            sessions: Sessions::default(),
            message_ids: MessageIds::default(),
            surveys: Surveys::default(),
        }
    }

    /// Sets the machine of a server whose program is a command line, which may lead elsewhere.
    pub(super) fn with_machine(self, machine: ServerMachine) -> Self {
        Self { machine, ..self }
    }

    pub(super) fn with_events(self, events: HubSettings) -> Self {
        Self { events, ..self }
    }

    /// Returns the warnings about the surroundings of a directory, where the first call makes a
    /// survey. On an attached server, another client may have had the plugins of the directory
    /// loaded before, and OpenCode does not repeat their faults: they are not listened to.
    pub(crate) async fn surroundings(&self, directory: Option<&str>) -> Arc<Vec<Warning>> {
        self.surveyed(directory, PluginFaults::default()).await
    }

    /// Like [`surroundings`](Self::surroundings), with a listener that was there from the start.
    pub(super) async fn surveyed(
        &self,
        directory: Option<&str>,
        faults: PluginFaults,
    ) -> Arc<Vec<Warning>> {
        let survey = async {
            let faults = self.local.is_some().then_some(faults);
            let warnings = survey::survey(&self.http, directory, faults).await;
            if let Some(local) = &self.local {
                local.warn(&warnings);
            }
            warnings
        };
        self.surveys.of(directory.map(str::to_owned), survey).await
    }

    /// Returns the warnings so far.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        match &self.local {
            Some(local) => local.warnings(),
            None => self.surveys.warnings(),
        }
    }

    /// Follows a session that works in this directory, and the descendants of the session.
    pub(crate) fn follow(&self, session: SessionId, directory: Option<String>) -> Follower {
        // Not the stream of all directories: OpenCode announces that stream as connected before
        // OpenCode subscribes to events, so the first events of a prompt would be lost.
        let server = self.hub_server(EventStream::Directory, directory);
        self.hubs.follow(server, Some(session))
    }

    /// Follows all events of the stream in the settings.
    pub(crate) fn follow_all(&self, directory: Option<String>) -> Follower {
        let server = self.hub_server(self.events.stream(), directory);
        self.hubs.follow(server, None)
    }

    fn hub_server(&self, stream: EventStream, directory: Option<String>) -> HubServer {
        HubServer {
            runtime: Arc::clone(&self.host.runtime),
            http: self.http.clone(),
            directory,
            exit: self.exit(),
            settings: self.events.clone().with_stream(stream),
        }
    }

    /// Creates the id of a message that is about to be sent.
    pub(crate) fn next_message_id(&self) -> MessageId {
        let runtime = &*self.host.runtime;
        self.message_ids.next(runtime.epoch_ms(), runtime.secret())
    }

    /// Records the server's time of an object that the server created just now, in milliseconds.
    pub(crate) fn observe_time(&self, created_ms: u64) {
        self.message_ids.observe(created_ms, self.host.runtime.epoch_ms());
    }

    /// Returns the version of the server; `None` for a build from the sources.
    pub(crate) fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Returns the machine of the server.
    pub(crate) fn machine(&self) -> ServerMachine {
        self.machine
    }

    pub(crate) fn is_running(&self) -> bool {
        self.local.as_ref().is_none_or(|local| local.life().ended.value().is_none())
    }

    /// Returns the exit of the server's process, for tasks that must not keep the process alive.
    pub(crate) fn exit(&self) -> ServerExit {
        ServerExit { life: self.local.as_ref().map(|local| Arc::clone(local.life())) }
    }
}
