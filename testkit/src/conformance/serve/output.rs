//! Output of servers, and the limit of a start.

use std::time::Duration;

use opencode_client::server::{OutputStream, ServeSettings, ServerOutput, ServerOutputEvent};

use opencode_client::{BatchEvent, BatchRequest, Job, ServeRequest};

use super::{answering, ready, request, request_with};
use crate::conformance::Host;
use crate::conformance::world::ProgramWorld;
use crate::fake::Behavior;

async fn next_line(output: &mut ServerOutput) -> Option<(OutputStream, String)> {
    loop {
        if let ServerOutputEvent::Line { stream, text, .. } = output.next_event().await? {
            return Some((stream, text));
        }
    }
}

pub(crate) async fn is_read_while_the_server_starts_and_runs(on: &Host) {
    let server = answering();
    let begin = Behavior::new().stderr_line("downloading").pause_until("go");
    let behavior = ready(begin, &server).stderr_line("a warning").hang();
    let world = ProgramWorld::new(on, behavior);
    let mut output = ServerOutput::new();
    let (opencode, request) = (world.opencode.clone(), request(&world).with_output(&output));
    let serving = on.spawn(async move { opencode.serve(request).await });
    let first = next_line(&mut output).await.unwrap();
    assert_eq!(first, (OutputStream::Stderr, "downloading".to_owned()));
    assert!(!serving.is_over());
    world.fake.open("go").unwrap();
    let mut lines = vec![next_line(&mut output).await.unwrap()];
    lines.push(next_line(&mut output).await.unwrap());
    assert!(lines.contains(&(OutputStream::Stderr, "a warning".to_owned())), "{lines:?}");
    serving.await.unwrap().stop().await.unwrap();
    assert_eq!(next_line(&mut output).await, None);
}

pub(crate) async fn is_kept_for_late_readers(on: &Host) {
    let server = answering();
    let world = ProgramWorld::new(on, ready(Behavior::new().stdout_line("one"), &server).hang());
    let running = world.opencode.serve(request(&world)).await.unwrap();
    let mut output = running.output().unwrap();
    running.stop().await.unwrap();
    assert_eq!(next_line(&mut output).await.unwrap(), (OutputStream::Stdout, "one".to_owned()));
    assert!(next_line(&mut output).await.unwrap().1.contains("listening on"));
    assert_eq!(next_line(&mut output).await, None);
}

pub(crate) async fn a_busy_start_is_not_given_up(on: &Host) {
    let server = answering();
    // Some seconds of work without output.
    let world = ProgramWorld::new(on, ready(Behavior::new().work(300_000), &server).hang());
    let settings = ServeSettings::new().with_start_limit(Duration::from_millis(300));
    let mut output = ServerOutput::new();
    let request = request_with(&world, settings).with_output(&output);
    let running = world.opencode.serve(request).await.unwrap();
    let first = output.next_event().await;
    assert!(matches!(first, Some(ServerOutputEvent::Starting { .. })), "{first:?}");
    running.stop().await.unwrap();
}

pub(crate) async fn a_batch_reports_the_progress_of_its_servers(on: &Host) {
    let server = answering();
    let world = ProgramWorld::new(on, ready(Behavior::new().work(300_000), &server).hang());
    let settings = ServeSettings::new().with_start_limit(Duration::from_millis(300));
    let mut output = ServerOutput::new();
    let serve = ServeRequest::new().with_settings(settings).with_output(&output);
    let job = Job::new("Hello?").with_directory(world.path("project"));
    let mut batch = world.opencode.batch(BatchRequest::new([job]).with_serve(serve));
    let mut names = Vec::new();
    while let Some(event) = batch.next_event().await {
        names.push(match event {
            BatchEvent::ServerStarting(_) => "starting",
            BatchEvent::ServerStartProgress { .. } => "progress",
            BatchEvent::ServerReady { .. } => "ready",
            _ => continue,
        });
        if names.last() == Some(&"ready") {
            break;
        }
    }
    drop(batch);
    names.dedup();
    assert_eq!(names, ["starting", "progress", "ready"]);
    // The output of the request has the events of all servers.
    let first = output.next_event().await;
    assert!(matches!(first, Some(ServerOutputEvent::Starting { .. })), "{first:?}");
}
