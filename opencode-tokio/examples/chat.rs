//! A conversation: each typed line is one turn of one session.
//!
//! ```text
//! cargo run -p opencode-tokio --example chat
//! cargo run -p opencode-tokio --example chat -- --model anthropic/claude-haiku-4-5
//! ```
//!
//! Without `--model` a scripted model on this machine answers: no key, no account, no internet.

#![allow(clippy::print_stdout, reason = "an example talks to people")]
#![allow(clippy::wildcard_enum_match_arm, reason = "it shows some of the events")]

#[path = "common/backend.rs"]
mod backend;

use std::io::{self, Write};

use backend::{Backend, Result, line, show};
use opencode_tokio::{CreateSession, RunConfig};
use testkit::model::{Reply, Script};

#[tokio::main]
async fn main() -> Result<()> {
    let script = Script::from(Reply::new().deltas(["I am ", "a scripted ", "model."]));
    let backend = Backend::start(script, RunConfig::new()).await?;
    let session = backend.server.create_session(CreateSession::new().with_title("a chat")).await?;
    println!("Type, or end with Ctrl-D.");
    loop {
        print!("> ");
        io::stdout().flush()?;
        let Some(prompt) = line().await else { break };
        if prompt.is_empty() {
            continue;
        }
        let mut turn = session.send(prompt);
        while let Some(event) = turn.next_event().await {
            show(&event);
            io::stdout().flush()?;
        }
        match turn.outcome().await {
            Ok(outcome) => println!("\n[{} tokens]", outcome.tokens().total),
            // Only this turn failed: the session goes on.
            Err(error) => println!("\n[{error}]"),
        }
    }
    backend.server.stop().await?;
    println!();
    Ok(())
}
