//! A fake program that prints the lines of a server, beside a fake server that replies.

use std::time::Duration;

use opencode_client::server::ServeSettings;
use opencode_client::{ServeRequest, Server};
use serde_json::json;

use crate::conformance::world::ProgramWorld;
use crate::fake::{Behavior, Pipes, Signal};
use crate::server::{FakeServer, ServerReply, ServerScript};

/// Starts a fake server.
pub fn answering() -> FakeServer {
    answering_with(ServerScript::new())
}

/// Starts a fake server that plays this script.
pub fn answering_with(script: ServerScript) -> FakeServer {
    FakeServer::start(script.on("GET", "/config", [ServerReply::json(json!({}))])).unwrap()
}

/// Adds the line that a server prints when it is ready.
pub fn ready(behavior: Behavior, server: &FakeServer) -> Behavior {
    behavior.stdout_line(&format!("opencode server listening on {}", server.url()))
}

/// A server that ignores SIGTERM, runs until it is killed, and has tools in sessions of their own.
pub fn stubborn(server: &FakeServer) -> Behavior {
    let tools = Behavior::new().spawn_orphan(Pipes::Hold).spawn_tool(Pipes::Close);
    ready(tools.ignore(Signal::Terminate), server).hang()
}

/// A request with a short grace period before SIGKILL.
pub fn request(world: &ProgramWorld) -> ServeRequest {
    request_with(world, ServeSettings::new().with_kill_grace(Duration::from_millis(50)))
}

/// A request with these settings.
pub fn request_with(world: &ProgramWorld, settings: ServeSettings) -> ServeRequest {
    ServeRequest::new().with_directory(world.path("project")).with_settings(settings)
}

/// Starts a server and waits until it is ready.
pub async fn serve(world: &ProgramWorld) -> Server {
    world.opencode.serve(request(world)).await.unwrap()
}
