//! Requests of any kind to the real server, and the shapes of its errors.

use opencode_tokio::api::http::Method;
use opencode_tokio::api::{ApiError, ApiErrorKind};
use opencode_tokio::config::Credentials;
use opencode_tokio::server::CallOptions;
use opencode_tokio::{CallError, Server};
use serde_json::{Value, json};
use testkit::conformance::real::sessions::SessionWorld;

use crate::on;

/// Returns the error of a request that the server refuses.
async fn refused(server: &Server, method: Method, path: &str, body: Option<Value>) -> ApiError {
    let request = server.request(method, path);
    let request = match &body {
        Some(body) => request.json(body),
        None => request,
    };
    request.await.unwrap().check().unwrap_err()
}

#[tokio::test]
async fn errors_of_every_shape_have_a_name_and_a_message() {
    let world = SessionWorld::in_directory(&on(), "errors").await;
    let server = &world.server;
    let get = |path| refused(server, Method::GET, path, None);
    let post = |path, body| refused(server, Method::POST, path, Some(body));

    let missing = get("/session/ses_1").await;
    assert!(missing.is_not_found() && !missing.is_unknown_route());
    assert_eq!(missing.name().as_deref(), Some("NotFoundError"));
    assert_eq!(&*missing.message(), "Session not found: ses_1");

    let next = get("/api/session/ses_1").await;
    assert!(next.is_not_found());
    assert_eq!(next.name().as_deref(), Some("SessionNotFoundError"));

    // The body has a name too, which is that of the MCP server.
    let mcp = post("/mcp/files/connect", json!({})).await;
    assert!(mcp.is_not_found());
    assert_eq!(mcp.name().as_deref(), Some("McpServerNotFoundError"));

    let invalid = get("/find/file").await;
    let ApiErrorKind::BadRequest { field, .. } = &invalid.kind else { panic!("{invalid:?}") };
    assert_eq!((invalid.name().as_deref(), field.as_deref()), (Some("BadRequest"), Some("Query")));
    let invalid = get("/api/session/foo").await;
    let ApiErrorKind::BadRequest { field, .. } = &invalid.kind else { panic!("{invalid:?}") };
    assert_eq!(field.as_deref(), Some("sessionID"));
    let nameless = post("/session", json!({ "title": 3 })).await;
    assert!(matches!(nameless.kind, ApiErrorKind::BadRequest { .. }), "{nameless:?}");

    let defect = get("/session/foo").await;
    assert!(defect.is_server_fault());
    assert!(defect.reference().is_some_and(|reference| reference.starts_with("err_")));

    for path in ["/no/such/route", "/api/nothing"] {
        assert!(get(path).await.is_unknown_route(), "{path}");
    }
    let text = server.request(Method::POST, "/log").header("content-type", "text/plain").body("x");
    let text = text.await.unwrap().check().unwrap_err();
    assert_eq!((text.status.as_u16(), text.name()), (415, None));
    assert!(text.message().starts_with("Unsupported content-type"), "{text}");

    let wrong = CallOptions::new().with_credentials(&Credentials::new("wrong")).unwrap();
    let wrong = server.with_options(wrong);
    for path in ["/session", "/api/session"] {
        assert!(refused(&wrong, Method::GET, path, None).await.is_auth(), "{path}");
    }
}

#[tokio::test]
async fn a_directory_of_the_caller_is_used() {
    let world = SessionWorld::in_directory(&on(), "elsewhere").await;
    let server = &world.server;
    let directory = async |request: opencode_tokio::server::HttpRequest| {
        request.await.unwrap().json::<Value>().unwrap()["directory"].clone()
    };
    let path = |server: &Server| server.request(Method::GET, "/path");
    let project = json!(world.project());
    assert_eq!(directory(path(server)).await, project);
    assert_eq!(directory(path(server).query("directory", "/")).await, "/");
    assert_eq!(directory(path(server).header("x-opencode-directory", "%2F")).await, "/");
    let root = server.with_options(CallOptions::new().with_directory("/"));
    assert_eq!(directory(path(&root)).await, "/");

    let location = |server: &Server| server.request(Method::GET, "/api/location");
    assert_eq!(directory(location(server)).await, project);
    assert_eq!(directory(location(server).query("location[directory]", "/")).await, "/");
    assert_eq!(directory(location(&root)).await, "/");
}

#[tokio::test]
async fn an_operation_with_wrong_credentials_is_an_error_of_its_own() {
    let world = SessionWorld::in_directory(&on(), "credentials").await;
    let token = CallOptions::new().with_bearer_token("unknown").unwrap();
    let error = world.server.with_options(token).health().await.unwrap_err();
    assert!(error.is_auth(), "{error:?}");
    assert!(matches!(error, CallError::Api(_)));
}
