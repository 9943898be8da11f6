//! Batches of several jobs on shared servers.

use opencode_client::batch::BatchResults;
use opencode_client::event::RawJson;
use opencode_client::{
    AnswerSchema, BatchEvent, BatchRequest, Job, Permissions, Policy, TurnEventKind,
};
use serde_json::{Value, json};

use super::runs::{RunWorld, bash, permit};
use crate::conformance::Host;
use crate::model::{Reply, Script};

pub(crate) async fn jobs_of_all_kinds_share_servers_and_write_results(on: &Host) {
    let _permit = permit();
    let world = RunWorld::new(on);
    let touch = Reply::new().tool("bash", bash("touch touched"));
    world.model.script("plain", Script::new().then(touch).then(Reply::new().text("Touched.")));
    let count = Reply::new().tool("StructuredOutput", json!({ "files": 3 }));
    world.model.script("typed", count);
    let outside = world.path("outside.txt");
    let write = json!({ "filePath": outside, "content": "x" });
    let write = Reply::new().tool("write", write);
    world.model.script("outside", Script::new().then(write).then(Reply::new().text("Tried.")));
    let schema = json!({ "type": "object", "properties": { "files": { "type": "integer" } } });
    let schema = AnswerSchema::of::<Value>(RawJson::parse(schema.to_string()).unwrap());
    let policy = Policy::new().within(world.project()).allow("edit");
    let denied = world.config().with_permission(Permissions::new().deny("bash"));
    let job =
        |prompt: &str| Job::new(prompt).with_directory(world.project()).with_config(world.config());
    let results = world.path("results.jsonl");
    let request = || {
        let jobs = [
            job("A [[plain]]"),
            job("B [[typed]]").with_answer(schema.clone()),
            job("C [[outside]]").with_policy(policy.clone()),
            job("D [[plain]]").with_config(denied.clone()),
        ];
        BatchRequest::new(jobs).with_results(BatchResults::resume(&results))
    };

    let mut batch = world.opencode.batch(request());
    let mut servers = 0;
    while let Some(event) = batch.next_event().await {
        servers += usize::from(matches!(event, BatchEvent::ServerReady { .. }));
    }
    let report = batch.outcome().await.unwrap();
    let texts: Vec<_> = report.jobs.iter().map(|job| job.text()).collect();
    assert_eq!(texts, ["Touched.", "", "Tried.", "Touched."]);
    let answer = report.jobs[1].record.structured.as_ref().unwrap();
    assert_eq!(answer.decode::<Value>().unwrap(), json!({ "files": 3 }));
    assert_eq!((report.completed(), servers), (4, 3));
    assert!(world.path("project/touched").exists() && !outside.exists());
    assert!(report.leftovers.is_empty(), "{:?}", report.leftovers);
    world.assert_nothing_left();

    let again = world.opencode.batch(request()).outcome().await.unwrap();
    let asked = world.turns().len();
    assert_eq!((again.completed(), again.spend.tokens.total, asked), (4, 0, 7));
}

pub(crate) async fn a_dropped_batch_leaves_nothing(on: &Host) {
    let _permit = permit();
    let world = RunWorld::new(on);
    world.model.default_script(Script::new().then(Reply::new().tool("bash", bash("sleep 600"))));
    let job = Job::new("Sleep").with_directory(world.project()).with_config(world.config());
    let mut batch = world.opencode.batch(BatchRequest::new([job]));
    loop {
        let event = batch.next_event().await.expect("the batch is running");
        let BatchEvent::JobEvent { event, .. } = event else { continue };
        if matches!(event.kind, TurnEventKind::ToolProgressed(_)) {
            break;
        }
    }
    assert!(!world.processes().is_empty());
    drop(batch);
    world.assert_nothing_left();
}
