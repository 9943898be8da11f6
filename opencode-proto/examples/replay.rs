//! Reads what a run printed, recorded in a file, and prints its outcome as one line of JSON.
//!
//! ```text
//! cargo run -p opencode-proto --example replay -- run FILE [--exit CODE] [--stderr FILE]
//! ```
//!
//! `FILE` holds the standard output of `opencode run --format json`, or the event log of a run. `CODE` is the exit
//! code of the process; below zero, the signal that ended it. Without it the outcome is judged from the output alone.

// An example is a program: it reads files, takes the time and prints.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::borrow::Cow;
use std::error::Error;
use std::time::Instant;
use std::{env, fs};

use bytes::Bytes;
use opencode_proto::{AgentError, Exit, Run, RunAction, RunOutcome, RunSettings, Tokens, ToolPart};
use serde::Serialize;

fn main() -> Result<(), Box<dyn Error>> {
    let recording = Recording::from_args(env::args().skip(1))?;
    let outcome = replay(recording);
    println!("{}", serde_json::to_string(&Report::of(&outcome))?);
    Ok(())
}

struct Recording {
    stdout: Bytes,
    stderr: Bytes,
    exit: Option<Exit>,
}

impl Recording {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        const USAGE: &str = "usage: replay run FILE [--exit CODE] [--stderr FILE]";
        let read = |path: &str| {
            fs::read(path).map(Bytes::from).map_err(|error| format!("cannot read {path}: {error}"))
        };
        if args.next().as_deref() != Some("run") {
            return Err(USAGE.into());
        }
        let stdout = read(&args.next().ok_or(USAGE)?)?;
        let mut recording = Self { stdout, stderr: Bytes::new(), exit: None };
        while let Some(option) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            match option.as_str() {
                "--exit" => {
                    let code: i32 =
                        value.parse().map_err(|_| format!("not an exit code: {value}"))?;
                    recording.exit =
                        Some(if code < 0 { Exit::Signal(-code) } else { Exit::Code(code) });
                }
                "--stderr" => recording.stderr = read(&value)?,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(recording)
    }
}

/// Drives the machine without a process: all input at once, and no time passes.
fn replay(recording: Recording) -> RunOutcome {
    let now = Instant::now();
    let mut run = Run::new(RunSettings::default(), now);
    run.handle_stderr(recording.stderr, now);
    run.handle_stderr_end(now);
    run.handle_stdout(recording.stdout, now);
    run.handle_stdout_end(now);
    run.handle_exit(recording.exit, now);
    loop {
        match run.poll_action() {
            RunAction::Finished(outcome) => return *outcome,
            RunAction::Event(_) | RunAction::Signal(_) | RunAction::Sweep => {}
            RunAction::Wait(_) => unreachable!("the output and the process have ended"),
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    end: &'static str,
    text: Cow<'a, str>,
    full_text: Cow<'a, str>,
    reasoning: Cow<'a, str>,
    tools: Vec<Tool<'a>>,
    tokens: Tokens,
    cost: f64,
    steps: usize,
    session: Option<&'a str>,
    errors: Vec<ReportedError<'a>>,
    events: u64,
    unknown: u64,
    malformed: u64,
    diagnostics: u64,
}

#[derive(Serialize)]
struct Tool<'a> {
    tool: &'a str,
    status: &'a str,
    call: &'a str,
}

#[derive(Serialize)]
struct ReportedError<'a> {
    name: &'a str,
    message: &'a str,
}

impl<'a> Report<'a> {
    fn of(outcome: &'a RunOutcome) -> Self {
        let answer = &outcome.answer;
        Self {
            end: outcome.end.name(),
            text: answer.text(),
            full_text: answer.full_text(),
            reasoning: answer.reasoning(),
            tools: answer.tools().iter().map(Tool::of).collect(),
            tokens: answer.tokens(),
            cost: answer.cost(),
            steps: answer.steps().len(),
            session: answer.session().map(|session| session.as_str()),
            errors: answer.errors().iter().map(ReportedError::of).collect(),
            events: outcome.lines.events,
            unknown: outcome.lines.unknown,
            malformed: outcome.lines.malformed,
            diagnostics: outcome.lines.diagnostics,
        }
    }
}

impl<'a> Tool<'a> {
    fn of(part: &'a ToolPart) -> Self {
        Self { tool: &part.tool, status: part.state.status(), call: part.call.as_str() }
    }
}

impl<'a> ReportedError<'a> {
    fn of(error: &'a AgentError) -> Self {
        Self { name: error.name.as_str(), message: &error.message }
    }
}
