//! Event streams and prompts that the server refuses or does not reply to.

use opencode_client::batch::{GivenServer, JobError};
use opencode_client::config::Credentials;
use opencode_client::event::ApiErrorKind;
use opencode_client::server::{EventStream, HubEnd, ServerNews};
use opencode_client::turn::{AttachmentFault, PromptFile};
use opencode_client::{AttachError, AttachRequest, BatchRequest, Job, Prompt, TurnEnd, TurnError};
use serde_json::json;

use super::world::{TurnWorld, patient};
use crate::conformance::Host;
use crate::server::{ServerReply, ServerScript};

/// Runs a turn whose event stream is refused for good. Returns the kind of the error.
async fn refused_stream(on: &Host, reply: ServerReply) -> ApiErrorKind {
    let world = TurnWorld::new(on, ServerScript::new().on("GET", "/event", [reply])).await;
    let played = world.begin("Hello?").await;
    let Err(TurnError::Events(HubEnd::Refused(error))) = played.result else {
        panic!("{:?}", played.result)
    };
    assert!(played.events.is_empty(), "{:?}", played.events);
    assert_eq!((world.count("GET", "/event"), world.posts()), (1, 0));
    error.kind
}

pub(crate) async fn an_unauthorized_event_stream_is_not_retried(on: &Host) {
    assert_eq!(refused_stream(on, ServerReply::status(401)).await, ApiErrorKind::Unauthorized);
    let forbidden = refused_stream(on, ServerReply::status(403)).await;
    assert!(matches!(forbidden, ApiErrorKind::Forbidden { .. }), "{forbidden:?}");
}

pub(crate) async fn a_wrong_password_is_an_error_of_attach(on: &Host) {
    let locked = ServerScript::new().with_password("opencode", "right");
    let locked = crate::server::FakeServer::start(locked).unwrap();
    let wrong = AttachRequest::new(locked.url()).with_credentials(Credentials::new("wrong"));
    let error = on.opencode().attach(wrong).await.unwrap_err();
    assert!(matches!(error, AttachError::Unauthorized { .. }), "{error:?}");
    assert_eq!(locked.requests().len(), 1);
}

pub(crate) async fn a_failing_event_stream_is_retried(on: &Host) {
    let failing = [
        ServerReply::status(500),
        ServerReply::status(429),
        ServerReply::close(),
        ServerReply::unscripted(),
    ];
    let world = TurnWorld::new(on, ServerScript::new().on("GET", "/event", failing)).await;
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    assert_eq!(world.count("GET", "/event"), 4);
    world.send(world.events_of(&message, "Hello you."));
    let played = turn.await;
    played.assert_answer("Hello you.");
    assert_eq!(played.outcome().gaps, 0);
}

pub(crate) async fn a_missing_global_stream_falls_back_to_the_directory_stream(on: &Host) {
    for missing in [
        ServerReply::new(200, "text/html", "<!doctype html>"),
        ServerReply::error(404, json!({ "name": "NotFoundError", "data": { "message": "no" } })),
    ] {
        let script = ServerScript::new().on("GET", "/global/event", [missing]);
        let world =
            TurnWorld::with_events(on, script, patient().with_stream(EventStream::Global)).await;
        let mut events = world.server.events();
        let first = events.next_event().await;
        assert!(matches!(first, Some(ServerNews::Opened)), "{first:?}");
        world.send([world.event("session.idle", json!({}))]);
        let Some(ServerNews::Event(event)) = events.next_event().await else { panic!("no event") };
        assert_eq!(event.session.as_ref(), Some(world.session.id()));
        assert_eq!((world.count("GET", "/global/event"), world.count("GET", "/event")), (1, 1));
    }
}

/// OpenCode publishes `server.connected` too early on the global event stream.
pub(crate) async fn a_turn_is_followed_in_the_directory_of_its_session(on: &Host) {
    let world = TurnWorld::new(on, ServerScript::new().with_directory("/else where")).await;
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    world.send(world.events_of(&message, "Hello you."));
    turn.await.assert_answer("Hello you.");
    let streams = world.fake.requests_to("GET", "/event");
    let directories: Vec<_> =
        streams.iter().map(|request| request.header("x-opencode-directory")).collect();
    assert_eq!(directories, [Some("%2Felse%20where")]);
    assert_eq!(world.count("GET", "/global/event"), 0);
}

pub(crate) async fn a_server_without_event_streams_is_an_error(on: &Host) {
    let page = ServerReply::new(200, "text/html", "<!doctype html>");
    let world = TurnWorld::new(on, ServerScript::new().on("GET", "/event", [page])).await;
    let played = world.begin("Hello?").await;
    let error = played.result.unwrap_err();
    let TurnError::Events(HubEnd::Refused(refused)) = &error else { panic!("{error:?}") };
    assert_eq!(refused.kind, ApiErrorKind::UnknownRoute);
    assert_eq!((world.count("GET", "/event"), world.posts()), (1, 0));
}

pub(crate) async fn a_refused_prompt_is_not_retried(on: &Host) {
    let named =
        |name: &str| json!({ "name": name, "data": { "message": "No.", "kind": "Payload" } });
    let cases = [
        (ServerReply::error(400, named("BadRequest")), "bad request"),
        (ServerReply::new(415, "text/plain", "No."), "bad request"),
        (ServerReply::error(404, named("NotFoundError")), "not found"),
        (ServerReply::error(409, json!({ "_tag": "SessionBusyError", "message": "No." })), "busy"),
        (ServerReply::error(429, named("TooMany")).with_header("retry-after", "1"), "too many"),
        (ServerReply::error(500, named("UnknownError")), "server"),
        (ServerReply::status(503), "unavailable"),
        (ServerReply::status(401), "unauthorized"),
        (ServerReply::new(200, "text/html", "<!doctype html>"), "unknown route"),
    ];
    for (reply, kind) in cases {
        let world = TurnWorld::new(on, ServerScript::new()).await;
        world.fake.on("POST", "/session/{id}/prompt_async", [reply, ServerReply::unscripted()]);
        let played = world.begin("Hello?").await;
        let TurnEnd::Refused(error) = &played.outcome().end else { panic!("{:?}", played.result) };
        assert_eq!(name(&error.kind), kind);
        assert_eq!((world.posts(), world.aborts()), (1, 0), "{kind}");
        let again = world.begin("Again?");
        let message = world.wait_for_prompt(2).await;
        world.send(world.events_of(&message, "Yes."));
        again.await.assert_answer("Yes.");
    }
}

pub(crate) async fn a_prompt_without_a_reply_may_have_arrived(on: &Host) {
    let world = TurnWorld::new(on, ServerScript::new()).await;
    world.fake.on("POST", "/session/{id}/prompt_async", [ServerReply::never()]);
    let (turn, message) = world.begin_and_wait_for_prompt("Hello?").await;
    world.send(world.events_of(&message, "Hello you."));
    turn.await.assert_answer("Hello you.");
    assert_eq!(world.posts(), 1);
}

fn name(kind: &ApiErrorKind) -> &'static str {
    match kind {
        ApiErrorKind::BadRequest { .. } => "bad request",
        ApiErrorKind::Busy { .. } => "busy",
        ApiErrorKind::NotFound { .. } => "not found",
        ApiErrorKind::Server { .. } => "server",
        ApiErrorKind::TooManyRequests { .. } => "too many",
        ApiErrorKind::Unauthorized => "unauthorized",
        ApiErrorKind::Unavailable { .. } => "unavailable",
        ApiErrorKind::UnknownRoute => "unknown route",
        _ => "another",
    }
}

pub(crate) async fn a_file_that_is_no_image_is_not_posted(on: &Host) {
    let world = TurnWorld::new(on, ServerScript::new()).await;
    let prompt = || Prompt::from("Look.").with_part(PromptFile::bytes("logo.png", "text"));
    let error = world.session.ask(prompt()).await.unwrap_err();
    let TurnError::Attachment(attachment) = &error else { panic!("{error:?}") };
    assert_eq!(attachment.name, "logo.png");
    assert!(matches!(attachment.fault, AttachmentFault::WrongType { .. }), "{error}");
    let servers = [GivenServer::new(world.fake.url())];
    let request = BatchRequest::new([Job::new(prompt())]).with_servers(servers);
    let report = on.opencode().batch(request).outcome().await.unwrap();
    let error = report.jobs[0].error.as_ref().unwrap();
    assert!(matches!(error, JobError::Attachment(_)), "{error:?}");
    assert_eq!((error.name(), world.posts()), ("attachment", 0));
}
