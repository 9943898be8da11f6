//! Everything that an interface offers for picking: providers and models with their limits, agents,
//! commands, and MCP servers.
//!
//! ```text
//! cargo run -p opencode-tokio --example pick
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;

use opencode_api::Groups;
use opencode_tokio::{CallError, ServeRequest, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = opencode_tokio::opencode().serve(ServeRequest::new()).await?;
    print!("{}", overview(&server).await?);
    Ok(())
}

pub(crate) async fn overview(server: &Server) -> Result<String, CallError> {
    let providers = server.providers().list().await?;
    let mut text = format!("logged in: {}\n", providers.is_logged_in());
    for provider in providers.connected_providers() {
        for (id, model) in &provider.models {
            let limit = model.limit.context;
            text += &format!("model {}/{id}: {}, {limit} tokens\n", provider.id, model.name);
        }
    }
    for agent in server.agents().list().await?.iter().filter(|agent| agent.hidden != Some(true)) {
        let description = agent.description.as_deref().unwrap_or_default();
        text += &format!("agent {} ({}): {description}\n", agent.name, agent.mode);
    }
    for command in server.commands().list().await? {
        let description = command.description.unwrap_or_default();
        text += &format!("command /{}: {description}\n", command.name);
    }
    for (name, status) in &server.mcp().status().await? {
        text += &format!("MCP server {name}: {}\n", status.tag());
    }
    Ok(text)
}
