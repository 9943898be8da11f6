//! Attaching to running servers of any version.

use std::net::TcpListener;
use std::time::Duration;

use opencode_client::api::ConfiguredModel;
use opencode_client::process::Version;
use opencode_client::server::{HealthError, HttpLimits, RetryPolicy, UrlError};
use opencode_client::{AttachError, AttachRequest};
use serde_json::json;

use crate::conformance::Host;
use crate::server::{FakeServer, ServerReply, ServerScript};

pub(crate) async fn a_server_of_another_line_is_refused(on: &Host) {
    let page = || ServerReply::new(200, "text/html", "<!doctype html>");
    let missing = || ServerReply::error(404, json!({ "name": "NotFoundError", "data": {} }));
    let version = |version: &str| ServerReply::json(json!({ "version": version, "pid": 7 }));
    let health = |version: &str| ServerReply::json(json!({ "healthy": true, "version": version }));
    let config = || ServerReply::json(json!({ "model": "a/b" }));
    let script = ServerScript::new;
    let next = Some(Version::new(2, 0, 12));
    for (script, found) in [
        (script().on("GET", "/global/health", [health("2.0.12")]), next.clone()),
        (script().on("GET", "/global/health", [health("1.0.224")]), Some(Version::new(1, 0, 224))),
        // OpenCode 2.
        (
            script().on("GET", "/global/health", [page()]).on(
                "GET",
                "/api/info",
                [version("2.0.12")],
            ),
            next,
        ),
        (
            script().on("GET", "/global/health", [missing()]).on(
                "GET",
                "/api/health",
                [version("2.0.1")],
            ),
            Some(Version::new(2, 0, 1)),
        ),
        // Before 1.0.224.
        (script().on("GET", "/global/health", [page()]).on("GET", "/config", [config()]), None),
        (script().on("GET", "/global/health", [missing()]).on("GET", "/config", [config()]), None),
    ] {
        let server = FakeServer::start(script).unwrap();
        let error = on.opencode().attach(server.url()).await.unwrap_err();
        let AttachError::Version { url, unsupported } = &error else { panic!("{error:?}") };
        assert_eq!((url, &unsupported.found), (&server.url(), &found));
        assert!(error.to_string().contains("1.1.65"), "{error}");
        assert_eq!(server.requests_to("POST", "/").len(), 0, "something was sent");
    }
}

pub(crate) async fn a_server_without_a_number_is_accepted(on: &Host) {
    let health = ServerReply::json(json!({ "healthy": true, "version": "local" }));
    let config = ServerReply::json(json!({ "model": "a/b" }));
    let script = ServerScript::new().on("GET", "/global/health", [health]);
    let script = script.on("GET", "/config", [config]);
    let server = FakeServer::start(script).unwrap();
    let limits = HttpLimits::default();
    let request = AttachRequest::new(server.url()).with_directory("/src/a b").with_limits(limits);
    let attached = on.opencode().attach(request).await.unwrap();
    assert_eq!((attached.version(), attached.directory()), (None, Some("/src/a b")));
    assert!(attached.is_running() && attached.warnings().is_empty());
    assert_eq!((attached.process_id(), attached.command()), (None, None));
    attached.call(&ConfiguredModel::new()).await.unwrap();
    let asked = server.requests_to("GET", "/config");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("x-opencode-directory"), Some("%2Fsrc%2Fa%20b"));
}

pub(crate) async fn another_web_server_is_refused(on: &Host) {
    let page = || [ServerReply::new(200, "text/html", "<!doctype html>")];
    let server = FakeServer::start(ServerScript::new().on("GET", "/", page())).unwrap();
    let error = on.opencode().attach(server.url()).await.unwrap_err();
    let AttachError::Unhealthy { url, source: HealthError::Call(source) } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*url, server.url());
    assert_eq!(error.to_string(), format!("there is no working OpenCode at {url}"));
    assert!(source.api().is_some(), "{source:?}");
}

pub(crate) async fn a_silent_server_times_out(on: &Host) {
    let script = ServerScript::new().on("GET", "/global/health", [ServerReply::never()]);
    let server = FakeServer::start(script).unwrap();
    let request = AttachRequest::new(server.url()).with_start_limit(Duration::from_millis(100));
    let error = on.opencode().attach(request).await.unwrap_err();
    assert!(matches!(error, AttachError::TimedOut { .. }), "{error:?}");
}

pub(crate) async fn a_server_that_does_not_listen_yet_is_waited_for(on: &Host) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let opencode = on.opencode();
    let attached = on.spawn(async move { opencode.attach(format!("http://{address}")).await });
    on.sleep(Duration::from_millis(300)).await;
    assert!(!attached.is_over(), "attach gave up");
    let server = FakeServer::start_at(address, ServerScript::new()).unwrap();
    assert_eq!(attached.await.unwrap().url(), server.url());
}

pub(crate) async fn a_server_that_never_listens_is_given_up_with_the_reason(on: &Host) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let limits = HttpLimits::default().with_retry(RetryPolicy::NONE);
    let request = AttachRequest::new(url).with_limits(limits);
    let request = request.with_start_limit(Duration::from_millis(700));
    let error = on.opencode().attach(request).await.unwrap_err();
    let AttachError::Unhealthy { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("refused"), "{source}");
}

pub(crate) async fn passwords_in_urls_are_hidden(on: &Host) {
    let server = FakeServer::start(ServerScript::new()).unwrap();
    let url = format!("http://me:s3cret@{}", server.address());
    let request = AttachRequest::new(url);
    assert!(!format!("{request:?}").contains("s3cret"), "{request:?}");
    let attached = on.opencode().attach(request).await.unwrap();
    assert_eq!(attached.url(), server.url());
    assert!(!format!("{attached:?}").contains("s3cret"), "{attached:?}");
    assert_eq!(server.requests()[0].header("authorization"), Some("Basic bWU6czNjcmV0"));
    let error = on.opencode().attach("ftp://me:s3cret@localhost").await.unwrap_err();
    assert!(matches!(error, AttachError::Url(UrlError::Scheme(_))), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
}
