//! Flags of `opencode run` in the configurations of jobs.

use std::fs;

use opencode_tokio::batch::JobError;
use opencode_tokio::config::{Approval, Plugins, Resume, RunFlags, Sharing};
use opencode_tokio::{BatchRequest, Job, Permissions, RunConfig};
use serde_json::json;
use testkit::model::{Reply, Script};

use crate::world::{BatchWorld, object};

fn with(job: Job, change: impl FnOnce(RunFlags) -> RunFlags) -> Job {
    let flags = change(job.config().flags().clone());
    let config = job.config().clone().with_flags(flags);
    job.with_config(config)
}

#[tokio::test]
async fn flags_of_a_job_have_the_same_effect_as_in_a_run() {
    let world = BatchWorld::new().await;
    world.model.default_script(Script::new().then(Reply::new().text("Fine.")).repeat_last());
    let touch = json!({ "command": "touch granted", "description": "d" });
    let touch = Reply::new().tool("bash", touch);
    world.model.script("asks", Script::new().then(touch).then(Reply::new().text("Asked.")));
    fs::write(world.path("project/note.txt"), "the text of the note").unwrap();
    let mut overrides = object(&world.model.config());
    let review = json!({ "template": "Review with care: $ARGUMENTS" });
    overrides.insert("command".into(), json!({ "review": review }));
    let config =
        RunConfig::new().with_overrides(overrides).with_permission(Permissions::new().ask("bash"));
    let job = |prompt: &str| world.job(prompt).with_config(config.clone());
    let jobs = [
        with(job("Read the note."), |flags| flags.with_file("note.txt")),
        with(job("main.rs"), |flags| flags.with_command("review")),
        with(job("[[asks]]"), |flags| flags.with_approval(Approval::Auto)),
        job("[[asks]]"),
        with(job("Alone."), |flags| flags.with_plugins(Plugins::BuiltIn)),
        with(job("Missing."), |flags| flags.with_file("none.txt")),
        with(job("Shared."), |flags| flags.with_sharing(Sharing::Share)),
        with(job("Old."), |flags| flags.with_resume(Resume::session("ses_1"))),
    ];
    let played = world.run(BatchRequest::new(jobs).with_concurrency(1)).await;

    let ends = ["completed", "completed", "completed", "rejected", "completed", "file_not_found"];
    assert_eq!(played.ends()[..6], ends);
    assert_eq!(played.ends()[6..], ["flag", "flag"]);
    let error = played.report.jobs[6].error.as_ref().unwrap();
    assert!(matches!(error, JobError::Flag { flag, .. } if flag == "--share"), "{error:?}");
    assert_eq!(played.servers(), 2, "a server without plugins is another server");
    assert!(world.path("project/granted").exists());
    let bodies: Vec<_> = world.turns().iter().map(|turn| turn.body().to_string()).collect();
    assert!(bodies[0].contains("the text of the note"), "{}", bodies[0]);
    assert!(bodies[1].contains("Review with care: main.rs"), "{}", bodies[1]);
}
