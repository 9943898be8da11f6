//! Servers that do not start.

use std::error::Error;
use std::time::Duration;

use opencode_client::{
    Credentials, HealthError, ServeEnd, ServeError, ServeRequest, ServeSettings, StartupRetry,
    UrlError,
};
use serde_json::json;

use super::pretended::{answering, answering_with, ready, request, request_with};
use crate::conformance::Host;
use crate::conformance::world::World;
use crate::fake::{Behavior, Signal};
use crate::server::{ServerReply, ServerScript};

/// What 1.18.33 says when it cannot listen.
const REFUSED: &str = "Error: Unexpected error\n\nServeError";
const LOCKED: &str = "Error: database is locked";

pub(crate) async fn what_never_gets_ready_is_ended_at_the_limit(on: &Host) {
    let behavior = Behavior::new().ignore(Signal::Terminate).stderr_line("still busy").hang();
    let world = World::new(on, behavior);
    let limit = Duration::from_millis(300);
    let settings =
        ServeSettings::new().with_start_limit(limit).with_kill_grace(Duration::from_millis(50));
    let error = world.opencode.serve(request_with(&world, settings)).await.unwrap_err();
    let ServeError::TimedOut { command, stderr, .. } = &error else { panic!("{error:?}") };
    assert_eq!(stderr, "still busy\n");
    assert_eq!(error.to_string(), format!("`{command}` was not ready within 300ms"));
    world.assert_nothing_left();
}

pub(crate) async fn what_is_ready_and_does_not_answer_is_ended_at_the_limit(on: &Host) {
    let server =
        answering_with(ServerScript::new().on("GET", "/global/health", [ServerReply::never()]));
    let world = World::new(on, ready(Behavior::new(), &server).stderr_line("stuck").hang());
    let settings = ServeSettings::new().with_start_limit(Duration::from_millis(300));
    let error = world.opencode.serve(request_with(&world, settings)).await.unwrap_err();
    assert!(matches!(error, ServeError::TimedOut { .. }), "{error:?}");
    assert_eq!(error.stderr(), Some("stuck\n"));
    world.assert_nothing_left();
}

pub(crate) async fn what_says_that_it_is_not_healthy_is_not_used(on: &Host) {
    let sick = ServerReply::json(json!({ "healthy": false, "version": "1.18.33" }));
    let server = answering_with(ServerScript::new().on("GET", "/global/health", [sick]));
    let world = World::new(on, ready(Behavior::new(), &server).hang());
    let error = world.opencode.serve(request(&world)).await.unwrap_err();
    let ServeError::Unhealthy { url, source: HealthError::Unhealthy, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*url, server.url());
    assert_eq!(error.source().unwrap().to_string(), "the server says that it is not healthy");
    world.assert_nothing_left();
}

pub(crate) async fn a_server_that_exits_at_once_is_told_with_all_it_said(on: &Host) {
    let behavior = Behavior::new().stdout_line("hm").stderr_line("Error: no such thing").exit(3);
    let world = World::new(on, behavior);
    let error = world.opencode.serve(request(&world)).await.unwrap_err();
    let ServeError::Ended { command, outcome } = &error else { panic!("{error:?}") };
    assert_eq!(outcome.end, ServeEnd::StartupError { message: "no such thing".into() });
    assert_eq!((&*outcome.stdout, outcome.url.as_deref()), ("hm\n", None));
    assert_eq!(error.to_string(), format!("`{command}`: did not start: no such thing"));
    assert_eq!(world.calls().len(), 1, "no other try");
    world.assert_nothing_left();
}

pub(crate) async fn a_port_that_somebody_else_was_faster_to_take_is_replaced(on: &Host) {
    let server = answering();
    let refused = || Behavior::new().stderr_line(REFUSED).exit(1);
    let world =
        World::with_attempts(on, [refused(), refused(), ready(Behavior::new(), &server).hang()]);
    let running = world.opencode.serve(request(&world)).await.unwrap();
    let calls = world.calls();
    assert_eq!(calls.len(), 3);
    for call in &calls {
        let args: Vec<_> = call.args.iter().map(|arg| arg.to_str().unwrap()).collect();
        let port = args.iter().find_map(|arg| arg.strip_prefix("--port=")).unwrap();
        assert!(!["0", "4096"].contains(&port), "{args:?}");
        assert!(args.contains(&"--hostname=127.0.0.1"), "{args:?}");
    }
    running.stop().await.unwrap();

    let world = World::new(on, refused());
    let error = world.opencode.serve(request(&world)).await.unwrap_err();
    assert!(matches!(error, ServeError::Listen { .. }), "{error:?}");
    assert_eq!(world.calls().len(), 1 + 5);
}

pub(crate) async fn a_database_in_use_is_tried_again(on: &Host) {
    let server = answering();
    let locked = || Behavior::new().stderr_line(LOCKED).exit(1);
    let world = World::with_attempts(on, [locked(), ready(Behavior::new(), &server).hang()]);
    let again = StartupRetry::new(1, Duration::from_millis(1));
    let running = world.opencode.serve(request(&world).with_retry(again)).await.unwrap();
    assert_eq!(world.calls().len(), 2);
    running.stop().await.unwrap();

    let world = World::new(on, locked());
    let error = world.opencode.serve(request(&world).with_retry(again)).await.unwrap_err();
    let ServeError::Ended { outcome, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(outcome.end, ServeEnd::StartupDatabase { .. }), "{outcome:?}");
    assert_eq!(world.calls().len(), 2);
}

pub(crate) async fn what_cannot_be_spoken_to_is_ended(on: &Host) {
    let line = "opencode server listening on https://127.0.0.1:4096";
    let world = World::new(on, Behavior::new().stdout_line(line).hang());
    let error = world.opencode.serve(request(&world)).await.unwrap_err();
    let ServeError::Url { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source, UrlError::Https), "{source:?}");
    world.assert_nothing_left();

    let server = answering();
    let world = World::new(on, ready(Behavior::new(), &server).hang());
    let credentials = Credentials::new("s3cret").with_username("a:b");
    let request = request(&world).with_credentials(credentials);
    let error = world.opencode.serve(request).await.unwrap_err();
    let ServeError::Url { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source, UrlError::Username), "{source:?}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    world.assert_nothing_left();
}

pub(crate) async fn what_cannot_be_passed_on_starts_nothing(on: &Host) {
    let world = World::new(on, Behavior::new());
    let request = ServeRequest::new().with_directory(world.path("nowhere"));
    let error = world.opencode.serve(request).await.unwrap_err();
    let ServeError::Directory { path, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*path, world.path("nowhere"));
    assert_eq!(error.stderr(), None);
    assert_eq!(world.calls().len(), 0);
}
