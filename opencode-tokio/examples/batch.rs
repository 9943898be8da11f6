//! Runs many prompts on one server, with progress while they run and a table in the end.
//!
//! ```text
//! cargo run -p opencode-tokio --example batch
//! cargo run -p opencode-tokio --example batch -- "Explain lib.rs." "Explain main.rs."
//! cargo run -p opencode-tokio --example batch -- --file prompts.txt --results results.jsonl
//! cargo run -p opencode-tokio --example batch -- --model anthropic/claude-haiku-4-5 --concurrency 4 "Hello!"
//! ```
//!
//! A file has one prompt on each line. With `--results`, a batch that was broken off goes on where
//! it was. Without `--model` a scripted model on this machine answers: no key, no account, no
//! internet.

#![allow(clippy::print_stdout, reason = "an example talks to people")]
#![allow(clippy::wildcard_enum_match_arm, reason = "it shows some of the events")]
#![allow(dead_code, reason = "not all examples use all of what they share")]

#[path = "common/backend.rs"]
mod backend;

use std::collections::BTreeMap;
use std::env;
use std::fs;

use backend::{Result, open};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use opencode_tokio::batch::{BatchResults, JobNo};
use opencode_tokio::{
    BatchEvent, BatchReport, BatchRequest, Job, ModelRef, RunConfig, TurnEventKind,
};
use serde_json::json;
use testkit::model::{ModelServer, Reply, Script};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = Arguments::read(env::args().skip(1))?;
    let (config, _model) = arguments.config()?;
    let project = tempfile::tempdir()?;
    let jobs = std::mem::take(&mut arguments.prompts).into_iter().map(Job::new);
    let mut request = BatchRequest::new(jobs)
        .with_config(&config)
        .with_directory(project.path())
        .with_concurrency(arguments.concurrency);
    if let Some(path) = arguments.results {
        request = request.with_results(BatchResults::resume(path));
    }

    let mut progress = Progress::new(request.jobs().len() as u64);
    let mut batch = open().await?.batch(request);
    while let Some(event) = batch.next_event().await {
        progress.show(&event);
    }
    table(&batch.outcome().await?);
    Ok(())
}

struct Arguments {
    prompts: Vec<String>,
    model: Option<String>,
    concurrency: usize,
    results: Option<String>,
}

impl Arguments {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut read = Self { prompts: Vec::new(), model: None, concurrency: 8, results: None };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
            match argument.as_str() {
                "--file" => {
                    let lines = fs::read_to_string(value()?)?;
                    read.prompts.extend(lines.lines().map(str::to_owned));
                }
                "--model" => read.model = Some(value()?),
                "--concurrency" => read.concurrency = value()?.parse()?,
                "--results" => read.results = Some(value()?),
                _ => read.prompts.push(argument),
            }
        }
        if read.prompts.is_empty() {
            let files = ["main.rs", "lib.rs", "config.rs", "error.rs", "tests.rs", "build.rs"];
            read.prompts.extend(files.map(|file| format!("What is in {file}?")));
        }
        Ok(read)
    }

    /// The requested model, or a scripted one that gives the same answer to everything.
    fn config(&self) -> Result<(RunConfig, Option<ModelServer>)> {
        if let Some(name) = &self.model {
            return Ok((RunConfig::new().with_model(ModelRef::new(name.clone())?), None));
        }
        let look = json!({ "command": "date", "description": "Looks at the clock" });
        let model = ModelServer::start()?;
        let answer = Reply::new().deltas(["Nothing ", "to ", "worry ", "about."]);
        let look = Reply::new().tool("bash", look);
        model.default_script(Script::new().then(look).then(answer));
        let overrides = model.config().as_object().cloned().unwrap_or_default();
        Ok((RunConfig::new().with_overrides(overrides), Some(model)))
    }
}

/// A bar for all jobs, and a line for each that runs.
struct Progress {
    bars: MultiProgress,
    all: ProgressBar,
    running: BTreeMap<JobNo, ProgressBar>,
}

impl Progress {
    fn new(jobs: u64) -> Self {
        let bars = MultiProgress::new();
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}");
        let all = ProgressBar::new(jobs).with_style(style.expect("a template that is right"));
        Self { all: bars.add(all), bars, running: BTreeMap::new() }
    }

    fn show(&mut self, event: &BatchEvent) {
        match event {
            BatchEvent::ServerStarting(_) => self.all.set_message("starting a server"),
            BatchEvent::ServerReady { .. } => self.all.set_message(""),
            BatchEvent::ServerFailed { reason, .. } => self.all.set_message(reason.clone()),
            BatchEvent::JobStarted { job, attempt, .. } => {
                let bar = self.bars.insert_before(&self.all, ProgressBar::new_spinner());
                bar.set_prefix(format!("{} (try {attempt})", job.0));
                self.running.insert(*job, bar);
            }
            BatchEvent::JobEvent { job, event, .. } => {
                let Some(bar) = self.running.get(job) else { return };
                match &event.kind {
                    TurnEventKind::PermissionAsked(ask) => {
                        bar.set_message(format!("asks for {}", ask.permission));
                    }
                    TurnEventKind::ToolProgressed(tool) => bar.set_message(tool.tool.to_string()),
                    TurnEventKind::StepStarted(_) => bar.set_message("thinks"),
                    TurnEventKind::PartDelta { .. } => bar.set_message("answers"),
                    _ => {}
                }
                bar.tick();
            }
            BatchEvent::JobRetrying { job, reason, .. } => {
                if let Some(bar) = self.running.remove(job) {
                    bar.finish_with_message(format!("again: {reason}"));
                }
            }
            BatchEvent::JobEnded(report) => {
                if let Some(bar) = self.running.remove(&report.no) {
                    bar.finish_and_clear();
                }
                self.all.inc(1);
            }
            _ => {}
        }
    }
}

fn table(report: &BatchReport) {
    println!("job   end          steps  tools   tokens       USD      s  answer");
    for job in &report.jobs {
        let record = &job.record;
        let (tokens, cost) = (record.spend.tokens.total, record.spend.cost);
        let said = record.error.as_deref().unwrap_or(&record.text);
        println!(
            "{:<6}{:<12}{:>6}{:>7}{tokens:>9}{cost:>10.4}{:>7.1}  {said:.60}",
            record.job,
            record.end,
            record.steps,
            record.tools,
            record.elapsed().as_secs_f64(),
        );
    }
    let (spend, elapsed) = (report.spend, report.elapsed.as_secs_f64());
    println!(
        "{} of {} jobs completed in {elapsed:.1} s: {} tokens, {:.4} USD",
        report.completed(),
        report.jobs.len(),
        spend.tokens.total,
        spend.cost
    );
}
