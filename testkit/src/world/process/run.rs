//! The simulated program `opencode run --format json`.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{OutputStream, SIGKILL, SimulatedProcess, short_delay};
use crate::world::WorldState;
use crate::world::core::{Owner, lock};

/// Record of one process `opencode run`.
#[derive(Clone, Debug, Default)]
pub struct RunTruth {
    /// The prompt, read from standard input.
    pub prompt: String,
    /// Text of all events that were printed completely.
    pub text: String,
    /// Number of tool calls that were printed completely.
    pub tools: usize,
    /// Set when the process printed the whole answer and exited with code 0.
    pub is_complete: bool,
}

/// Course of a run.
#[derive(Debug)]
enum RunFate {
    /// The process exits before the answer is complete.
    ExitsEarly,
    /// The process stops printing and does not exit.
    Hangs,
    /// The process is killed.
    Killed,
    /// The process prints everything and does not exit.
    Lingers,
    /// The process prints everything and exits with code 0.
    Works,
}

pub(super) fn start(shared: &Arc<WorldState>, process: &Arc<SimulatedProcess>) {
    let sick = shared.core.weather().sick;
    let fate = shared.core.random(|random| match random.happens(sick) {
        false => RunFate::Works,
        true => match random.below(5) {
            0 => RunFate::Hangs,
            1 => RunFate::Lingers,
            2 => RunFate::Killed,
            _ => RunFate::ExitsEarly,
        },
    });
    shared.core.count(match fate {
        RunFate::ExitsEarly => "run process: exits early",
        RunFate::Hangs => "run process: hangs",
        RunFate::Killed => "run process: killed",
        RunFate::Lingers => "run process: lingers",
        RunFate::Works => "run process: works",
    });
    shared.core.trace(format_args!("process {}: {fate:?}", process.id));
    let (shared, process) = (Arc::clone(shared), Arc::clone(process));
    let owner = Owner::Host(process.id);
    let core = Arc::clone(&shared.core);
    core.spawn(owner, Box::pin(async move { run_process(&shared, &process, fate).await }));
}

async fn run_process(shared: &Arc<WorldState>, process: &Arc<SimulatedProcess>, fate: RunFate) {
    let prompt = String::from_utf8_lossy(&process.read_stdin().await).into_owned();
    let truth = {
        let mut runs = lock(&shared.runs);
        runs.push(RunTruth { prompt, ..RunTruth::default() });
        runs.len() - 1
    };
    let lines = lines(shared, process.id);
    let last = shared.core.random(|random| random.index(lines.len() + 1));
    for (number, (line, text, tools)) in lines.iter().enumerate() {
        shared.core.sleep(short_delay(shared)).await;
        let ends = number == last;
        if ends && let RunFate::Hangs = fate {
            return std::future::pending().await;
        }
        if ends && matches!(fate, RunFate::ExitsEarly | RunFate::Killed) {
            // In the middle of a line.
            let cut = shared.core.random(|random| random.index(line.len()));
            process.print(OutputStream::Stdout, line[..cut].to_owned());
            return match fate {
                RunFate::Killed => process.end(ExitStatus::from_raw(SIGKILL)),
                RunFate::ExitsEarly | RunFate::Hangs | RunFate::Lingers | RunFate::Works => {
                    process.exit(1)
                }
            };
        }
        let cut = shared.core.random(|random| random.index(line.len()));
        process.print(OutputStream::Stdout, line[..cut].to_owned());
        if shared.core.random(|random| random.happens(300)) {
            shared.core.sleep(short_delay(shared)).await;
        }
        {
            let mut runs = lock(&shared.runs);
            runs[truth].text.push_str(text);
            runs[truth].tools += tools;
            runs[truth].is_complete = number + 1 == lines.len();
        }
        process.print(OutputStream::Stdout, line[cut..].to_owned());
    }
    if let RunFate::Lingers = fate {
        return std::future::pending().await;
    }
    shared.core.sleep(short_delay(shared)).await;
    process.exit(0);
}

/// Lines as the real program prints them, each with the text and the number of tool calls.
fn lines(shared: &Arc<WorldState>, id: u32) -> Vec<(String, String, usize)> {
    let session = format!("ses_run{id}");
    let event = |kind: &str, mut part: Value| {
        part["sessionID"] = json!(session);
        json!({ "type": kind, "timestamp": 1_795_231_820_175_u64, "sessionID": session,
            "part": part })
        .to_string()
            + "\n"
    };
    let steps = shared.core.random(|random| random.range(1, 4));
    let mut lines = Vec::new();
    for step in 1..=steps {
        let message = format!("msg_run{id}_{step}");
        let part = |name: &str| format!("prt_run{id}_{step}_{name}");
        let is_last = step == steps;
        lines.push((
            event(
                "step_start",
                json!({ "id": part("start"), "messageID": message, "type": "step-start" }),
            ),
            String::new(),
            0,
        ));
        if is_last || shared.core.random(|random| random.happens(500)) {
            let text = format!("Step {step} of process {id}.");
            let value = json!({ "id": part("text"), "messageID": message, "type": "text",
                "text": text, "time": { "start": 1, "end": 2 } });
            lines.push((event("text", value), text, 0));
        }
        if !is_last {
            let value = json!({ "id": part("tool"), "messageID": message, "type": "tool",
                "tool": "bash", "callID": part("call"), "state": { "status": "completed",
                "input": { "command": "true" }, "output": "", "metadata": { "exit": 0 },
                "title": "true", "time": { "start": 1, "end": 2 } } });
            lines.push((event("tool_use", value), String::new(), 1));
        }
        let value = json!({ "id": part("finish"), "messageID": message, "type": "step-finish",
            "reason": if is_last { "stop" } else { "tool-calls" }, "cost": 0.25,
            "tokens": { "total": 120, "input": 100, "output": 20, "reasoning": 0,
                "cache": { "read": 0, "write": 0 } } });
        lines.push((event("step_finish", value), String::new(), 0));
    }
    lines
}
