//! The scripted model, in a separate process.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use opencode_tokio::config::Environment;
use opencode_tokio::process::Binary;
use opencode_tokio::{OpenCode, RunConfig};
use serde_json::Value;
use testkit::model::{ModelServer, Reply};

use crate::Result;

/// Argument that makes this program the model.
pub(crate) const ARGUMENT: &str = "model";

/// Environment variable with the number of prompts that the model can answer.
const COUNT: &str = "OPENCODE_BENCH_PROMPTS";

pub(crate) fn prompt(number: usize) -> String {
    format!("What is number {number}? [[number-{number}]]")
}

pub(crate) fn answer(number: usize) -> String {
    format!("The answer to {number} is {}.", number * 7919)
}

/// Serves until standard input is closed.
pub(crate) fn serve() -> Result<()> {
    let count: usize = env::var(COUNT)?.parse()?;
    let model = ModelServer::start()?;
    for number in 0..count {
        model.script(&format!("number-{number}"), Reply::new().text(answer(number)));
    }
    println!("{}", model.config());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Creates a client whose runs have this home directory.
pub(crate) fn opencode(home: &Path) -> Result<OpenCode> {
    let mut environment = Environment::new();
    environment.set("HOME", home);
    environment.set("PATH", env::var_os("PATH").unwrap_or_default());
    environment.set("OPENCODE_DISABLE_MODELS_FETCH", "1");
    let binary = Binary::Path(testkit::opencode::binary()?);
    Ok(opencode_tokio::builder().binary(binary).environment(environment).build())
}

pub(crate) struct Model {
    config: Value,
    child: Child,
    /// Closing this pipe ends the process.
    stdin: Option<ChildStdin>,
}

impl Model {
    pub(crate) fn start(count: usize) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .arg(ARGUMENT)
            .env(COUNT, count.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the model has no standard output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let stdin = child.stdin.take();
        Ok(Self { config: serde_json::from_str(&line)?, child, stdin })
    }

    /// Returns the configuration that leads OpenCode to the model.
    pub(crate) fn run_config(&self) -> Result<RunConfig> {
        let Value::Object(overrides) = self.config.clone() else {
            return Err("the model's configuration is an object".into());
        };
        Ok(RunConfig::new().with_overrides(overrides))
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if let Err(error) = self.child.wait() {
            println!("the model: {error}");
        }
    }
}
