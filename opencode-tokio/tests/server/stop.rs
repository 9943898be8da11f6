//! Stopping a server.

use std::io::{Read, Write};
use std::net::TcpStream;

use opencode_tokio::{Credentials, Exit, ServeEnd, ServeSettings, Server};
use testkit::fake::{Behavior, Signal};
use testkit::model::{Reply as Answer, Script as Play};
use testkit::processes::{LeakCheck, eventually};
use testkit::server::{Reply, Script};

use crate::fake_world::{World as FakeWorld, poll_once};
use crate::pretended::{answering, answering_with, ready, request, request_with, serve, stubborn};
use crate::start;
use crate::world::{LONG, World, bash, permit, processes_of};

/// What the tool of [`working`] is.
const TOOL: [&str; 2] = ["sleep", "300"];

#[tokio::test]
async fn a_server_whose_tool_works_leaves_nothing() {
    let _permit = permit().await;
    let world = World::new();
    let check = LeakCheck::new(world.path("temp")).unwrap();
    let server = working(&world).await;

    let (one, other) = (server.clone(), server.clone());
    let (one, other) = tokio::join!(one.stop(), other.stop());

    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.outcome, other.outcome);
    assert_eq!(one.outcome.unwrap().end, ServeEnd::Stopped);
    assert_eq!(one.aborted.len(), 1);
    check.assert_nothing_added();
    world.assert_nothing_left();
    assert!(!server.is_running());
    server.stop().await.unwrap();

    let server = working(&world).await;
    drop(server);
    check.assert_nothing_added();
    world.assert_nothing_left();
}

/// A server, a tool of which works.
async fn working(world: &World) -> Server {
    world.model.default_script(Play::new().then(Answer::new().tool("bash", bash("sleep 300"))));
    let request = start::request(world).with_credentials(Credentials::new("pw"));
    let server = world.opencode.serve(request).await.unwrap();
    let (url, root) = (server.url(), world.root());
    let work = move || {
        let session = post(&url, "/session", r#"{"title":"a test"}"#);
        let session: serde_json::Value = serde_json::from_str(&session).unwrap();
        let path = format!("/session/{}/prompt_async", session["id"].as_str().unwrap());
        post(&url, &path, r#"{"parts":[{"type":"text","text":"Sleep."}]}"#);
        eventually(LONG, || {
            let processes = processes_of(&root);
            let works = processes.iter().any(|process| process.cmdline == TOOL);
            if works { Ok(()) } else { Err(processes) }
        });
    };
    tokio::task::spawn_blocking(work).await.unwrap();
    server
}

/// Asks the server with the password `pw`, past the client.
fn post(url: &str, path: &str, body: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         authorization: Basic b3BlbmNvZGU6cHc=\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 20"), "{reply}");
    reply.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn one_that_swallows_signals_is_asked_twice_and_killed() {
    let server = answering();
    let world = FakeWorld::new(stubborn(&server));
    let running = serve(&world).await;
    let report = running.stop().await.unwrap();
    let outcome = report.outcome.unwrap();
    assert_eq!((outcome.end, outcome.exit), (ServeEnd::Stopped, Some(Exit::Signal(9))));
    world.assert_nothing_left();
}

#[tokio::test]
async fn busy_sessions_are_aborted_first() {
    let busy = serde_json::json!({ "ses_1": { "type": "busy" }, "ses_2": { "type": "idle" } });
    let server = answering_with(Script::new().on("GET", "/session/status", [Reply::json(busy)]));
    let world = FakeWorld::new(ready(Behavior::new(), &server).hang());
    let report = serve(&world).await.stop().await.unwrap();
    assert_eq!(report.aborted.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["ses_1"]);
    assert_eq!(server.requests_to("POST", "/session/ses_1/abort").len(), 1);
    assert_eq!(server.requests_to("POST", "/session/ses_2/abort").len(), 0);
    world.assert_nothing_left();
}

#[tokio::test]
async fn a_server_that_answers_no_more_is_ended_all_the_same() {
    let server = answering_with(Script::new().on("GET", "/session/status", [Reply::never()]));
    let world = FakeWorld::new(ready(Behavior::new().ignore(Signal::Terminate), &server).hang());
    let report = serve(&world).await.stop().await.unwrap();
    assert_eq!(report.outcome.unwrap().end, ServeEnd::Stopped);
    assert!(report.aborted.is_empty(), "{:?}", report.aborted);
    world.assert_nothing_left();
}

#[tokio::test]
async fn a_flood_of_output_holds_nothing_up_and_is_not_kept() {
    let server = answering();
    let flood = b"0123456789abcde\n".repeat(1 << 18);
    let behavior = ready(Behavior::new(), &server)
        .stdout_raw(&*flood)
        .stderr_raw(&*flood)
        .stdout_raw("the end of the output\n")
        .stderr_raw("the end of the errors\n")
        .exit(4);
    let world = FakeWorld::new(behavior);
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

#[tokio::test]
async fn one_that_has_ended_by_itself_can_be_stopped() {
    let server = answering();
    let world = FakeWorld::new(ready(Behavior::new(), &server).pause_until("go").exit(0));
    let running = world.opencode.serve(request(&world)).await.unwrap();
    world.fake.open("go").unwrap();
    assert_eq!(running.exited().await.exit, Some(Exit::Code(0)));
    assert_eq!(world.private_dirs().len(), 1, "until it is stopped or dropped");
    let report = running.stop().await.unwrap();
    assert_eq!(report.outcome.unwrap().end, ServeEnd::Exited);
    assert_eq!(server.requests_to("GET", "/session/status").len(), 0);
    world.assert_nothing_left();
}

#[tokio::test]
async fn a_stop_that_was_given_up_can_be_asked_for_again() {
    let server = answering();
    let world = FakeWorld::new(stubborn(&server));
    let running = serve(&world).await;
    // Given up in every phase there is: each stop gets a little further.
    let mut polls = 0;
    while running.is_running() {
        polls += 1;
        let mut stop = Box::pin(running.stop());
        for _ in 0..polls {
            if poll_once(stop.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let report = running.stop().await.unwrap();
    assert_eq!(report.outcome.unwrap().end, ServeEnd::Stopped);
    world.assert_nothing_left();
}
