//! The scripted model, in a process of its own.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value;
use testkit::model::{ModelServer, Reply};

use crate::Result;

/// Tells a copy of this program to be the model.
pub(crate) const ARGUMENT: &str = "model";

/// How many prompts it knows answers to.
const COUNT: &str = "OPENCODE_BENCH_PROMPTS";

pub(crate) fn prompt(number: usize) -> String {
    format!("What is number {number}? [[number-{number}]]")
}

pub(crate) fn answer(number: usize) -> String {
    format!("The answer to {number} is {}.", number * 7919)
}

/// Answers until nobody listens any more.
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
    /// It ends when this is closed.
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
        let stdout = child.stdout.take().ok_or("it has an output")?;
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
