//! A program that is not async: a run, and a conversation in which it asks before it touches
//! anything.
//!
//! ```text
//! cargo run -p opencode-tokio --features blocking --example sync
//! ```
//!
//! A scripted model on this machine answers: no key, no account, no internet.

#![allow(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::io::{self, Write};

use opencode_tokio::process::Binary;
use opencode_tokio::{
    CreateSession, PermissionReply, Permissions, RunConfig, RunRequest, ServeRequest, blocking,
    builder,
};
use serde_json::json;
use testkit::model::{ModelServer, Reply, Script};

fn main() -> Result<(), Box<dyn Error>> {
    let model = ModelServer::start()?;
    model.default_script(Reply::new().deltas(["I am ", "a scripted ", "model."]));
    let project = tempfile::tempdir()?;
    let overrides = model.config().as_object().cloned().unwrap_or_default();
    let config = RunConfig::new().with_overrides(overrides);

    let mut opencode = blocking::opencode()?;
    if opencode.binary().is_err() {
        println!("OpenCode is not installed here: npm brings it.");
        let program = testkit::opencode::install(|progress| println!("{progress}"))?;
        opencode = blocking::OpenCode::new(builder().binary(Binary::Path(program)).build())?;
    }

    let request = RunRequest::new("Who are you?").with_directory(project.path());
    println!("{}", opencode.run(request.with_config(config.clone()))?.text());

    model.script(
        "list",
        Script::from(
            Reply::new().tool("bash", json!({ "command": "ls -a", "description": "look" })),
        )
        .then(Reply::new().text("There is nothing here.")),
    );
    let config = config.with_permission(Permissions::new().ask("bash"));
    let request = ServeRequest::new().with_directory(project.path()).with_config(config);
    let server = opencode.serve(request)?;
    let session = server.create_session(CreateSession::new())?.on_permission(|ask| {
        println!("[{} {} is granted]", ask.request.permission, ask.request.patterns.join(" "));
        PermissionReply::Once
    });
    let mut turn = session.send("What is here? [[list]]");
    for event in &mut turn {
        print!("{}", event.text().unwrap_or_default());
        io::stdout().flush()?;
    }
    println!("\n[{} tokens]", turn.outcome()?.tokens().total);
    server.stop()?;
    Ok(())
}
