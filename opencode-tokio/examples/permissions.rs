//! Asks you before the agent runs a command.
//!
//! ```text
//! cargo run -p opencode-tokio --example permissions
//! cargo run -p opencode-tokio --example permissions -- --model anthropic/claude-haiku-4-5
//! ```
//!
//! Without `--model` a scripted model on this machine answers: no key, no account, no internet.

#![allow(clippy::print_stdout, reason = "an example talks to people")]
#![allow(clippy::wildcard_enum_match_arm, reason = "it shows some of the events")]

#[path = "common/backend.rs"]
mod backend;

use std::io::{self, Write};

use backend::{Backend, Result, line, show};
use opencode_tokio::turn::{Pending, PermissionRequest};
use opencode_tokio::{CreateSession, PermissionReply, Permissions, RunConfig};
use serde_json::json;
use testkit::model::{Reply, Script};

#[tokio::main]
async fn main() -> Result<()> {
    let date = json!({ "command": "date", "description": "Tells the time" });
    let script = Script::new()
        .then(Reply::new().text("I look at the clock.\n").tool("bash", date))
        .then(Reply::new().text("That is the time."));
    // In the server's configuration, so that it holds for subagents as well.
    let config = RunConfig::new().with_permission(Permissions::new().ask("bash"));
    let backend = Backend::start(script, config).await?;
    let create = CreateSession::new().with_title("permissions");
    let session = backend.server.create_session(create).await?.on_permission(decide);

    let mut turn = session.send("What time is it? Use the shell.");
    while let Some(event) = turn.next_event().await {
        show(&event);
        io::stdout().flush()?;
    }
    match turn.outcome().await {
        Ok(_) => println!(),
        Err(error) => println!("\n[{error}]"),
    }
    backend.server.stop().await?;
    Ok(())
}

/// No deadline of the turn counts while you think.
async fn decide(ask: Pending<PermissionRequest>) -> PermissionReply {
    let PermissionRequest { permission, patterns, .. } = &ask.request;
    print!("\n{permission}: {}? (y)es, (a)lways, (n)o, or why not: ", patterns.join(", "));
    if io::stdout().flush().is_err() {
        return PermissionReply::reject();
    }
    match line().await.as_deref() {
        Some("y") => PermissionReply::Once,
        Some("a") => PermissionReply::Always,
        Some("n" | "") | None => PermissionReply::reject(),
        // The model gets the refusal, and goes on.
        Some(why) => PermissionReply::reject_with(why),
    }
}
