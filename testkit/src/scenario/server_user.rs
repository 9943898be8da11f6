//! A user of a server.

use std::time::Duration;

use opencode_client::{
    AttachRequest, CreateSession, OpenCode, ServeRequest, Server, Session, TurnRequest,
};

use super::check::Ledger;
use super::plan::Size;
use super::session_user::SessionUser;
use crate::world::{Inhabitant, Weather};

#[derive(Clone)]
pub(super) struct ServerUser {
    pub(super) world: Inhabitant,
    pub(super) opencode: OpenCode,
    pub(super) ledger: Ledger,
    pub(super) weather: Weather,
    pub(super) size: Size,
    pub(super) port: u16,
    pub(super) directory: std::path::PathBuf,
}

impl ServerUser {
    pub(super) fn is_calm(&self) -> bool {
        self.weather == Weather::CALM
    }

    /// Attaches to the running server.
    pub(super) async fn attach(&self) -> Option<Server> {
        for _ in 0..4 {
            let directory = format!("/src/{}", self.world.random(|random| random.below(2)));
            let request = AttachRequest::new(format!("http://127.0.0.1:{}", self.port));
            match self.opencode.attach(request.with_directory(directory)).await {
                Ok(server) => return Some(server),
                Err(error) => assert!(!self.is_calm(), "no server in calm weather: {error}"),
            }
        }
        self.ledger.count("no server: attach");
        None
    }

    /// Starts a server.
    pub(super) async fn serve(&self) -> Option<Server> {
        let request = ServeRequest::new().with_port(self.port).with_directory(&self.directory);
        match self.opencode.serve(request).await {
            Ok(server) => Some(server),
            Err(error) => {
                assert!(!self.is_calm(), "no server in calm weather: {error}");
                self.ledger.count("no server: serve");
                None
            }
        }
    }

    pub(super) async fn session(&self, server: &Server) -> Option<Session> {
        for _ in 0..5 {
            match server.create_session(CreateSession::new()).await {
                Ok(session) => return Some(session),
                Err(error) => assert!(!self.is_calm(), "no session in calm weather: {error}"),
            }
            self.world.sleep(Duration::from_secs(2)).await;
        }
        self.ledger.count("no session");
        None
    }

    /// Uses some sessions at once.
    pub(super) async fn user(&self, server: &Server) {
        let sessions = self.world.random(|random| random.range(1, self.size.sessions_max()));
        let mut talks = Vec::new();
        for number in 0..sessions {
            let Some(session) = self.session(server).await else { continue };
            let name = format!("{} session {number}", self.port);
            let log = self.directory.join(format!("{}-{number}.jsonl", self.port));
            let user = SessionUser {
                world: self.world.clone(),
                ledger: self.ledger.clone(),
                weather: self.weather,
                size: self.size,
                port: self.port,
                session,
                name,
                log,
            };
            talks.push(self.world.spawn(user.run()));
        }
        for user in talks {
            user.await;
        }
    }

    /// Checks that a turn succeeds after all faults have stopped.
    pub(super) async fn recover(&self, server: &Server) {
        let session = server.create_session(CreateSession::new()).await;
        let session = session.expect("a session, after the faults stopped");
        let text = format!("{} recovered", self.port);
        let model = self.world.server_at(self.port).expect("a running server");
        model.script(text.clone(), crate::world::AgentScript::text(["All ", "is well."]));
        let outcome = session.send(TurnRequest::new(&*text)).outcome().await;
        let outcome = outcome.unwrap_or_else(|error| panic!("after the faults stopped: {error}"));
        assert_eq!(outcome.text(), "All is well.");
        self.ledger.count("recovered");
    }
}
