//! Ways of reading the output of a run, each doing more than the one before, and a naive way to
//! compare them with.

use std::io::BufRead;
use std::time::Instant;

use bytes::Bytes;
use opencode_proto::{
    Answer, Exit, Line, LineFramer, Run, RunAction, RunEvent, RunOutcome, RunSettings,
};
use serde_json::Value;

use crate::Figures;

/// Splits chunks into lines.
pub fn frame(chunks: &[Bytes]) -> impl Iterator<Item = Bytes> + '_ {
    let mut framer = LineFramer::new(usize::MAX);
    let mut chunks = chunks.iter();
    std::iter::from_fn(move || {
        loop {
            match framer.next_line() {
                Some(Line::Whole(line)) => return Some(line),
                Some(line @ (Line::TooLong { .. } | Line::Torn(_))) => panic!("{line:?}"),
                None => framer.push(chunks.next()?.clone()),
            }
        }
    })
}

/// Decodes lines into events.
pub fn decode(lines: impl Iterator<Item = Bytes>) -> impl Iterator<Item = RunEvent> {
    lines.map(RunEvent::decode)
}

/// Aggregates chunks into an answer.
pub fn aggregate(chunks: &[Bytes]) -> Answer {
    let mut answer = Answer::new();
    for event in decode(frame(chunks)) {
        answer.apply(&event);
    }
    answer
}

/// Feeds chunks to the machine of a run, as from a process.
pub fn drive(chunks: &[Bytes]) -> RunOutcome {
    let now = Instant::now();
    let mut run = Run::new(RunSettings::default(), now);
    for chunk in chunks {
        run.handle_stdout(chunk.clone(), now);
        while let RunAction::Event(_) = run.poll_action() {}
    }
    run.handle_stdout_end(now);
    run.handle_stderr_end(now);
    run.handle_exit(Some(Exit::Code(0)), now);
    loop {
        if let RunAction::Finished(outcome) = run.poll_action() {
            return *outcome;
        }
    }
}

/// Extracts the sums with a string per line and a JSON tree per string.
pub fn values(run: &[u8]) -> Figures {
    let mut text = String::new();
    let mut tools = Vec::new();
    let mut figures = Figures::default();
    for line in run.lines() {
        let line = line.expect("a workload is UTF-8");
        let mut event: Value = serde_json::from_str(&line).expect("a workload is JSON");
        let mut part = event["part"].take();
        match event["type"].as_str() {
            Some("text") => text.push_str(part["text"].as_str().unwrap_or_default()),
            Some("tool_use") => tools.push(part.take()),
            Some("step_finish") => {
                figures.tokens += part["tokens"]["total"].as_u64().unwrap_or_default();
                figures.cost += part["cost"].as_f64().unwrap_or_default();
            }
            _ => {}
        }
    }
    Figures { text_size: text.len(), tools: tools.len(), ..figures }
}
