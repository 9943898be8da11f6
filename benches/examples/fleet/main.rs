//! Compares the same prompts as parallel `opencode run` processes and as one batch:
//!
//! ```text
//! cargo run --release -p opencode-benches --example fleet
//! cargo run --release -p opencode-benches --example fleet -- 20 200
//! ```
//!
//! The first number is the number of prompts of both, the second that of a larger batch. The
//! scripted model runs in a separate process, which is not counted. Nothing is warmed up: the batch
//! starts its server.

// A program takes arguments and prints.
#![allow(clippy::print_stdout)]

mod measure;
mod model;

use std::env;
use std::error::Error;
use std::num::NonZeroUsize;

use futures_util::future::join_all;
use opencode_tokio::batch::BatchSettings;
use opencode_tokio::config::RunFlags;
use opencode_tokio::{BatchRequest, Job, OpenCode, RunConfig, RunRequest};
use tempfile::TempDir;

use measure::{Meter, Reading};
use model::{Model, answer, prompt};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some(model::ARGUMENT) {
        return model::serve();
    }
    let small = first.map_or(Ok(20), |number| number.parse())?;
    let large = arguments.next().map_or(Ok(200), |number| number.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(compare(small, large))
}

async fn compare(small: usize, large: usize) -> Result<()> {
    let model = Model::start(small.max(large))?;
    let bench = Bench::new(&model)?;

    println!(
        "{:<34}{:>8}{:>9}{:>11}{:>11}{:>8}",
        "", "wall s", "CPU s", "RSS MB", "PSS MB", "right"
    );
    let meter = Meter::start(model.process());
    let right = bench.processes(small).await?;
    let processes = meter.stop();
    row(&format!("{small} processes"), &processes, right);

    let meter = Meter::start(model.process());
    let right = bench.batch(small).await?;
    let batch = meter.stop();
    row(&format!("{small} jobs of a batch"), &batch, right);
    println!(
        "{:<34}{:>8.1}{:>9.1}{:>11.1}{:>11.1}",
        "a batch takes one part of",
        processes.wall / batch.wall,
        processes.cpu / batch.cpu,
        processes.rss / batch.rss,
        processes.pss / batch.pss,
    );

    let meter = Meter::start(model.process());
    let right = bench.batch(large).await?;
    let larger = meter.stop();
    row(&format!("{large} jobs of a batch"), &larger, right);
    for (name, reading) in [("small", &batch), ("large", &larger)] {
        println!(
            "this program, {name} batch: {:.2} CPU s, {:.1} MB more than before",
            reading.own_cpu, reading.own_rss
        );
    }
    Ok(())
}

fn row(name: &str, reading: &Reading, right: usize) {
    let Reading { wall, cpu, rss, pss, .. } = reading;
    println!("{name:<34}{wall:>8.1}{cpu:>9.1}{rss:>11.0}{pss:>11.0}{right:>8}");
}

struct Bench {
    opencode: OpenCode,
    config: RunConfig,
    project: TempDir,
    _home: TempDir,
}

impl Bench {
    fn new(model: &Model) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let opencode = model::opencode(home.path())?;
        let config = model.run_config()?.with_flags(RunFlags::new().with_title("a prompt"));
        Ok(Self { opencode, config, project: tempfile::tempdir()?, _home: home })
    }

    /// Runs processes, and returns the number of correct answers.
    async fn processes(&self, count: usize) -> Result<usize> {
        let runs = (0..count).map(|number| {
            let request = RunRequest::new(prompt(number))
                .with_directory(self.project.path())
                .with_config(self.config.clone());
            self.opencode.run(request)
        });
        let mut right = 0;
        for (number, report) in join_all(runs).await.into_iter().enumerate() {
            right += usize::from(report?.text() == answer(number));
        }
        Ok(right)
    }

    async fn batch(&self, count: usize) -> Result<usize> {
        let twenty = NonZeroUsize::new(20).expect("20 is not 0");
        let settings = BatchSettings::default().with_concurrency(twenty);
        let jobs = (0..count).map(|number| Job::new(prompt(number)));
        let request = BatchRequest::new(jobs)
            .with_config(&self.config)
            .with_directory(self.project.path())
            .with_settings(settings);
        let report = self.opencode.batch(request).outcome().await?;
        let is_right = |(number, text): &(usize, &str)| *text == answer(*number);
        Ok(report.jobs.iter().map(|job| job.text()).enumerate().filter(is_right).count())
    }
}
