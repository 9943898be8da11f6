//! Servers that do not start.

use std::error::Error;
use std::time::Duration;

use opencode_client::config::Credentials;
use opencode_client::run::StartupRetry;
use opencode_client::server::{HealthError, ServeEnd, ServeSettings, UrlError};
use opencode_client::{ServeError, ServeRequest};
use serde_json::json;

use super::fake_program::{answering, answering_with, ready, request, request_with};
use crate::conformance::Host;
use crate::conformance::world::ProgramWorld;
use crate::fake::{Behavior, Signal};
use crate::opencode::VERSION;
use crate::server::{ServerReply, ServerScript};

/// Error of OpenCode 1.18.33 when it cannot listen on the port.
const REFUSED: &str = "Error: Unexpected error\n\nServeError";
const LOCKED: &str = "Error: database is locked";

pub(crate) async fn a_server_that_is_never_ready_times_out(on: &Host) {
    let behavior = Behavior::new().ignore(Signal::Terminate).stderr_line("still busy").hang();
    let world = ProgramWorld::new(on, behavior);
    let limit = Duration::from_millis(300);
    let settings =
        ServeSettings::new().with_start_limit(limit).with_kill_grace(Duration::from_millis(50));
    let error = world.opencode.serve(request_with(&world, settings)).await.unwrap_err();
    let ServeError::TimedOut { command, stderr, .. } = &error else { panic!("{error:?}") };
    assert_eq!(stderr, "still busy\n");
    assert_eq!(
        error.to_string(),
        format!("`{command}` (OpenCode {VERSION}) was not ready within 300ms")
    );
    world.assert_nothing_left();
}

pub(crate) async fn a_ready_server_without_health_replies_times_out(on: &Host) {
    let server =
        answering_with(ServerScript::new().on("GET", "/global/health", [ServerReply::never()]));
    let world = ProgramWorld::new(on, ready(Behavior::new(), &server).stderr_line("stuck").hang());
    let settings = ServeSettings::new().with_start_limit(Duration::from_millis(300));
    let error = world.opencode.serve(request_with(&world, settings)).await.unwrap_err();
    assert!(matches!(error, ServeError::TimedOut { .. }), "{error:?}");
    assert_eq!(error.stderr(), Some("stuck\n"));
    world.assert_nothing_left();
}

pub(crate) async fn an_unhealthy_server_is_an_error(on: &Host) {
    let sick = ServerReply::json(json!({ "healthy": false, "version": "1.18.33" }));
    let server = answering_with(ServerScript::new().on("GET", "/global/health", [sick]));
    let world = ProgramWorld::new(on, ready(Behavior::new(), &server).hang());
    let error = world.opencode.serve(request(&world)).await.unwrap_err();
    let ServeError::Unhealthy { url, source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, HealthError::Unhealthy), "{source:?}");
    assert_eq!(*url, server.url());
    assert_eq!(error.source().unwrap().to_string(), "the server reports that it is not healthy");
    world.assert_nothing_left();
}

pub(crate) async fn a_server_that_exits_at_once_is_an_error_with_its_output(on: &Host) {
    let behavior = Behavior::new().stdout_line("hm").stderr_line("Error: no such thing").exit(3);
    let world = ProgramWorld::new(on, behavior);
    let error = world.opencode.serve(request(&world)).await.unwrap_err();
    let ServeError::Ended { command, outcome, .. } = &error else { panic!("{error:?}") };
    assert_eq!(outcome.end, ServeEnd::StartupError { message: "no such thing".into() });
    assert_eq!((&*outcome.stdout, outcome.url.as_deref()), ("hm\n", None));
    assert_eq!(
        error.to_string(),
        format!("`{command}` (OpenCode {VERSION}): the server did not start: no such thing")
    );
    assert_eq!(world.calls().len(), 1, "the start was repeated");
    world.assert_nothing_left();
}

pub(crate) async fn a_port_taken_in_the_meantime_is_replaced(on: &Host) {
    let server = answering();
    let refused = || Behavior::new().stderr_line(REFUSED).exit(1);
    let world = ProgramWorld::with_attempts(
        on,
        [refused(), refused(), ready(Behavior::new(), &server).hang()],
    );
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

    let world = ProgramWorld::new(on, refused());
    let error = world.opencode.serve(request(&world)).await.unwrap_err();
    assert!(matches!(error, ServeError::Listen { .. }), "{error:?}");
    assert_eq!(world.calls().len(), 1 + 5);
}

pub(crate) async fn a_locked_database_is_retried(on: &Host) {
    let server = answering();
    let locked = || Behavior::new().stderr_line(LOCKED).exit(1);
    let world = ProgramWorld::with_attempts(on, [locked(), ready(Behavior::new(), &server).hang()]);
    let again = StartupRetry::new(1, Duration::from_millis(1));
    let running = world.opencode.serve(request(&world).with_retry(again)).await.unwrap();
    assert_eq!(world.calls().len(), 2);
    running.stop().await.unwrap();

    let world = ProgramWorld::new(on, locked());
    let error = world.opencode.serve(request(&world).with_retry(again)).await.unwrap_err();
    let ServeError::Ended { outcome, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(outcome.end, ServeEnd::StartupDatabase { .. }), "{outcome:?}");
    assert_eq!(world.calls().len(), 2);
}

pub(crate) async fn a_server_with_an_unusable_url_is_ended(on: &Host) {
    let line = "opencode server listening on https://127.0.0.1:4096";
    let world = ProgramWorld::new(on, Behavior::new().stdout_line(line).hang());
    let error = world.opencode.serve(request(&world)).await.unwrap_err();
    let ServeError::Url { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source, UrlError::Https), "{source:?}");
    world.assert_nothing_left();

    let server = answering();
    let world = ProgramWorld::new(on, ready(Behavior::new(), &server).hang());
    let credentials = Credentials::new("s3cret").with_username("a:b");
    let request = request(&world).with_credentials(credentials);
    let error = world.opencode.serve(request).await.unwrap_err();
    let ServeError::Url { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source, UrlError::Username), "{source:?}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    world.assert_nothing_left();
}

pub(crate) async fn a_missing_directory_starts_nothing(on: &Host) {
    let world = ProgramWorld::new(on, Behavior::new());
    let request = ServeRequest::new().with_directory(world.path("nowhere"));
    let error = world.opencode.serve(request).await.unwrap_err();
    let ServeError::Directory { path, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*path, world.path("nowhere"));
    assert_eq!(error.stderr(), None);
    assert_eq!(world.calls().len(), 0);
}
