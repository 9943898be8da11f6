use std::sync::Arc;

use opencode_proto::{EventStream, HubSettings, MessageId, SessionId};

use super::hub::{Follower, HubServer, Hubs};
use super::life::ServerExit;
use super::local::Local;
use super::sessions::{MessageIds, Sessions};
use crate::http::Http;
use crate::process::binary::Version;
use crate::process::host::Host;

/// What all clones of a server, and all that is made from it, share.
pub(crate) struct ServerInner {
    pub(crate) http: Http,
    pub(crate) host: Arc<Host>,
    /// What is asked for: `None` is where the server was started.
    pub(crate) directory: Option<String>,
    pub(super) version: Option<Version>,
    /// `None`: somebody else's.
    pub(super) local: Option<Local>,
    events: HubSettings,
    hubs: Hubs,
    pub(crate) sessions: Sessions,
    message_ids: MessageIds,
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
            version,
            local,
            events: HubSettings::default(),
            hubs: Hubs::default(),
            sessions: Sessions::default(),
            message_ids: MessageIds::default(),
        }
    }

    pub(super) fn with_events(self, events: HubSettings) -> Self {
        Self { events, ..self }
    }

    /// Follows a session that works in this directory, and its descendants.
    pub(crate) fn follow(&self, session: SessionId, directory: Option<String>) -> Follower {
        // Not the stream of all directories: OpenCode says there that it is connected before it listens to anything,
        // and what a prompt sets off at once would be lost.
        let server = self.hub_server(EventStream::Directory, directory);
        self.hubs.follow(server, Some(session))
    }

    /// Follows everything.
    pub(crate) fn follow_all(&self) -> Follower {
        let server = self.hub_server(self.events.stream, self.directory.clone());
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

    /// The server has just created something, at this time by its clock.
    pub(crate) fn observe_time(&self, created_ms: u64) {
        self.message_ids.observe(created_ms, self.host.runtime.epoch_ms());
    }

    pub(crate) fn is_running(&self) -> bool {
        self.local.as_ref().is_none_or(|local| local.life().ended.value().is_none())
    }

    /// The end of its process, for tasks that must not keep it alive.
    pub(crate) fn exit(&self) -> ServerExit {
        ServerExit { life: self.local.as_ref().map(|local| Arc::clone(local.life())) }
    }
}
