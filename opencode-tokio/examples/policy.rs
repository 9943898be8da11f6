//! Confines an agent to the project, and prints each request with the decision and the reason.
//!
//! ```text
//! cargo run -p opencode-tokio --example policy
//! cargo run -p opencode-tokio --example policy -- --model anthropic/claude-haiku-4-5
//! ```
//!
//! Without `--model` a scripted model on this machine tries to get out: no key, no account, no
//! internet.

#![allow(clippy::print_stdout, reason = "an example talks to people")]
#![allow(clippy::wildcard_enum_match_arm, reason = "it shows some of the events")]

#[path = "common/backend.rs"]
mod backend;

use std::io::{self, Write};

use backend::{Backend, Result, line, show};
use opencode_tokio::config::PermissionAction;
use opencode_tokio::policy::PolicyVerdict;
use opencode_tokio::turn::{Pending, PermissionRequest};
use opencode_tokio::{CreateSession, PermissionReply, Policy, RunConfig};
use serde_json::json;
use testkit::model::{Reply, Script};

#[tokio::main]
async fn main() -> Result<()> {
    let policy = Policy::new()
        .within(".")
        .allow("read")
        .allow("edit")
        .pattern("bash", "date *", PermissionAction::Allow)
        .pattern("bash", "ls *", PermissionAction::Ask)
        .with_tool_calls_max(20)
        .with_confirm(confirm)
        .on_verdict(tell);
    // So that the server asks for all that the policy is about, in the name of subagents too.
    let backend = Backend::start(escape(), policy.server_config(RunConfig::new())).await?;
    let create = CreateSession::new().with_title("policy");
    let session = backend.server.create_session(create).await?.with_policy(policy).await?;

    let prompt = "Write notes.txt, then /tmp/policy-example.txt, then read /etc/hostname.";
    let mut turn = session.send(prompt);
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

fn escape() -> Script {
    let write = |path: &str| json!({ "filePath": path, "content": "Hello.\n" });
    let run = |command: &str| json!({ "command": command, "description": "Runs a command" });
    Script::new()
        .then(Reply::new().tool("write", write("notes.txt")))
        .then(Reply::new().tool("write", write("/tmp/policy-example.txt")))
        .then(Reply::new().tool("read", json!({ "filePath": "/etc/hostname" })))
        .then(Reply::new().tool("bash", run("date")))
        .then(Reply::new().tool("bash", run("date; cat /etc/hostname")))
        .then(Reply::new().tool("bash", run("ls -l")))
        .then(Reply::new().text("I did what I was allowed to.\n"))
}

/// One line for every request: the use, the decision and the reason.
fn tell(verdict: &PolicyVerdict) {
    let PolicyVerdict { request, reply, reason, .. } = verdict;
    let patterns = request.patterns.join(", ");
    println!("{} {patterns}\n  -> {}: {reason}", request.permission, reply.as_str());
}

/// Asks the user about uses that the rules leave open.
async fn confirm(ask: Pending<PermissionRequest>) -> PermissionReply {
    let PermissionRequest { permission, patterns, .. } = &ask.request;
    print!("{permission} {}? (y)es, (a)lways, or why not: ", patterns.join(", "));
    if io::stdout().flush().is_err() {
        return PermissionReply::reject();
    }
    match line().await.as_deref() {
        Some("y") => PermissionReply::Once,
        Some("a") => PermissionReply::Always,
        Some("") | None => PermissionReply::reject_with("Not now."),
        Some(why) => PermissionReply::reject_with(why),
    }
}
