//! Sessions that need permission for every command.

use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};

use opencode_client::event::ToolPart;
use opencode_client::turn::{Pending, PermissionRequest};
use opencode_client::{
    CreateSession, PermissionReply, Permissions, Session, TurnEnd, TurnOutcome,
    api::ListPermissions,
};
use serde_json::json;

use super::sessions::SessionWorld;
use crate::model::{Reply, Script};

/// Permission requests that a handler received, in order.
#[derive(Clone, Debug, Default)]
pub struct PermissionLog(Arc<Mutex<Vec<Pending<PermissionRequest>>>>);

impl PermissionLog {
    /// Creates a handler that always gives this reply.
    pub fn reply(
        &self,
        reply: PermissionReply,
    ) -> impl Fn(Pending<PermissionRequest>) -> Ready<PermissionReply> + use<> {
        let asked = self.clone();
        move |ask| {
            asked.0.lock().unwrap().push(ask);
            ready(reply.clone())
        }
    }

    /// All requests so far.
    pub fn all(&self) -> Vec<Pending<PermissionRequest>> {
        self.0.lock().unwrap().clone()
    }

    /// Patterns of all requests so far.
    pub fn patterns(&self) -> Vec<String> {
        self.all().into_iter().flat_map(|ask| ask.request.patterns).collect()
    }
}

/// A script that calls `bash` with one command after the other, and then answers `Done.`
pub fn commands<const N: usize>(commands: [&str; N]) -> Script {
    let script = commands
        .into_iter()
        .fold(Script::new(), |script, command| script.then(command_of(Reply::new(), command)));
    script.then(Reply::new().text("Done."))
}

/// Adds a call of `bash` to a reply.
pub fn command_of(reply: Reply, command: &str) -> Reply {
    reply.tool("bash", json!({ "command": command, "description": "says it" }))
}

/// Creates a session that needs permission for every command.
pub async fn asking(world: &SessionWorld) -> Session {
    let permission = Permissions::new().ask("bash");
    world.session_with(CreateSession::new().with_permission(permission)).await
}

/// Permission that ended a rejected turn.
pub fn refused(outcome: &TurnOutcome) -> &str {
    let TurnEnd::Rejected { refused, .. } = &outcome.end else { panic!("{:?}", outcome.end) };
    refused
}

/// Status and output of every tool call.
pub fn tools(outcome: &TurnOutcome) -> Vec<(String, String)> {
    let status_and_output = |tool: &ToolPart| {
        let output = tool.state.output().map(|output| output.to_str().into_owned());
        (tool.state.status().to_owned(), output.unwrap_or_default())
    };
    outcome.tools().map(status_and_output).collect()
}

/// Status and output of a completed tool call with this output.
pub fn completed(output: &str) -> (String, String) {
    ("completed".to_owned(), output.to_owned())
}

/// Number of permission requests of the session that the server lists as pending.
pub async fn pending(session: &Session, world: &SessionWorld) -> usize {
    let pending = world.server.call(&ListPermissions::new()).await.unwrap();
    pending.iter().filter(|ask| ask.session == *session.id()).count()
}
