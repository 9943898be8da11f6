//! Plugins and MCP servers that do not work, in batches.

use std::fs;

use opencode_tokio::batch::{GivenServer, JobError};
use opencode_tokio::config::Credentials;
use opencode_tokio::process::Warning;
use opencode_tokio::{AttachRequest, BatchRequest, Job, ServeRequest};
use serde_json::json;
use testkit::model::{Reply, Script};

use crate::world::BatchWorld;

fn requiring(job: Job, name: &str) -> Job {
    let config = job.config().clone().with_required_mcp([name]);
    job.with_config(config)
}

#[tokio::test]
async fn jobs_need_their_required_mcp_servers() {
    let world = BatchWorld::new().await;
    world.model.default_script(Script::new().then(Reply::new().text("Fine.")).repeat_last());
    let mcp = json!({ "mcp": { "gone": { "type": "local", "command": ["/no/such/program"] } } });
    fs::write(world.path("project/opencode.json"), mcp.to_string()).unwrap();
    let elsewhere = world.directory("elsewhere");
    let jobs = || {
        [
            world.job("Plain."),
            requiring(world.job("Gone."), "gone"),
            requiring(world.job("Elsewhere.").with_directory(&elsewhere), "gone"),
            world.job("Fine.").with_directory(&elsewhere),
        ]
    };
    let played = world.run(BatchRequest::new(jobs())).await;
    let ends = ["completed", "mcp_unavailable", "mcp_unavailable", "completed"];
    assert_eq!(played.ends(), ends);
    assert_eq!(played.servers(), 1, "the requirement is no setting of the server");
    let texts = |no: usize| {
        let error = played.report.jobs[no].error.as_ref().unwrap();
        assert!(matches!(error, JobError::McpUnavailable(_)), "{error:?}");
        error.to_string()
    };
    assert!(texts(1).starts_with("a required MCP server `gone`: failed: ENOENT"), "{}", texts(1));
    assert_eq!(texts(2), "a required MCP server `gone`: no config names the server");
    let [Warning::McpUnavailable(server)] = &played.report.jobs[0].warnings[..] else {
        panic!("{:?}", played.report.jobs[0])
    };
    assert_eq!(server.name, "gone");
    assert!(played.report.jobs[3].warnings.is_empty(), "{:?}", played.report.jobs[3]);
    let mut prompts = world.prompts();
    prompts.sort();
    assert_eq!(prompts, ["Fine.", "Plain."]);

    // A given server is asked as well.
    let request = ServeRequest::new()
        .with_config(world.config())
        .with_directory(world.path("project"))
        .with_credentials(Credentials::new("given"));
    let server = world.opencode.serve(request).await.unwrap();
    let attach = AttachRequest::new(server.url()).with_credentials(Credentials::new("given"));
    let directory = world.path("project");
    let jobs =
        ["gone", "other"].map(|name| requiring(Job::new(name).with_directory(&directory), name));
    let request = BatchRequest::new(jobs).with_servers([GivenServer::new(attach)]);
    let played = world.run(request).await;
    assert_eq!(played.ends(), ["mcp_unavailable", "mcp_unavailable"]);
    server.stop().await.unwrap();
}
