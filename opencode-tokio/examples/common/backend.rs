//! A server for an example, with a scripted model or a real one.

use std::env;
use std::error::Error;
use std::io;

use opencode_tokio::event::Part;
use opencode_tokio::process::Binary;
use opencode_tokio::{
    ModelRef, OpenCode, RunConfig, ServeRequest, Server, TurnEvent, TurnEventKind,
};
use tempfile::TempDir;
use testkit::model::{ModelServer, Script};

pub(crate) type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// A server for an empty project. Dropping it ends the server and removes the project.
pub(crate) struct Backend {
    pub(crate) server: Server,
    _project: TempDir,
    /// It answers as long as it is there.
    model: Option<ModelServer>,
}

impl Backend {
    /// Starts a server. `--model provider/model` asks that model; otherwise `script` is played by a
    /// model on this machine answers.
    pub(crate) async fn start(script: Script, config: RunConfig) -> Result<Self> {
        let project = tempfile::tempdir()?;
        let mut arguments = env::args().skip(1);
        let real = arguments.find(|argument| argument == "--model").and_then(|_| arguments.next());
        let (config, model) = match real {
            Some(name) => (config.with_model(ModelRef::new(name)?), None),
            None => {
                let model = ModelServer::start()?;
                model.default_script(script);
                let overrides = model.config().as_object().cloned().unwrap_or_default();
                (config.with_overrides(overrides), Some(model))
            }
        };
        let request = ServeRequest::new().with_directory(project.path()).with_config(config);
        let server = open().await?.serve(request).await?;
        println!("OpenCode listens at {}", server.url());
        Ok(Self { server, _project: project, model })
    }

    /// Adds a script for prompts that end with the returned text. A real model
    /// needs no script, and nothing is added for it.
    #[allow(dead_code, reason = "not all examples need it")]
    pub(crate) fn script(&self, name: &str, script: impl Into<Script>) -> String {
        let Some(model) = &self.model else { return String::new() };
        model.script(name, script);
        format!(" [[{name}]]")
    }
}

/// The program that is installed here, or the one that npm brings.
pub(crate) async fn open() -> Result<OpenCode> {
    let opencode = opencode_tokio::opencode();
    if opencode.binary().await.is_ok() {
        return Ok(opencode);
    }
    println!("OpenCode is not installed here: npm brings it.");
    let program = tokio::task::spawn_blocking(|| {
        testkit::opencode::install(|progress| println!("{progress}"))
    });
    Ok(opencode_tokio::builder().binary(Binary::Path(program.await??)).build())
}

/// Prints the events of a turn as they arrive.
pub(crate) fn show(event: &TurnEvent) {
    if let Some(text) = event.text() {
        print!("{text}");
    }
    match &event.kind {
        TurnEventKind::PartFinal { part: Part::Tool(tool), .. } => {
            let title = tool.state.title().map(ToString::to_string).unwrap_or_default();
            println!("[{} {title}: {}]", tool.tool, tool.state.status());
        }
        TurnEventKind::Retrying { attempt, message, .. } => println!("[try {attempt}: {message}]"),
        TurnEventKind::ConnectionLost(why) => println!("[{why}]"),
        TurnEventKind::Failed(error) => println!("[{error}]"),
        // Messages, reasoning, steps, and events of newer versions of OpenCode.
        _ => {}
    }
}

/// The next typed line, `None` at the end.
pub(crate) async fn line() -> Option<String> {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let size = io::stdin().read_line(&mut line).ok()?;
        (size > 0).then(|| line.trim().to_owned())
    });
    read.await.ok().flatten()
}
