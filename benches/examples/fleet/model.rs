//! The scripted model, in a separate process.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};

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

pub(crate) struct Model {
    pub(crate) config: Value,
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
