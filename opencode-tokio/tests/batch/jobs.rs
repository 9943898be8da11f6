//! Successful jobs, and their servers.

use std::collections::BTreeSet;
use std::fs;

use opencode_tokio::batch::{BatchSettings, JobError};
use opencode_tokio::run::Retention;
use opencode_tokio::{BatchEvent, BatchRequest, Permissions, TurnEventKind};
use serde_json::json;
use testkit::model::{Reply, Script};

use crate::world::BatchWorld;

#[tokio::test]
async fn jobs_share_a_server_and_have_ordered_events_and_reports() {
    let world = BatchWorld::new().await;
    let read = json!({ "command": "echo from the tool", "description": "d" });
    world.model.script(
        "tool",
        Script::new()
            .then(Reply::new().tool("bash", read))
            .then(Reply::new().text("Tool said it.")),
    );
    world
        .model
        .default_script(Script::new().then(Reply::new().text("Plain answer.")).repeat_last());
    let other = world.directory("other");
    let jobs = [
        world.job("One"),
        world.job("Two [[tool]]").with_id("tool user"),
        world.job("Three").with_directory(other),
    ];
    let played = world.run(BatchRequest::new(jobs)).await;

    assert_eq!(played.texts(), ["Plain answer.", "Tool said it.", "Plain answer."]);
    assert_eq!(played.servers(), 1);
    let records: Vec<_> = played.report.jobs.iter().map(|job| &job.record).collect();
    let ids: Vec<_> = records.iter().map(|record| &*record.job).collect();
    assert_eq!(ids, ["0", "tool user", "2"]);
    assert_eq!((records[1].steps, records[1].tools, records[1].attempts), (2, 1, 1));
    assert_eq!(played.report.jobs[1].turns.len(), 1);
    let sessions: BTreeSet<_> = records.iter().map(|record| record.session.clone()).collect();
    assert_eq!(sessions.len(), 3, "one session per job");
    let sum: f64 = records.iter().map(|record| record.spend.cost).sum();
    assert!(sum > 0.0 && (played.report.spend.cost - sum).abs() < 1e-9);
    let tokens: u64 = records.iter().map(|record| record.spend.tokens.total).sum();
    assert_eq!(played.report.spend.tokens.total, tokens);
    // Jobs have titles, so that the model receives only the prompts and the result of the tool.
    assert_eq!(world.model.requests().len(), 4);

    // The events of every job are between the start and the end.
    for (no, _) in played.report.jobs.iter().enumerate() {
        let of_it = played.events.iter().filter_map(|event| match event {
            BatchEvent::JobStarted { job, .. } if job.0 == no => Some("started"),
            BatchEvent::JobEvent { job, event, .. } if job.0 == no => {
                matches!(event.kind, TurnEventKind::PartFinal { .. }).then_some("part")
            }
            BatchEvent::JobEnded(report) if report.no.0 == no => Some("ended"),
            _ => None,
        });
        let events: Vec<_> = of_it.collect();
        let parts = if no == 1 { 2 } else { 1 };
        let expected = [vec!["started"], vec!["part"; parts], vec!["ended"]].concat();
        assert_eq!(events, expected, "job {no}");
    }
}

#[tokio::test]
async fn different_configurations_use_different_servers() {
    let world = BatchWorld::new().await;
    let write = |name: &str| json!({ "command": format!("echo x > {name}"), "description": "d" });
    for name in ["free", "denied", "strict"] {
        let reply = Reply::new().tool("bash", write(name));
        world.model.script(name, Script::new().then(reply).then(Reply::new().text("Done.")));
    }
    let config = |permission| world.config().with_permission(permission);
    let jobs = [
        world.job("Write [[free]]"),
        world.job("Write [[denied]]").with_config(config(Permissions::new().deny("bash"))),
        world.job("Write [[strict]]").with_config(config(Permissions::new().ask("bash"))),
        world.job("And [[free]]"),
    ];
    // One server at a time: the configurations take turns.
    let settings = BatchSettings::default().with_servers_max(std::num::NonZeroUsize::MIN);
    let played = world.run(BatchRequest::new(jobs).with_settings(settings)).await;

    assert_eq!(played.servers(), 3);
    assert_eq!(played.ends(), ["completed", "completed", "rejected", "completed"]);
    let written = |name| world.path("project").join(name).exists();
    assert_eq!(["free", "denied", "strict"].map(written), [true, false, false]);
    let denied = world.turns().into_iter().find(|turn| turn.script() == Some("denied")).unwrap();
    assert!(!denied.tools().contains(&"bash"), "a denied tool is not offered");
}

#[tokio::test]
async fn an_unusable_project_affects_only_its_jobs() {
    let world = BatchWorld::new().await;
    world.model.default_script(Script::new().then(Reply::new().text("Fine.")).repeat_last());
    let broken = world.directory("broken");
    fs::write(broken.join("opencode.json"), "{ \"model\": 1 }").unwrap();
    let jobs = [
        world.job("In a broken project").with_directory(broken),
        world.job("In a missing project").with_directory(world.path("missing")),
        world.job("In a good one"),
    ];
    let played = world.run(BatchRequest::new(jobs).with_turns(Retention::Discard)).await;
    assert_eq!(played.ends()[1..], ["directory", "completed"]);
    assert_ne!(played.ends()[0], "completed");
    assert_eq!(played.texts()[2], "Fine.");
    assert_eq!(played.servers(), 1);
    // The report keeps only the records; the events have the complete reports.
    assert!(played.report.jobs[2].turns.is_empty());
    let [error] = [&played.report.jobs[1].error];
    assert!(matches!(error, Some(JobError::Recorded { .. })), "{error:?}");
    let event = played.events.iter().find_map(|event| match event {
        BatchEvent::JobEnded(report) if report.no.0 == 1 => Some(report),
        _ => None,
    });
    let error = &event.unwrap().error;
    assert!(matches!(error, Some(JobError::Directory { .. })), "{error:?}");
}

#[tokio::test]
async fn the_concurrency_limit_holds() {
    let world = BatchWorld::new().await;
    let gate = testkit::model::Gate::new();
    let held = Reply::new().text("Held.").pause_until(&gate);
    world.model.default_script(Script::new().then(held).repeat_last());
    let jobs: Vec<_> = (0..5).map(|no| world.job(format!("Job {no}"))).collect();
    let mut batch = world.opencode.batch(BatchRequest::new(jobs).with_concurrency(2));
    let mut running = BTreeSet::new();
    let mut most = 0;
    while let Some(event) = batch.next_event().await {
        match event {
            BatchEvent::JobStarted { job, .. } => {
                running.insert(job);
                most = most.max(running.len());
                if running.len() == 2 {
                    gate.open();
                }
            }
            BatchEvent::JobEnded(report) => assert!(running.remove(&report.no)),
            _ => {}
        }
    }
    assert_eq!(most, 2);
    assert_eq!(batch.outcome().await.unwrap().completed(), 5);
}
