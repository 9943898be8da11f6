//! Streams one prompt with a tool call, then runs a batch: several agents side by side on one
//! server.
//!
//! ```text
//! cargo run --release -p opencode-tokio --example quickstart
//! cargo run --release -p opencode-tokio --example quickstart -- --model anthropic/claude-haiku-4-5
//! ```
//!
//! Without `--model` a scripted model on this machine answers: no key, no account, no internet.
//! OpenCode itself is installed by npm when it is missing.

#![allow(clippy::print_stdout, reason = "an example talks to people")]
#![allow(clippy::wildcard_enum_match_arm, reason = "it shows some of the events")]

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;
use std::{env, fs};

use opencode_tokio::process::Binary;
use opencode_tokio::{
    BatchEvent, BatchReport, BatchRequest, Deadlines, Job, ModelRef, OpenCode, Permissions,
    RunConfig, RunEventKind, RunReport, RunRequest,
};
use serde_json::json;
use testkit::model::{ModelServer, Reply, Script};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result<()> {
    let model = Model::from_args(env::args().skip(1))?;
    let opencode = open().await?;
    let project = project()?;

    println!("\n> {}", GREETING.prompt);
    let request = RunRequest::new(model.prompt(&GREETING))
        .with_config(model.config())
        .with_directory(project.path())
        .with_deadlines(limit());
    let first = stream(&opencode, request).await?;

    println!("\n{} agents side by side ...", AGENTS.len());
    let jobs = AGENTS.iter().map(|task| Job::new(model.prompt(task)).with_deadlines(limit()));
    let request =
        BatchRequest::new(jobs).with_config(&model.config()).with_directory(project.path());
    let agents = batch(&opencode, request).await?;

    table(&first, &agents);
    match agents.failed().next() {
        None => Ok(()),
        Some(job) => Err(job.record.error.clone().unwrap_or_default().into()),
    }
}

fn limit() -> Deadlines {
    Deadlines::default().with_overall(Duration::from_secs(600))
}

/// Hands out the events of a run as they come.
async fn stream(opencode: &OpenCode, request: RunRequest) -> Result<RunReport> {
    let mut run = opencode.stream(request);
    while let Some(event) = run.next_event().await {
        match &event.kind {
            RunEventKind::Text(part) => println!("{}", part.text),
            RunEventKind::ToolUse(part) => {
                let title = part.state.title().map(ToString::to_string).unwrap_or_default();
                println!("[{} {title}: {}]", part.tool, part.state.status());
            }
            RunEventKind::Notice(notice) => println!("[{notice}]"),
            RunEventKind::Error(error) => println!("[{error}]"),
            // Steps, reasoning, and whatever newer versions of OpenCode print.
            _ => {}
        }
        io::stdout().flush()?;
    }
    Ok(run.outcome().await?)
}

/// Tells the answers as they come.
async fn batch(opencode: &OpenCode, request: BatchRequest) -> Result<BatchReport> {
    let mut batch = opencode.batch(request);
    while let Some(event) = batch.next_event().await {
        match &event {
            BatchEvent::ServerReady { url, .. } => println!("[a server for all at {url}]"),
            BatchEvent::JobEnded(job) => {
                let said = job.record.error.as_deref().unwrap_or_else(|| job.text());
                println!("> {}\n{said}", AGENTS[job.no.0].prompt);
            }
            // Events of each run in the meantime.
            _ => {}
        }
    }
    Ok(batch.outcome().await?)
}

/// The program that is installed here, or the one that npm brings.
async fn open() -> Result<OpenCode> {
    let opencode = opencode_tokio::opencode();
    let opencode = match opencode.binary().await {
        Ok(_) => opencode,
        Err(_) => {
            println!("OpenCode is not installed here: npm brings it.");
            let program = tokio::task::spawn_blocking(|| {
                testkit::opencode::install(|progress| println!("{progress}"))
            });
            opencode_tokio::builder().binary(Binary::Path(program.await??)).build()
        }
    };
    println!("OpenCode {} at {}", opencode.version().await?, opencode.binary().await?.display());
    Ok(opencode)
}

/// A directory for the agents to look at. The directory is removed when the returned value is
/// dropped.
fn project() -> io::Result<tempfile::TempDir> {
    let project = tempfile::tempdir()?;
    fs::write(project.path().join("greeting.txt"), "Good morning, Rust!\n")?;
    Ok(project)
}

fn table(first: &RunReport, agents: &BatchReport) {
    println!("\n{:<28} {:>5} {:>7} {:>9} {:>7}", "prompt", "steps", "tokens", "cost", "time");
    let answer = first.answer();
    let (steps, tokens) = (answer.steps().len(), answer.tokens().total);
    row(&GREETING, steps, tokens, answer.cost(), first.outcome.elapsed);
    for (task, job) in AGENTS.iter().zip(&agents.jobs) {
        let record = &job.record;
        let (tokens, cost) = (record.spend.tokens.total, record.spend.cost);
        row(task, record.steps, tokens, cost, record.elapsed());
    }
}

fn row(task: &Task, steps: usize, tokens: u64, cost: f64, time: Duration) {
    let seconds = time.as_secs_f64();
    println!("{:<28.28} {steps:>5} {tokens:>7} {cost:>9.5} {seconds:>6.1}s", task.prompt);
}

/// Prompt for an agent, and the answer of the scripted model.
struct Task {
    name: &'static str,
    prompt: &'static str,
    answer: &'static str,
}

const GREETING: Task = Task {
    name: "greeting",
    prompt: "What does greeting.txt say? Read it.",
    answer: "It says: Good morning, Rust!",
};

const AGENTS: &[Task] = &[
    Task { name: "count", prompt: "How many words are in it?", answer: "Three." },
    Task { name: "german", prompt: "Say it in German.", answer: "Guten Morgen, Rust!" },
    Task { name: "shout", prompt: "Shout it.", answer: "GOOD MORNING, RUST!" },
];

/// Who answers.
enum Model {
    Real(ModelRef),
    Scripted(ModelServer),
}

impl Model {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self> {
        match (args.next().as_deref(), args.next(), args.next()) {
            (None, None, None) => Self::scripted(),
            (Some("--model"), Some(model), None) => Ok(Self::Real(model.parse()?)),
            _ => Err("usage: quickstart [--model PROVIDER/MODEL]".into()),
        }
    }

    fn scripted() -> Result<Self> {
        let server = ModelServer::start()?;
        let read =
            Reply::new().text("I will look.").tool("read", json!({ "filePath": "greeting.txt" }));
        server.script(
            GREETING.name,
            Script::new().then(read).then(Reply::new().text(GREETING.answer)),
        );
        for task in AGENTS {
            server.script(task.name, Reply::new().text(task.answer));
        }
        Ok(Self::Scripted(server))
    }

    /// The mark selects the script of the model.
    fn prompt(&self, task: &Task) -> String {
        match self {
            Self::Real(_) => task.prompt.to_owned(),
            Self::Scripted(_) => format!("{} [[{}]]", task.prompt, task.name),
        }
    }

    /// The agents may look, and nothing else.
    fn config(&self) -> RunConfig {
        let permissions = Permissions::new().deny("*").allow("read").allow("glob").allow("grep");
        let config = RunConfig::new().with_permission(permissions);
        match self {
            Self::Real(model) => config.with_model(model.clone()),
            Self::Scripted(server) => config.with_overrides(object(server.config())),
        }
    }
}

fn object(value: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    let serde_json::Value::Object(object) = value else {
        unreachable!("a configuration is an object");
    };
    object
}
