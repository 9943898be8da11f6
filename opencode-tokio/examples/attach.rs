//! Attaches to a server that runs already, sends a prompt, and shows all events of the server
//! meanwhile.
//!
//! ```text
//! OPENCODE_SERVER_PASSWORD=... cargo run -p opencode-tokio --example attach -- http://127.0.0.1:4096
//! cargo run -p opencode-tokio --example attach
//! ```
//!
//! Without a URL it starts a server itself, with a scripted model.

#![allow(clippy::print_stdout, reason = "an example talks to people")]
#![allow(clippy::wildcard_enum_match_arm, reason = "it shows some of the events")]
#![allow(dead_code, reason = "not all examples use all of what they share")]

#[path = "common/backend.rs"]
mod backend;

use std::collections::BTreeMap;
use std::env;

use backend::{Backend, Result, open};
use opencode_tokio::api::ListSessions;
use opencode_tokio::config::Credentials;
use opencode_tokio::server::ServerNews;
use opencode_tokio::{AttachRequest, CreateSession, RunConfig, Server};
use testkit::model::{Reply, Script};

#[tokio::main]
async fn main() -> Result<()> {
    let url = env::args().nth(1).filter(|argument| argument.starts_with("http"));
    let (server, backend) = match url {
        Some(url) => (attach(url).await?, None),
        None => {
            let script = Script::from(Reply::new().text("Good morning!"));
            let backend = Backend::start(script, RunConfig::new()).await?;
            (backend.server.clone(), Some(backend))
        }
    };
    let version = server.version().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    println!("OpenCode {version} at {}", server.url());
    for session in server.call(&ListSessions::new().with_limit(10)).await? {
        println!("  {} {}", session.id, session.title);
    }

    let session = server.create_session(CreateSession::new().with_title("attached")).await?;
    let mut events = server.events();
    let outcome = session.send("Say good morning.").outcome().await?;
    println!("{}", outcome.text());

    // Events of the meantime wait to be read.
    session.delete().await?;
    let mut counts = BTreeMap::<String, usize>::new();
    while let Some(news) = events.next_event().await {
        let ServerNews::Event(event) = news else { continue };
        *counts.entry(event.event_type().to_owned()).or_default() += 1;
        if event.event_type() == "session.deleted" {
            break;
        }
    }
    for (event_type, count) in counts {
        println!("{count:>5} {event_type}");
    }
    if let Some(backend) = backend {
        backend.server.stop().await?;
    }
    Ok(())
}

/// The password comes by environment, as for OpenCode itself.
async fn attach(url: String) -> Result<Server> {
    let mut request = AttachRequest::new(url);
    if let Ok(password) = env::var("OPENCODE_SERVER_PASSWORD") {
        request = request.with_credentials(Credentials::new(password));
    }
    Ok(open().await?.attach(request).await?)
}
