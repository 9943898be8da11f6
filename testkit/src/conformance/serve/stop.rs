//! Stopping a server.

use opencode_client::run::Exit;
use opencode_client::server::{ServeEnd, ServeSettings};

use super::fake_program::{
    answering, answering_with, ready, request, request_with, serve, stubborn,
};
use crate::conformance::world::{ProgramWorld, poll_once};
use crate::conformance::{Host, yield_now};
use crate::fake::{Behavior, Signal};
use crate::server::{ServerReply, ServerScript};

pub(crate) async fn a_server_that_ignores_sigterm_is_killed(on: &Host) {
    let server = answering();
    let world = ProgramWorld::new(on, stubborn(&server));
    let running = serve(&world).await;
    let report = running.stop().await.unwrap();
    let outcome = report.outcome.unwrap();
    assert_eq!((outcome.end, outcome.exit), (ServeEnd::Stopped, Some(Exit::Signal(9))));
    world.assert_nothing_left();
}

pub(crate) async fn busy_sessions_are_aborted_first(on: &Host) {
    let busy = serde_json::json!({ "ses_1": { "type": "busy" }, "ses_2": { "type": "idle" } });
    let server =
        answering_with(ServerScript::new().on("GET", "/session/status", [ServerReply::json(busy)]));
    let world = ProgramWorld::new(on, ready(Behavior::new(), &server).hang());
    let report = serve(&world).await.stop().await.unwrap();
    assert_eq!(report.aborted.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["ses_1"]);
    assert_eq!(server.requests_to("POST", "/session/ses_1/abort").len(), 1);
    assert_eq!(server.requests_to("POST", "/session/ses_2/abort").len(), 0);
    world.assert_nothing_left();
}

pub(crate) async fn a_server_that_does_not_reply_is_ended(on: &Host) {
    let server =
        answering_with(ServerScript::new().on("GET", "/session/status", [ServerReply::never()]));
    let world =
        ProgramWorld::new(on, ready(Behavior::new().ignore(Signal::Terminate), &server).hang());
    let report = serve(&world).await.stop().await.unwrap();
    assert_eq!(report.outcome.unwrap().end, ServeEnd::Stopped);
    assert!(report.aborted.is_empty(), "{:?}", report.aborted);
    world.assert_nothing_left();
}

pub(crate) async fn a_flood_of_output_delays_nothing_and_keeps_its_tail(on: &Host) {
    let server = answering();
    let flood = b"0123456789abcde\n".repeat(1 << 18);
    let behavior = ready(Behavior::new(), &server)
        .stdout_raw(&*flood)
        .stderr_raw(&*flood)
        .stdout_raw("the end of the output\n")
        .stderr_raw("the end of the errors\n")
        .exit(4);
    let world = ProgramWorld::new(on, behavior);
    let settings = ServeSettings::new().with_output_size_max(1 << 10);
    let request = request_with(&world, settings);
    let running = world.opencode.serve(request).await.unwrap();
    let outcome = running.exited().await;
    assert_eq!((&outcome.end, outcome.exit), (&ServeEnd::Exited, Some(Exit::Code(4))));
    assert_eq!((outcome.stdout.len(), outcome.stderr.len()), (1 << 10, 1 << 10));
    assert!(outcome.stdout.ends_with("abcde\nthe end of the output\n"), "{}", outcome.stdout);
    assert!(outcome.stderr.ends_with("abcde\nthe end of the errors\n"), "{}", outcome.stderr);
    running.stop().await.unwrap();
    world.assert_nothing_left();
}

pub(crate) async fn a_server_that_exited_can_be_stopped(on: &Host) {
    let server = answering();
    let world = ProgramWorld::new(on, ready(Behavior::new(), &server).pause_until("go").exit(0));
    let running = world.opencode.serve(request(&world)).await.unwrap();
    world.fake.open("go").unwrap();
    assert_eq!(running.exited().await.exit, Some(Exit::Code(0)));
    assert_eq!(world.private_dirs().len(), 1, "kept until the server is stopped or dropped");
    let report = running.stop().await.unwrap();
    assert_eq!(report.outcome.unwrap().end, ServeEnd::Exited);
    assert_eq!(server.requests_to("GET", "/session/status").len(), 0);
    world.assert_nothing_left();
}

pub(crate) async fn a_dropped_stop_can_be_repeated(on: &Host) {
    let server = answering();
    let world = ProgramWorld::new(on, stubborn(&server));
    let running = serve(&world).await;
    // Each stop is polled once more than the one before, so that every phase is dropped once.
    let mut polls = 0;
    while running.is_running() {
        polls += 1;
        let mut stop = Box::pin(running.stop());
        for _ in 0..polls {
            if poll_once(stop.as_mut()).is_ready() {
                break;
            }
            yield_now().await;
        }
    }
    let report = running.stop().await.unwrap();
    assert_eq!(report.outcome.unwrap().end, ServeEnd::Stopped);
    world.assert_nothing_left();
}
