//! The output of one process, through the machine that drives it.

use std::borrow::Cow;
use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use opencode_proto::{Exit, Run, RunAction, RunOutcome, RunSettings, Tokens};
use serde::Serialize;

use crate::report::{ReportedError, Tool};
use crate::{USAGE, read};

pub(crate) fn replay(args: impl Iterator<Item = String>) -> Result<String, Box<dyn Error>> {
    let outcome = Recording::from_args(args)?.replay();
    Ok(serde_json::to_string(&RunReport::from(&outcome))?)
}

struct Recording {
    stdout: Bytes,
    stderr: Bytes,
    exit: Option<Exit>,
}

impl Recording {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut recording = Self { stdout: read(args.next())?, stderr: Bytes::new(), exit: None };
        while let Some(option) = args.next() {
            match option.as_str() {
                "--exit" => {
                    let code = args.next().ok_or(USAGE)?;
                    let code: i32 =
                        code.parse().map_err(|_| format!("not an exit code: {code}"))?;
                    let exit = if code < 0 { Exit::Signal(-code) } else { Exit::Code(code) };
                    recording.exit = Some(exit);
                }
                "--stderr" => recording.stderr = read(args.next())?,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(recording)
    }

    /// Drives the machine without a process: all input at once, and no time passes.
    fn replay(self) -> RunOutcome {
        let now = Instant::now();
        let mut run = Run::new(RunSettings::default(), now);
        run.handle_stderr(self.stderr, now);
        run.handle_stderr_end(now);
        run.handle_stdout(self.stdout, now);
        run.handle_stdout_end(now);
        run.handle_exit(self.exit, now);
        loop {
            match run.poll_action() {
                RunAction::Finished(outcome) => return *outcome,
                RunAction::Event(_) | RunAction::Signal(_) | RunAction::Sweep => {}
                RunAction::Wait(_) => unreachable!("the output and the process have ended"),
            }
        }
    }
}

#[derive(Serialize)]
struct RunReport<'a> {
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

impl<'a> From<&'a RunOutcome> for RunReport<'a> {
    fn from(outcome: &'a RunOutcome) -> Self {
        let answer = &outcome.answer;
        Self {
            end: outcome.end.name(),
            text: answer.text(),
            full_text: answer.full_text(),
            reasoning: answer.reasoning(),
            tools: answer.tools().iter().map(Tool::from).collect(),
            tokens: answer.tokens(),
            cost: answer.cost(),
            steps: answer.steps().len(),
            session: answer.session().map(|session| session.as_str()),
            errors: answer.errors().iter().map(ReportedError::from).collect(),
            events: outcome.lines.events,
            unknown: outcome.lines.unknown,
            malformed: outcome.lines.malformed,
            diagnostics: outcome.lines.diagnostics,
        }
    }
}
