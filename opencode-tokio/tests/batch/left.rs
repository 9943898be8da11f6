//! Work that goes on after the end of jobs: subagents in the background, and prompts of plugins.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use opencode_tokio::batch::{BatchResults, Budget, JobRecord, OverBudget};
use opencode_tokio::turn::BackgroundWork;
use opencode_tokio::{BatchEvent, BatchRequest, Job, PermissionReply};
use serde_json::{Value, json};
use testkit::conformance::real::background::{
    BACKGROUND_SUBAGENTS, add_prompter, asker, script_subagent,
};
use testkit::model::{Gate, Reply, Script};

use crate::world::{BatchWorld, PlayedBatch, object, play, until};

const CALL_TOKENS: u64 = 110;

/// A job that leaves a subagent at work, which calls `touch` after the gate has opened.
fn leaving(world: &BatchWorld, gate: &Gate) -> Job {
    script_subagent(&world.model, "parent", "child", gate, "touch asked");
    let mut overrides = world.model.config();
    overrides["agent"]["asker"] = asker();
    let (variable, value) = BACKGROUND_SUBAGENTS;
    let config = world.config().with_overrides(object(&overrides)).with_env(variable, value);
    let job = world.job("Go [[parent]]").with_config(config);
    let settings = job.settings().clone().with_background(BackgroundWork::Leave);
    job.with_settings(settings)
}

fn settled(played: &PlayedBatch) -> Vec<&JobRecord> {
    let settled = played.events.iter().filter_map(|event| match event {
        BatchEvent::JobSettled(report) => Some(&report.record),
        _ => None,
    });
    settled.collect()
}

#[tokio::test]
async fn a_subagent_that_a_job_left_counts_and_is_recorded() {
    let world = BatchWorld::new().await;
    let (gate, asks) = (Gate::new(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&asks);
    let job = leaving(&world, &gate).on_permission(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { PermissionReply::Once }
    });
    let path = world.path("results.jsonl");
    let request = BatchRequest::new([job.clone()]).with_results(BatchResults::new(&path));
    let mut batch = world.opencode.batch(request);
    let ended = until(&mut batch, |event| matches!(event, BatchEvent::JobEnded(_))).await;
    let BatchEvent::JobEnded(ended) = ended else { unreachable!() };
    assert_eq!((ended.text(), ended.record.still_running.len()), ("It has begun.", 1));
    assert_eq!(ended.record.spend.tokens.total, 2 * CALL_TOKENS);
    gate.open();
    let played = play(batch).await;

    let [record] = settled(&played)[..] else { panic!("{:?}", played.events) };
    // Two calls of the subagent, and the answer to the result.
    assert_eq!(record.spend.tokens.total, 5 * CALL_TOKENS);
    assert!(record.still_running.is_empty() && world.path("project/asked").exists());
    assert_eq!((asks.load(Ordering::Relaxed), &*record.text), (1, "It has begun."));
    assert_eq!(played.report.jobs[0].record, *record);
    assert_eq!(played.report.spend, record.spend);

    let lines = fs::read_to_string(&path).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&last["type"], &last["still_running"]), (&json!("settled"), &json!([])));
    // A batch that resumes knows the whole spend.
    let resumed = BatchRequest::new([job])
        .with_results(BatchResults::resume(&path))
        .with_budget(Budget::tokens(6 * CALL_TOKENS));
    let resumed = world.run(resumed).await;
    assert_eq!(resumed.report.jobs[0].record, *record);
}

/// A subagent without a handler is refused, and one of a job over the budget is aborted.
#[tokio::test]
async fn left_work_is_never_left_alone() {
    let world = BatchWorld::new().await;
    let gate = Gate::new();
    gate.open();
    let played = world.run(BatchRequest::new([leaving(&world, &gate)])).await;
    assert!(played.report.jobs[0].record.still_running.is_empty());
    assert!(!world.path("project/asked").exists());

    // The first call of the subagent spends the budget.
    let job = leaving(&world, &gate).on_permission(|_| async { PermissionReply::Once });
    let touch = json!({ "command": "touch asked", "description": "d" });
    let stalling = Script::new()
        .then(Reply::new().tool("bash", touch))
        .then(Reply::new().text("Begun ").stall());
    world.model.script("child", stalling);
    let budget = Budget::tokens(3 * CALL_TOKENS).with_over(OverBudget::Abort);
    let played = world.run(BatchRequest::new([job]).with_budget(budget)).await;
    assert_eq!(played.ends(), ["completed"]);
    assert_eq!(played.count(|event| matches!(event, BatchEvent::BudgetSpent(_))), 1);
    assert_eq!(played.report.spend.tokens.total, 3 * CALL_TOKENS);
}

#[tokio::test]
async fn the_prompt_of_a_plugin_counts() {
    let world = BatchWorld::new().await;
    add_prompter(&world.directory("project"), "Go on [[plugin]]");
    let (gate, touch) = (Gate::new(), json!({ "command": "touch asked", "description": "d" }));
    world.model.script("first", Reply::new().text("First."));
    world.model.script("second", Reply::new().pause_until(&gate).text("Second."));
    let on = Script::new().then(Reply::new().tool("bash", touch)).then(Reply::new().text("On."));
    world.model.script("plugin", on.repeat_last());
    let config = world.config().with_permission(opencode_tokio::Permissions::new().ask("bash"));
    let jobs = ["First [[first]]", "Second [[second]]"].map(|prompt| {
        let job = world.job(prompt).with_config(config.clone());
        job.on_permission(|_| async { PermissionReply::Once })
    });
    let mut batch = world.opencode.batch(BatchRequest::new(jobs));
    // The second job keeps the server busy.
    let first = until(&mut batch, |event| matches!(event, BatchEvent::JobSettled(_))).await;
    let BatchEvent::JobSettled(first) = first else { unreachable!() };
    gate.open();
    let played = play(batch).await;

    assert_eq!((first.text(), first.record.still_running.len()), ("First.", 0));
    assert_eq!(first.record.spend.tokens.total, 3 * CALL_TOKENS);
    assert!(world.path("project/asked").exists(), "the handler of the job was asked");
    assert_eq!(played.report.jobs[0].record.spend, first.record.spend);
    let mut sum = first.record.spend;
    sum += played.report.jobs[1].record.spend;
    assert_eq!(played.report.spend.tokens, sum.tokens);
}

/// A job that waits for quiet has the prompts of plugins in its turn.
#[tokio::test]
async fn a_job_that_waits_for_quiet_has_the_prompt_of_a_plugin() {
    let world = BatchWorld::new().await;
    add_prompter(&world.directory("project"), "Go on [[plugin]]");
    world.model.script("first", Reply::new().text("First."));
    world.model.script("plugin", Reply::new().text("On."));
    let job = world.job("First [[first]]");
    let quiet = BackgroundWork::AwaitQuiet(std::time::Duration::from_secs(5));
    let settings = job.settings().clone().with_background(quiet);
    let played = world.run(BatchRequest::new([job.with_settings(settings)])).await;
    let [job] = &played.report.jobs[..] else { panic!("{:?}", played.report) };
    assert_eq!((job.text(), &*job.turns[0].full_text()), ("On.", "First.On."));
    assert_eq!(played.report.spend.tokens.total, 2 * CALL_TOKENS);
}
