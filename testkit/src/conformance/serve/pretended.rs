//! A program that prints what a server prints, beside a server that answers.

use std::time::Duration;

use opencode_client::{ServeRequest, ServeSettings, Server};
use serde_json::json;

use crate::conformance::world::World;
use crate::fake::{Behavior, Pipes, Signal};
use crate::server::{FakeServer, ServerReply, ServerScript};

/// A server that answers, for the program.
pub fn answering() -> FakeServer {
    answering_with(ServerScript::new())
}

/// A server that answers as the script says.
pub fn answering_with(script: ServerScript) -> FakeServer {
    FakeServer::start(script.on("GET", "/config", [ServerReply::json(json!({}))])).unwrap()
}

/// The line that a server prints when it is ready.
pub fn ready(behavior: Behavior, server: &FakeServer) -> Behavior {
    behavior.stdout_line(&format!("opencode server listening on {}", server.url()))
}

/// Goes on for ever, deaf to everything but SIGKILL, with tools in sessions of their own.
pub fn stubborn(server: &FakeServer) -> Behavior {
    let tools = Behavior::new().spawn_orphan(Pipes::Hold).spawn_tool(Pipes::Close);
    ready(tools.ignore(Signal::Terminate), server).hang()
}

/// A request for it, which is killed soon.
pub fn request(world: &World) -> ServeRequest {
    request_with(world, ServeSettings::new().with_kill_grace(Duration::from_millis(50)))
}

/// A request for it.
pub fn request_with(world: &World, settings: ServeSettings) -> ServeRequest {
    ServeRequest::new().with_directory(world.path("project")).with_settings(settings)
}

/// It, ready.
pub async fn serve(world: &World) -> Server {
    world.opencode.serve(request(world)).await.unwrap()
}
