//! Sessions that have to ask before they run a command.

use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};

use opencode_client::{
    CreateSession, Pending, PermissionReply, PermissionRequest, Permissions, Session, ToolPart,
    TurnEnd, TurnOutcome, api::ListPermissions,
};
use serde_json::json;

use super::sessions::World;
use crate::model::{Reply, Script};

/// What a handler was asked, in order.
#[derive(Clone, Debug, Default)]
pub struct Asked(Arc<Mutex<Vec<Pending<PermissionRequest>>>>);

impl Asked {
    /// A handler that always replies this.
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

    /// All that it was asked.
    pub fn all(&self) -> Vec<Pending<PermissionRequest>> {
        self.0.lock().unwrap().clone()
    }

    /// The patterns of all that it was asked.
    pub fn patterns(&self) -> Vec<String> {
        self.all().into_iter().flat_map(|ask| ask.request.patterns).collect()
    }
}

/// Calls `bash` with one command after the other, and then says `Done.`
pub fn commands<const N: usize>(commands: [&str; N]) -> Script {
    let script = commands
        .into_iter()
        .fold(Script::new(), |script, command| script.then(command_of(Reply::new(), command)));
    script.then(Reply::new().text("Done."))
}

/// A reply that calls `bash`.
pub fn command_of(reply: Reply, command: &str) -> Reply {
    reply.tool("bash", json!({ "command": command, "description": "says it" }))
}

/// A session that has to ask before it runs a command.
pub async fn asking(world: &World) -> Session {
    let permission = Permissions::new().ask("bash");
    world.session_with(CreateSession::new().with_permission(permission)).await
}

/// What the turn was refused.
pub fn refused(outcome: &TurnOutcome) -> &str {
    let TurnEnd::Rejected { refused, .. } = &outcome.end else { panic!("{:?}", outcome.end) };
    refused
}

/// Status and output of each tool call.
pub fn tools(outcome: &TurnOutcome) -> Vec<(String, String)> {
    let told = |tool: &ToolPart| {
        let output = tool.state.output().map(|output| output.to_str().into_owned());
        (tool.state.status().to_owned(), output.unwrap_or_default())
    };
    outcome.tools().map(told).collect()
}

/// A tool call that has put this out.
pub fn completed(output: &str) -> (String, String) {
    ("completed".to_owned(), output.to_owned())
}

/// How many permissions the session waits for, as the server sees it.
pub async fn pending(session: &Session, world: &World) -> usize {
    let pending = world.server.call(&ListPermissions::new()).await.unwrap();
    pending.iter().filter(|ask| ask.session == *session.id()).count()
}
