//! Uses one real server for a long time, and prints what each round costs:
//!
//! ```text
//! cargo run --release -p opencode-benches --example endurance
//! cargo run --release -p opencode-benches --example endurance -- 30 10
//! ```
//!
//! The first number is the number of sessions, the second that of the rounds. In each round every
//! session has one turn, all at once. The scripted model runs in a separate process, which is not
//! counted. A resource of this program that grows with every round is a leak. The server keeps
//! sessions in memory and frees them now and then.

// A program takes arguments and prints.
#![allow(clippy::print_stdout)]

#[path = "../fleet/model.rs"]
#[expect(dead_code, reason = "the fleet leaves the model out by its process id")]
mod model;
mod usage;

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use opencode_tokio::{CreateSession, OpenCode, ServeRequest, Server, Session};

use model::{Model, answer, prompt};
use usage::Usage;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Time in which a server and this program close what they do not need any more.
const REST: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(model::ARGUMENT) {
        return model::serve();
    }
    let sessions = first.map_or(Ok(30), |number| number.parse())?;
    let rounds = arguments.next().map_or(Ok(10), |number| number.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(endure(sessions, rounds))
}

async fn endure(sessions: usize, rounds: usize) -> Result<()> {
    let model = Model::start(sessions * rounds)?;
    let (home, project) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let opencode = model::opencode(home.path())?;
    let before = Usage::now(None)?;
    let server = serve(&opencode, &model, project.path()).await?;
    let process = server.process_id().ok_or("a started server has a process")?;
    let create = (0..sessions).map(|_| server.create_session(CreateSession::new()));
    let sessions: Vec<Session> = join_all(create).await.into_iter().collect::<Result<_, _>>()?;

    usage::print_head();
    let first = Usage::now(Some(process))?;
    first.print("sessions", None);
    let mut all = Vec::new();
    for round in 0..rounds {
        let begun = Instant::now();
        let right = turns(&sessions, round).await?;
        let wall = begun.elapsed();
        tokio::time::sleep(REST).await;
        let usage = Usage::now(Some(process))?;
        usage.print(&format!("round {}: {right} right", round + 1), Some(wall));
        all.push(usage);
    }
    // The first round reads the project, and fills caches.
    if let [warm, .., last] = all.as_slice() {
        last.print_growth(warm, sessions.len() * (rounds - 1));
    }
    drop(sessions);
    server.stop().await?;
    drop(server);
    tokio::time::sleep(REST).await;
    Usage::now(None)?.print("after the stop", None);
    before.print("before the start", None);
    Ok(())
}

async fn serve(opencode: &OpenCode, model: &Model, project: &std::path::Path) -> Result<Server> {
    let request = ServeRequest::new().with_directory(project).with_config(model.run_config()?);
    Ok(opencode.serve(request).await?)
}

/// Sends one prompt to each session, and returns the number of correct answers.
async fn turns(sessions: &[Session], round: usize) -> Result<usize> {
    let turns = sessions.iter().enumerate().map(|(place, session)| async move {
        let number = round * sessions.len() + place;
        let outcome = session.send(prompt(number)).outcome().await?;
        Ok::<_, opencode_tokio::TurnError>(outcome.text() == answer(number))
    });
    let mut right = 0;
    for is_right in join_all(turns).await {
        right += usize::from(is_right?);
    }
    Ok(right)
}
