//! Results files, and batches that resume from them.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use opencode_tokio::batch::{
    BatchResults, Budget, BudgetScope, JobError, JobRecord, ResultsError, ResumePolicy,
    ResumeStatus,
};
use opencode_tokio::event::RawJson;
use opencode_tokio::{
    AnswerSchema, BatchError, BatchEvent, BatchRequest, Job, OpenCode, RunConfig, TokioRuntime,
};
use serde_json::{Value, json};
use testkit::model::{Reply, Script, Usage};
use testkit::processes::eventually;

use crate::world::{BatchWorld, LONG, PlayedBatch, object, until};

/// Environment variable with the results file, for a client process that runs a batch.
const RESULTS: &str = "OPENCODE_TEST_RESULTS";
/// Environment variable with the config of a client process.
const CONFIG: &str = "OPENCODE_TEST_CONFIG";

/// Batch of the client process, and of the batch that resumes: two quick jobs, an endless one, and
/// one that does not begin.
fn request(config: &RunConfig, directory: &Path, results: BatchResults) -> BatchRequest {
    let jobs = ["A [[quick]]", "B [[quick]]", "C [[slow]]", "D [[quick]]"].map(Job::new);
    BatchRequest::new(jobs)
        .with_config(config)
        .with_directory(directory)
        .with_concurrency(1)
        .with_results(results)
}

/// The test runs its own executable and test name again as a client process that can be killed.
#[tokio::test]
async fn a_killed_batch_is_resumed() {
    if let Some(results) = env::var_os(RESULTS) {
        return run_client(Path::new(&results)).await;
    }
    let world = BatchWorld::new().await;
    world.model.script("quick", Script::new().then(Reply::new().text("Quick.")).repeat_last());
    let usage = Usage { input: 100_000, ..Usage::default() };
    let touch = json!({ "command": "touch begun", "description": "d" });
    let touch = Reply::new().tool("bash", touch).usage(usage);
    world.model.script("slow", Script::new().then(touch).then(Reply::new().text("Sl").stall()));
    let results = world.path("results.jsonl");
    let mut program = Command::new(env::current_exe().unwrap())
        .args(["--exact", "resume::a_killed_batch_is_resumed", "--nocapture"])
        .env_clear()
        .envs(world.environment())
        .env(RESULTS, &results)
        .env(CONFIG, world.model.config().to_string())
        .env("OPENCODE_BINARY", testkit::opencode::binary().unwrap())
        .env("TMPDIR", world.path("temp"))
        .current_dir(world.path("project"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "slow"), "the slow job has begun");
    // The line is written behind the events.
    eventually(LONG, || spent(&results, "2").map(drop).ok_or("nothing recorded"));
    program.kill().unwrap();
    assert_eq!(program.wait().unwrap().signal(), Some(9));
    eventually(LONG, || {
        let left = (world.processes(), world.private_dirs());
        if left.0.is_empty() && left.1.is_empty() { Ok(()) } else { Err(left) }
    });
    assert_eq!(types(&results), ["started", "ended", "started", "ended", "started"]);
    let interrupted = spent(&results, "2").unwrap();
    assert!(interrupted > 0.0, "the slow job has a finished call");
    // An incomplete last line.
    let mut torn = fs::OpenOptions::new().append(true).open(&results).unwrap();
    torn.write_all(b"{\"type\":\"ended\",\"jo").unwrap();
    drop(torn);

    // An interrupted job runs again only on request.
    let go_on = BatchResults::resume(&results);
    let again = request(&world.config(), &world.path("project"), go_on.clone());
    let played = world.run(again).await;
    assert_eq!(played.ends(), ["completed", "completed", "interrupted", "completed"]);
    assert_eq!(played.texts(), ["Quick.", "Quick.", "", "Quick."]);
    assert!(matches!(played.report.jobs[2].error, Some(JobError::Interrupted)));
    assert_eq!(played.report.jobs[2].record.spend.cost, interrupted);
    assert_eq!(counts(&played), [3, 1, 0, 0]);
    assert_eq!(world.prompts().len(), 5, "A, B and C (twice) of the first batch, D of the second");

    world.model.script("slow", Reply::new().text("Slow."));
    let go_on = go_on.with_broken(ResumePolicy::RunAgain);
    let again = request(&world.config(), &world.path("project"), go_on.clone());
    let played = world.run(again).await;
    assert_eq!(played.texts(), ["Quick.", "Quick.", "Slow.", "Quick."]);
    assert_eq!((counts(&played), world.prompts().len()), ([3, 0, 1, 0], 6));

    // Without any job left, nothing is started.
    let again = request(&world.config(), &world.path("project"), go_on.clone());
    let played = world.run(again).await;
    assert_eq!((played.report.completed(), played.servers(), world.prompts().len()), (4, 0, 6));
    let ended = played.count(|event| matches!(event, BatchEvent::JobEnded(_)));
    assert_eq!(ended, 4);

    // A job with another agent runs again.
    let changed = request(&world.config(), &world.path("project"), go_on);
    let mut jobs = changed.jobs().to_vec();
    jobs[0] = jobs[0].clone().with_agent("plan");
    let played = world.run(changed.with_jobs(jobs)).await;
    assert_eq!((played.report.completed(), world.prompts().len()), (4, 7));
    assert_eq!(counts(&played), [3, 0, 0, 1]);
    let records = records(&results);
    assert_eq!(records.last().unwrap().status, ResumeStatus::Completed);
    assert_eq!(records.len(), 5);
}

/// Returns the numbers of kept, new, repeated and changed jobs, from the first event.
fn counts(played: &PlayedBatch) -> [usize; 4] {
    match &played.events[0] {
        BatchEvent::Resumed(counts) => [counts.kept, counts.new, counts.again, counts.changed],
        other => panic!("{other:?}"),
    }
}

/// Runs a batch, and prints `slow` when the endless job has begun.
#[allow(clippy::explicit_write, reason = "the harness captures the output of `println!`")]
async fn run_client(results: &Path) {
    let config: Value = serde_json::from_str(&env::var(CONFIG).unwrap()).unwrap();
    let config = RunConfig::new().with_overrides(object(&config));
    let opencode = OpenCode::new(TokioRuntime::new());
    let directory = env::current_dir().unwrap();
    let mut batch = opencode.batch(request(&config, &directory, BatchResults::new(results)));
    until(&mut batch, |event| match event {
        BatchEvent::JobEvent { job, event, .. } => job.0 == 2 && event.text().is_some(),
        _ => false,
    })
    .await;
    writeln!(std::io::stdout(), "\nslow").unwrap();
    while batch.next_event().await.is_some() {}
}

/// Returns the types of the lines, without those of the spend, whose order is open.
fn types(path: &Path) -> Vec<String> {
    let line = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned()
    };
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(line).filter(|line| line != "spent").collect()
}

/// Returns the last recorded cost of a running job. The last line may be incomplete.
fn spent(path: &Path, job: &str) -> Option<f64> {
    let text = fs::read_to_string(path).unwrap();
    let (lines, _) = text.rsplit_once('\n')?;
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut spent = lines.filter(|line| line["type"] == "spent" && line["job"] == job);
    Some(spent.next_back()?["spend"]["cost"].as_f64().unwrap())
}

fn records(path: &Path) -> Vec<JobRecord> {
    let text = fs::read_to_string(path).unwrap();
    let ended = text.lines().filter(|line| line.contains("\"type\":\"ended\""));
    ended.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn unusable_results_files_are_refused_before_the_start() {
    let world = BatchWorld::new().await;
    let path = world.path("results.jsonl");
    let fails = async |results: BatchResults| {
        let request = BatchRequest::new([world.job("A")]).with_results(results);
        match world.opencode.batch(request).outcome().await {
            Err(BatchError::Results(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    fs::write(&path, "{\"type\":\"else\"}\n{}\n").unwrap();
    let error = fails(BatchResults::new(&path)).await;
    assert!(matches!(error, ResultsError::NotEmpty { .. }), "{error:?}");
    let error = fails(BatchResults::resume(&path)).await;
    assert!(matches!(error, ResultsError::Malformed { line: 1, .. }), "{error:?}");
    let error = fails(BatchResults::new(world.path("no/such.jsonl"))).await;
    assert!(matches!(error, ResultsError::Open { .. }), "{error:?}");
    let twins = [world.job("A").with_id("x"), world.job("B").with_id("x")];
    match world.opencode.batch(BatchRequest::new(twins)).outcome().await {
        Err(BatchError::SameId { id, .. }) => assert_eq!(id, "x"),
        other => panic!("{other:?}"),
    }
    assert!(world.model.requests().is_empty());
}

#[tokio::test]
async fn a_full_disk_stops_the_batch_and_keeps_the_report() {
    let world = BatchWorld::new().await;
    world.model.default_script(Script::new().then(Reply::new().text("Fine.")).repeat_last());
    let request = BatchRequest::new([world.job("A"), world.job("B")])
        .with_concurrency(1)
        .with_results(BatchResults::new("/dev/full"));
    let mut batch = world.opencode.batch(request);
    while batch.next_event().await.is_some() {}
    let error = batch.outcome().await.unwrap_err();
    let BatchError::ResultsWrite { report, source } = error else { panic!("{error:?}") };
    assert!(matches!(*source, ResultsError::Write { .. }), "{source:?}");
    let ends: Vec<_> = report.jobs.iter().map(|job| &*job.record.end).collect();
    assert_eq!(ends, ["results", "halted"]);
    assert!(world.prompts().is_empty(), "a job began without its record");
}

#[tokio::test]
async fn a_key_a_schema_and_a_budget_count_when_a_batch_resumes() {
    let world = BatchWorld::new().await;
    let usage = Usage { input: 100_000, ..Usage::default() };
    let gives = Reply::new().tool("StructuredOutput", json!({ "files": 3 })).usage(usage);
    world.model.script("counts", Script::new().then(gives).repeat_last());
    let path = world.path("results.jsonl");
    let answer = || {
        let schema = json!({ "type": "object", "properties": { "files": { "type": "integer" } } });
        AnswerSchema::of::<Value>(RawJson::parse(schema.to_string()).unwrap()).with_asks_max(0)
    };
    let config = |port: u32| world.config().with_env("PORT", port.to_string());
    let jobs = |port| {
        [
            world.job("A [[counts]]").with_config(config(port)).with_key("a").with_answer(answer()),
            world.job("B [[counts]]").with_config(config(port)).with_answer(answer()),
        ]
    };
    let request = |port| BatchRequest::new(jobs(port)).with_results(BatchResults::resume(&path));
    let played = world.run(request(1)).await;
    assert_eq!((counts(&played), played.ends()), ([0, 2, 0, 0], vec!["completed"; 2]));
    let spent = played.report.spend.cost;

    // Another port is another fingerprint, but not another key. The budget is spent already.
    let again = request(2).with_budget(Budget::cost(spent));
    let played = world.run(again).await;
    assert_eq!(counts(&played), [1, 0, 0, 1]);
    assert_eq!(played.ends(), ["completed", "budget_spent"]);
    assert_eq!(played.report.spend.cost, 0.0);

    // Without the earlier batches, the budget is enough. The answer fits the schema no more.
    let results = BatchResults::resume(&path).with_budget_scope(BudgetScope::ThisBatch);
    let again = request(2).with_budget(Budget::cost(2.0 * spent)).with_results(results);
    let strict = answer().with_check(|_| Err("three are too few".to_owned()));
    let mut jobs = again.jobs().to_vec();
    jobs[0] = jobs[0].clone().with_answer(strict);
    let played = world.run(again.with_jobs(jobs)).await;
    assert_eq!(counts(&played), [0, 0, 1, 1]);
    assert_eq!(played.ends(), ["misfit", "completed"]);
}
