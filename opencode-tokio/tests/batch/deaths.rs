//! Servers that die during a batch, or grow too large.

use std::collections::BTreeSet;

use opencode_tokio::batch::{BatchSettings, JobError, JobRetry, RetryScope};
use opencode_tokio::{BatchEvent, BatchRequest, RunConfig, TurnEnd};
use testkit::model::{Reply, Script};

use crate::world::{BatchWorld, kill, object, until};

/// Process id of the server of the batch.
fn server(world: &BatchWorld) -> u32 {
    let serving = |process: &&testkit::processes::Process| {
        process.cmdline.iter().any(|argument| argument == "serve")
    };
    let processes = world.processes();
    let found: Vec<_> = processes.iter().filter(serving).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].pid
}

#[tokio::test]
async fn a_killed_server_ends_only_its_own_jobs() {
    let world = BatchWorld::new().await;
    world.model.script("first", Reply::new().text("Begun").stall());
    world.model.script("next", Reply::new().text("On another server."));
    let twice = JobRetry::default().with_again(RetryScope::Accepted);
    world.model.script("again", Reply::new().text("Begun").stall());
    let jobs = [
        world.job("A [[first]]"),
        world.job("B [[again]]").with_retry(twice),
        world.job("C [[next]]"),
    ];
    let mut batch = world.opencode.batch(BatchRequest::new(jobs).with_concurrency(2));
    let mut speaking = BTreeSet::new();
    while speaking.len() < 2 {
        let event = until(&mut batch, |event| match event {
            BatchEvent::JobEvent { event, .. } => event.text().is_some_and(|text| !text.is_empty()),
            _ => false,
        });
        if let BatchEvent::JobEvent { job, .. } = event.await {
            speaking.insert(job);
        }
    }
    world.model.script("again", Reply::new().text("Again."));
    kill(server(&world));
    let (mut ready, mut failed, mut retried) = (0, 0, Vec::new());
    while let Some(event) = batch.next_event().await {
        match event {
            BatchEvent::ServerReady { .. } => ready += 1,
            BatchEvent::ServerFailed { .. } => failed += 1,
            BatchEvent::JobRetrying { job, .. } => retried.push(job.0),
            _ => {}
        }
    }
    let report = batch.outcome().await.unwrap();
    let texts: Vec<_> = report.jobs.iter().map(|job| job.text()).collect();
    assert_eq!(texts, ["Begun", "Again.", "On another server."]);
    assert_eq!((ready, failed, retried), (1, 1, vec![1]));
    let error = report.jobs[0].error.as_ref().unwrap();
    assert!(matches!(error.end(), Some(TurnEnd::ServerLost { .. })), "{error:?}");
    assert_eq!(report.jobs[1].record.attempts, 2);
    let prompts = world.prompts();
    let calls = |name: &str| prompts.iter().filter(|prompt| prompt.contains(name)).count();
    assert_eq!([calls("first"), calls("again"), calls("next")], [1, 2, 1]);
}

#[tokio::test]
async fn a_server_above_the_memory_limit_is_replaced() {
    let world = BatchWorld::new().await;
    world.model.default_script(Script::new().then(Reply::new().text("Fine.")).repeat_last());
    let jobs: Vec<_> = (0..2).map(|no| world.job(format!("Job {no}"))).collect();
    // Every server exceeds this limit.
    let settings = BatchSettings::default()
        .with_concurrency(std::num::NonZeroUsize::MIN)
        .with_server_memory_max(Some(1 << 20));
    let played = world.run(BatchRequest::new(jobs).with_settings(settings)).await;
    assert_eq!(played.texts(), ["Fine.", "Fine."]);
    assert_eq!(played.servers(), 2);
}

#[tokio::test]
async fn a_server_with_a_wrong_configuration_is_tried_once() {
    let world = BatchWorld::new().await;
    let mut overrides = object(&world.model.config());
    overrides.insert("model".into(), 1.into());
    let bad = world.job("A").with_config(RunConfig::new().with_overrides(overrides));
    world.model.default_script(Reply::new().text("Fine."));
    let played = world.run(BatchRequest::new([bad, world.job("B")])).await;
    assert_eq!(played.ends(), ["no_server", "completed"]);
    let error = played.report.jobs[0].error.as_ref().unwrap();
    let JobError::NoServer(reason) = error else { panic!("{error:?}") };
    assert!(reason.contains("model"), "{reason}");
    assert_eq!(played.count(|event| matches!(event, BatchEvent::ServerFailed { .. })), 1);
}
