//! Batches and jobs that do not complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opencode_tokio::batch::{Budget, JobError, OverBudget, SkipReason};
use opencode_tokio::event::{Deadline, RawJson};
use opencode_tokio::{
    AnswerSchema, BatchEvent, BatchRequest, Deadlines, PermissionReply, Permissions, Policy,
    TurnEnd, TurnEventKind,
};
use serde::Deserialize;
use serde_json::json;
use testkit::model::{Reply, Script, Usage};

use crate::world::{BatchWorld, play, until};

fn usage(tokens: u64) -> Usage {
    Usage { input: tokens, ..Usage::default() }
}

#[tokio::test]
async fn a_spent_budget_prevents_further_starts() {
    let world = BatchWorld::new().await;
    let dear = Reply::new().text("Dear.").usage(usage(100_000));
    world.model.default_script(Script::new().then(dear).repeat_last());
    let jobs: Vec<_> = (0..4).map(|no| world.job(format!("Job {no}"))).collect();
    let request = BatchRequest::new(jobs).with_concurrency(1).with_budget(Budget::cost(0.2));
    let played = world.run(request).await;
    assert_eq!(played.ends(), ["completed", "completed", "budget_spent", "budget_spent"]);
    assert_eq!(played.count(|event| matches!(event, BatchEvent::BudgetSpent(_))), 1);
    assert_eq!(world.prompts(), ["Job 0", "Job 1"]);
    assert!(played.report.spend.cost >= 0.2, "{:?}", played.report.spend);
    let error = &played.report.jobs[3].error;
    assert!(matches!(error, Some(JobError::NotRun(SkipReason::BudgetSpent))), "{error:?}");
}

#[tokio::test]
async fn a_spent_budget_aborts_running_jobs_on_request() {
    let world = BatchWorld::new().await;
    let list = json!({ "command": "true", "description": "d" });
    let dear = Reply::new().tool("bash", list).usage(usage(100_000));
    world.model.script("dear", Script::new().then(dear).then(Reply::new().stall()));
    world.model.script("stalled", Reply::new().text("Part").stall());
    let jobs = [world.job("Wait [[stalled]]"), world.job("Spend [[dear]]"), world.job("Late")];
    let budget = Budget::tokens(100_000).with_over(OverBudget::Abort);
    let request = BatchRequest::new(jobs).with_concurrency(2).with_budget(budget);
    let played = world.run(request).await;
    assert_eq!(played.ends(), ["cancelled", "cancelled", "budget_spent"]);
    // Partial results are kept and counted.
    assert_eq!(played.texts(), ["Part", "", ""]);
    assert!(played.report.jobs[1].record.spend.tokens.total >= 100_000);
}

#[tokio::test]
async fn a_cancelled_batch_keeps_its_results() {
    let world = BatchWorld::new().await;
    world.model.script("quick", Reply::new().text("Quick."));
    world.model.script("endless", Reply::new().text("Never").stall());
    let jobs = [world.job("A [[quick]]"), world.job("B [[endless]]"), world.job("C [[endless]]")];
    let mut batch = world.opencode.batch(BatchRequest::new(jobs).with_concurrency(1));
    until(&mut batch, |event| match event {
        BatchEvent::JobEvent { job, event, .. } => job.0 == 1 && event.text().is_some(),
        _ => false,
    })
    .await;
    batch.cancel();
    let report = batch.outcome().await.unwrap();
    let ends: Vec<_> = report.jobs.iter().map(|job| &*job.record.end).collect();
    assert_eq!(ends, ["completed", "cancelled", "cancelled"]);
    assert_eq!(report.jobs[0].text(), "Quick.");
    let errors = [1, 2].map(|no: usize| report.jobs[no].error.as_ref().unwrap());
    assert!(matches!(errors[0].end(), Some(TurnEnd::Cancelled)), "{:?}", errors[0]);
    assert!(matches!(errors[1], JobError::NotRun(SkipReason::Cancelled)), "{:?}", errors[1]);
}

#[tokio::test]
async fn a_dropped_batch_leaves_nothing() {
    let world = BatchWorld::new().await;
    let sleep = json!({ "command": "sleep 600", "description": "d" });
    world.model.default_script(Script::new().then(Reply::new().tool("bash", sleep)));
    let mut batch = world.opencode.batch(BatchRequest::new([world.job("A"), world.job("B")]));
    until(&mut batch, |event| match event {
        BatchEvent::JobEvent { event, .. } => {
            matches!(event.kind, TurnEventKind::ToolProgressed(_))
        }
        _ => false,
    })
    .await;
    assert!(!world.processes().is_empty());
    drop(batch);
    world.assert_nothing_left();
}

#[tokio::test]
async fn failing_jobs_do_not_affect_others() {
    let world = BatchWorld::new().await;
    world.model.script("hangs", Reply::new().text("Well").stall());
    world.model.script("fails", Reply::error(400, "no such thing"));
    let touch = |name: &str| json!({ "command": format!("touch {name}"), "description": "d" });
    for name in ["refused", "granted"] {
        let ask = Reply::new().tool("bash", touch(name));
        world.model.script(name, Script::new().then(ask).then(Reply::new().text("Asked.")));
    }
    world.model.script("fine", Reply::new().text("Fine."));
    let limit = Deadlines::NONE.with_idle(Duration::from_secs(3));
    let jobs = [
        world.job("1 [[hangs]]").with_deadlines(limit),
        world.job("2 [[fails]]"),
        world.job("3 [[refused]]"),
        world.job("4 [[granted]]").on_permission(|_| async { PermissionReply::Once }),
        world.job("5 [[fine]]"),
    ];
    let config = world.config().with_permission(Permissions::new().ask("bash"));
    let played = world.run(BatchRequest::new(jobs).with_config(&config)).await;
    let ends = ["timed_out", "agent_error", "rejected", "completed", "completed"];
    assert_eq!(played.ends(), ends);
    assert_eq!(played.servers(), 1);
    let end = played.report.jobs[0].error.as_ref().unwrap().end();
    assert!(matches!(end, Some(TurnEnd::TimedOut { deadline: Deadline::Idle, .. })), "{end:?}");
    let asked = |event: &BatchEvent| match event {
        BatchEvent::JobEvent { event, .. } => {
            matches!(event.kind, TurnEventKind::PermissionAsked(_))
        }
        _ => false,
    };
    assert_eq!(played.count(asked), 2);
    let there = |name| world.path("project").join(name).exists();
    assert_eq!(["refused", "granted"].map(there), [false, true]);
}

#[tokio::test]
async fn an_always_grant_covers_one_job() {
    let world = BatchWorld::new().await;
    let run = |name: &str| json!({ "command": format!("touch {name}"), "description": "d" });
    let twice = |name: &str| {
        let once = || Reply::new().tool("bash", run(name));
        Script::new().then(once()).then(once()).then(Reply::new().text("Done."))
    };
    world.model.script("trusted", twice("trusted"));
    world.model.script("stranger", twice("stranger"));
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let trusted = world.job("[[trusted]]").on_permission(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { PermissionReply::Always }
    });
    let stranger = world.job("[[stranger]]");
    let config = world.config().with_permission(Permissions::new().ask("bash"));
    let request = BatchRequest::new([trusted, stranger]).with_config(&config).with_concurrency(1);
    let played = play(world.opencode.batch(request)).await;
    assert_eq!(played.ends(), ["completed", "rejected"]);
    assert_eq!(played.servers(), 1);
    assert_eq!(count.load(Ordering::Relaxed), 1, "the handler was called for the second call");
    let there = |name| world.path("project").join(name).exists();
    assert_eq!(["trusted", "stranger"].map(there), [true, false]);
}

#[tokio::test]
async fn a_refused_call_of_a_job_takes_no_granted_call_with_it() {
    let world = BatchWorld::new().await;
    let run = |name: &str| json!({ "command": format!("touch {name}"), "description": "d" });
    let both =
        |first: &str, second: &str| Reply::new().tool("bash", run(first)).tool("bash", run(second));
    world.model.script("first", both("refused-1", "granted-1"));
    world.model.script("second", both("granted-2", "refused-2"));
    let jobs = ["[[first]]", "[[second]]"].map(|prompt| {
        world.job(prompt).on_permission(|ask| async move {
            if ask.request.patterns.iter().any(|pattern| pattern.contains("refused")) {
                PermissionReply::reject()
            } else {
                PermissionReply::Once
            }
        })
    });
    let config = world.config().with_permission(Permissions::new().ask("bash"));
    let played = world.run(BatchRequest::new(jobs).with_config(&config)).await;
    assert_eq!(played.ends(), ["rejected", "rejected"]);
    let there = |name| world.path("project").join(name).exists();
    let files = ["granted-1", "granted-2", "refused-1", "refused-2"];
    assert_eq!(files.map(there), [true, true, false, false]);
}

#[derive(Debug, Deserialize, PartialEq)]
struct Count {
    files: u32,
}

#[tokio::test]
async fn typed_answers_and_policies_apply_to_one_job() {
    let world = BatchWorld::new().await;
    let gives = |value| Script::new().then(Reply::new().tool("StructuredOutput", value));
    world.model.script("fits", gives(json!({ "files": 3 })));
    world.model.script("never-fits", gives(json!({ "files": "[[never-fits]]" })));
    let write = |name: &str| {
        let write = json!({ "filePath": name, "content": "x" });
        Script::new().then(Reply::new().tool("write", write)).then(Reply::new().text("Tried."))
    };
    let outside = world.path("outside.txt");
    world.model.script("inside", write("inside.txt"));
    world.model.script("outside", write(outside.to_str().unwrap()));
    let schema = json!({ "type": "object", "properties": { "files": { "type": "integer" } },
        "required": ["files"] });
    let schema = RawJson::parse(schema.to_string()).unwrap();
    let answer = AnswerSchema::of::<Count>(schema).with_asks_max(1);
    let policy = Policy::new().within(world.path("project")).allow("edit");
    let jobs = [
        world.job("A [[fits]]").with_answer(answer.clone()),
        world.job("B [[never-fits]]").with_answer(answer),
        world.job("C [[inside]]").with_policy(policy.clone()),
        world.job("D [[outside]]").with_policy(policy),
        world.job("E [[outside]]"),
    ];
    let played = world.run(BatchRequest::new(jobs)).await;
    assert_eq!(played.ends(), ["completed", "misfit", "completed", "completed", "rejected"]);
    assert_eq!(played.report.jobs[0].parse::<Count>().unwrap(), Count { files: 3 });
    let record = &played.report.jobs[1].record;
    assert!(record.error.as_ref().unwrap().contains("after 2 tries"), "{:?}", record.error);
    assert_eq!((record.attempts, record.spend.tokens.total), (1, 220), "both attempts count");
    assert_eq!(played.servers(), 2, "one server for the jobs under a policy");
    assert!(world.path("project/inside.txt").exists() && !outside.exists());
}
