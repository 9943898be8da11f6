//! Streams one answer under smol, which needs no adapter of its own.
//!
//! ```text
//! cargo run -p opencode-async-std --example smol
//! ```
//!
//! A scripted model on this machine answers: no key, no account, no internet.

#![allow(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::io::{self, Write};

use opencode_async_std::process::Binary;
use opencode_async_std::{CreateSession, RunConfig, ServeRequest};
use testkit::model::{ModelServer, Reply};

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(converse())
}

async fn converse() -> Result<(), Box<dyn Error>> {
    let model = ModelServer::start()?;
    model.default_script(Reply::new().deltas(["I am ", "a scripted ", "model."]));
    let overrides = model.config().as_object().cloned().unwrap_or_default();
    let config = RunConfig::new().with_overrides(overrides);

    let mut opencode = opencode_async_std::opencode();
    if opencode.binary().await.is_err() {
        println!("OpenCode is not installed here: npm installs it now.");
        let install = || testkit::opencode::install(|progress| println!("{progress}"));
        let program = smol::unblock(install).await?;
        opencode = opencode_async_std::builder().binary(Binary::Path(program)).build();
    }

    let server = opencode.serve(ServeRequest::new().with_config(config)).await?;
    let session = server.create_session(CreateSession::new()).await?;
    let mut turn = session.send("Who are you?");
    while let Some(event) = turn.next_event().await {
        print!("{}", event.text().unwrap_or_default());
        io::stdout().flush()?;
    }
    println!("\n[{} tokens]", turn.outcome().await?.tokens().total);
    server.stop().await?;
    Ok(())
}
