//! Blocking servers, sessions and batches, and the background thread between calls.

use std::thread;
use std::time::Duration;

use opencode_tokio::batch::GivenServer;
use opencode_tokio::event::ServerEventKind;
use opencode_tokio::server::{ServeEnd, ServerNews};
use opencode_tokio::{
    AttachError, AttachRequest, BatchEvent, BatchRequest, CreateSession, RunError, ServeError,
    TurnEnd, blocking,
};
use serde_json::json;
use testkit::conformance::serve::{answering, request, stubborn};
use testkit::fake::Behavior;
use testkit::server::{FakeServer, ServerReply, ServerScript, turn_events};

use crate::world;

/// Plays the answer to the `n`th prompt.
fn answer(fake: &FakeServer, n: usize, text: &str) {
    let prompts = fake.wait_for_requests("POST", "/session/{id}/prompt_async", n);
    let message = prompts[n - 1].json()["messageID"].as_str().unwrap().to_owned();
    for event in turn_events("ses_1", &message, text) {
        fake.send_event(&event);
    }
}

fn attached(fake: &FakeServer) -> blocking::Server {
    blocking::opencode().unwrap().attach(AttachRequest::new(fake.url())).unwrap()
}

#[test]
fn a_turn_is_an_iterator_of_events_with_an_outcome() {
    let fake = FakeServer::start(ServerScript::new()).unwrap();
    let server = attached(&fake);
    assert_eq!((server.url(), server.is_running()), (fake.url(), true));
    let session = server.create_session(CreateSession::new()).unwrap();
    // The session keeps the client of the server alive.
    drop(server);
    thread::scope(|scope| {
        scope.spawn(|| answer(&fake, 1, "Hello you."));
        let mut turn = session.send("Hello?");
        let text: String =
            turn.by_ref().filter_map(|event| Some(event.text()?.into_owned())).collect();
        assert_eq!(text, "Hello you.");
        let outcome = turn.outcome().unwrap();
        assert_eq!(outcome.text(), "Hello you.");
        assert!(matches!(outcome.end, TurnEnd::Completed), "{:?}", outcome.end);
    });
    thread::scope(|scope| {
        scope.spawn(|| answer(&fake, 2, "Still here."));
        assert_eq!(session.ask("And now?").unwrap(), "Still here.");
    });
}

#[test]
fn events_arrive_between_calls() {
    let fake = FakeServer::start(ServerScript::new()).unwrap();
    let server = attached(&fake);
    let mut events = server.events();
    // The background thread of the handle opens the stream, without any call here.
    fake.wait_for_events(1);
    fake.send_event(r#"{"id":"evt_1","type":"server.imagined","properties":{}}"#);
    let event = events
        .find_map(|news| if let ServerNews::Event(event) = news { Some(event) } else { None });
    assert!(matches!(&event.unwrap().kind, ServerEventKind::Unknown { .. }));
    drop((server, events));
}

#[test]
fn a_started_server_lives_as_long_as_its_sessions() {
    let answering = answering();
    let (world, opencode) = world(stubborn(&answering));
    let server = opencode.serve(request(&world)).unwrap();
    drop(opencode);
    let session = server.create_session(CreateSession::new()).unwrap();
    assert_eq!((world.call().started.len(), world.private_dirs().len()), (2, 1));
    drop(server);
    assert_eq!(world.private_dirs().len(), 1);
    drop(session);
    world.assert_nothing_left();
    assert_eq!(world.guardians(), []);
}

#[test]
fn a_stopped_server_reports_its_end() {
    let answering = answering();
    let (world, opencode) = world(stubborn(&answering));
    let server = opencode.serve(request(&world)).unwrap();
    assert!(server.is_running() && server.health().unwrap().healthy);
    assert_eq!(server.stop().unwrap().outcome.unwrap().end, ServeEnd::Stopped);
    assert!(!server.is_running());
    assert_eq!(server.exited().end, ServeEnd::Stopped);
    world.assert_nothing_left();
}

#[test]
fn a_batch_is_an_iterator_of_events_with_a_report() {
    let fake = FakeServer::start(ServerScript::new()).unwrap();
    let given = GivenServer::new(AttachRequest::new(fake.url()));
    let opencode = blocking::opencode().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| answer(&fake, 1, "Hello you."));
        let mut batch = opencode.batch(BatchRequest::new(["Hello?"]).with_servers([given]));
        let ended = batch.by_ref().filter(|event| matches!(event, BatchEvent::JobEnded(_))).count();
        let report = batch.outcome().unwrap();
        assert_eq!((ended, report.jobs.len()), (1, 1));
        assert_eq!(report.jobs[0].text(), "Hello you.");
        assert!(report.elapsed > Duration::ZERO);
    });
}

#[test]
fn a_program_or_server_of_another_line_is_refused() {
    let fake = FakeServer::start(ServerScript::new()).unwrap();
    let health = json!({ "healthy": true, "version": "2.0.12" });
    fake.on("GET", "/global/health", [ServerReply::json(health)]);
    let error = blocking::opencode().unwrap().attach(fake.url()).unwrap_err();
    assert!(matches!(error, AttachError::Version { .. }), "{error:?}");

    let (world, opencode) = world(Behavior::new());
    world.fake.set_version("opencode v2.0.12").unwrap();
    let error = opencode.run(world.request()).unwrap_err();
    assert!(matches!(error, RunError::Version(_)), "{error:?}");
    let error = opencode.serve(request(&world)).unwrap_err();
    assert!(matches!(error, ServeError::Version(_)), "{error:?}");
    assert_eq!(world.calls().len(), 0);
}
