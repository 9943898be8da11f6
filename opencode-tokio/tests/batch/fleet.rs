//! Batches on running servers.

use opencode_tokio::batch::{GivenServer, JobError};
use opencode_tokio::config::{Credentials, ServeFlags};
use opencode_tokio::{
    AttachRequest, BatchEvent, BatchRequest, Job, Permissions, ServeRequest, Server,
};
use testkit::model::{Reply, Script};

use crate::world::{BatchWorld, play};

const PASSWORD: &str = "the password of the fleet";

async fn serve(world: &BatchWorld) -> Server {
    let request = ServeRequest::new()
        .with_directory(world.path("project"))
        .with_config(world.config())
        .with_flags(ServeFlags::new().with_credentials(Credentials::new(PASSWORD)));
    world.opencode.serve(request).await.unwrap()
}

fn given(server: &Server) -> GivenServer {
    let attach = AttachRequest::new(server.url()).with_credentials(Credentials::new(PASSWORD));
    GivenServer::new(attach)
}

#[tokio::test]
async fn jobs_use_free_servers_and_avoid_dead_ones() {
    let world = BatchWorld::new().await;
    world.model.default_script(Script::new().then(Reply::new().text("Fine.")).repeat_last());
    let (one, other) = (serve(&world).await, serve(&world).await);
    let jobs: Vec<_> = (0..6).map(|no| Job::new(format!("Job {no}"))).collect();
    let servers = [given(&one), given(&other), GivenServer::new("http://127.0.0.1:1")];
    let played = play(world.opencode.batch(BatchRequest::new(jobs).with_servers(servers))).await;
    assert_eq!(played.ends(), ["completed"; 6]);
    let mut per_server = [0, 0, 0];
    for event in &played.events {
        if let BatchEvent::JobStarted { server, .. } = event {
            per_server[server.0] += 1;
        }
    }
    assert!(per_server[0] >= 1 && per_server[1] >= 1 && per_server[2] == 0, "{per_server:?}");
    // A batch does not stop given servers.
    assert!(one.is_running() && other.is_running());

    // One of two servers dies: all jobs run on the other.
    one.stop().await.unwrap();
    let jobs: Vec<_> = (0..3).map(|no| Job::new(format!("More {no}"))).collect();
    let request = BatchRequest::new(jobs).with_servers([given(&one), given(&other)]);
    let played = play(world.opencode.batch(request)).await;
    assert_eq!(played.ends(), ["completed"; 3]);

    // A job with a setting that a running server cannot change is refused; the others run.
    let asks = Job::new("Asks").with_config(
        opencode_tokio::RunConfig::new().with_permission(Permissions::new().deny("bash")),
    );
    let request = BatchRequest::new([asks, Job::new("Plain")]).with_servers([given(&other)]);
    let played = play(world.opencode.batch(request)).await;
    assert_eq!(played.ends(), ["setting", "completed"]);
    let error = played.report.jobs[0].error.as_ref().unwrap();
    assert!(matches!(error, JobError::Setting { setting: "permissions", .. }), "{error:?}");
    other.stop().await.unwrap();
}
