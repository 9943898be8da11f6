//! Batches on running servers.

use std::time::Instant;

use opencode_tokio::batch::{GivenServer, JobError};
use opencode_tokio::config::{Credentials, ServeFlags};
use opencode_tokio::{
    AttachRequest, BatchEvent, BatchRequest, Job, Permissions, ServeRequest, Server, TurnEnd,
};
use testkit::model::{Reply, Script};

use crate::world::{BatchWorld, kill, play, until};

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

#[tokio::test]
async fn a_dead_server_is_given_up_in_seconds_and_its_slots_are_free() {
    let world = BatchWorld::new().await;
    world.model.default_script(Script::new().then(Reply::new().text("Fine.")).repeat_last());
    world.model.script("lost", Reply::new().text("Begun").stall());
    world.model.script("held", Reply::new().text("Begun").stall());
    let (one, other) = (serve(&world).await, serve(&world).await);
    let jobs = ["A [[lost]]", "B [[held]]", "C", "D", "E"].map(Job::new);
    let request = BatchRequest::new(jobs).with_concurrency(2);
    let mut batch = world.opencode.batch(request.with_servers([given(&one), given(&other)]));
    let (mut speaking, mut server_of) = ([None, None], [None, None]);
    while speaking.contains(&None) {
        let event = until(&mut batch, |event| {
            matches!(event, BatchEvent::JobStarted { .. } | BatchEvent::JobEvent { .. })
        });
        match event.await {
            BatchEvent::JobStarted { job, server, .. } => server_of[job.0] = Some(server.0),
            BatchEvent::JobEvent { job, event, .. } if event.text().is_some() => {
                speaking[job.0] = Some(());
            }
            _ => {}
        }
    }
    // The server that is reached first has the first job.
    assert_ne!(server_of[0], server_of[1]);
    let (dead, alive) = if server_of[0] == Some(0) { (one, other) } else { (other, one) };
    kill(dead.process_id().unwrap());
    let killed = Instant::now();
    // Both slots are taken, and one job stays. So the other jobs need the slot of the dead server.
    let next = until(&mut batch, |event| matches!(event, BatchEvent::JobStarted { .. })).await;
    let BatchEvent::JobStarted { job, server, .. } = next else { unreachable!() };
    assert_eq!((job.0, Some(server.0)), (2, server_of[1]));
    let freed = killed.elapsed();
    let mut ended = Vec::new();
    while ended.len() < 4 {
        let event = until(&mut batch, |event| matches!(event, BatchEvent::JobEnded(_)));
        if let BatchEvent::JobEnded(report) = event.await {
            ended.push((report.no.0, report.record.end.clone(), killed.elapsed()));
        }
    }
    ended.sort();
    let (no, end, after) = &ended[0];
    assert!((*no, &**end) == (0, "server_lost") && after.as_secs() < 40, "{ended:?}");
    assert!(freed < *after, "the slot was free after {freed:?}, the job ended after {after:?}");
    assert!(ended[1..].iter().all(|(_, end, _)| end == "completed"), "{ended:?}");
    batch.cancel();
    let report = batch.outcome().await.unwrap();
    let lost = report.jobs[0].error.as_ref().unwrap();
    assert!(matches!(lost.end(), Some(TurnEnd::ServerLost { .. })), "{lost:?}");
    assert_eq!(report.jobs[1].record.end, "cancelled");
    alive.stop().await.unwrap();
}
