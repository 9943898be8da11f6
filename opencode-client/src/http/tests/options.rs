use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderName, HeaderValue};
use opencode_config::Credentials;
use opencode_proto::{Delivery, RetryPolicy};
use tokio::time::{Instant, sleep};

use super::memory::{silent_world, world, world_at};
use super::{Ask, ask, get, post};
use crate::http::{CallError, CallOptions, HttpLimits};
use opencode_proto::api::Pace;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Headers of a request, by name.
fn header<'a>(request: &'a str, name: &str) -> Vec<&'a str> {
    let lines = request.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| *found == name).map(|(_, value)| value).collect()
}

#[tokio::test(start_paused = true)]
async fn headers_of_the_options_replace_those_of_the_library() {
    let (http, mut server) = world_at("http://ann:secret@localhost", HttpLimits::default());
    let tenant = HeaderName::from_static("x-tenant");
    let base = CallOptions::new()
        .with_header(ACCEPT, HeaderValue::from_static("text/plain"))
        .with_header(tenant.clone(), HeaderValue::from_static("base"));
    let own = CallOptions::new()
        .with_header(tenant, HeaderValue::from_static("own"))
        .with_bearer_token("tok")
        .unwrap();
    let changed = http.with_options(base).with_options(own);
    let (reply, request) = tokio::join!(ask(&changed, get("/session")), async {
        server.accept().await.serve(200, "", "[]").await
    });
    reply.unwrap();
    assert_eq!(header(&request, "accept"), ["text/plain"]);
    assert_eq!(header(&request, "x-tenant"), ["own"]);
    assert_eq!(header(&request, "authorization"), ["Bearer tok"]);

    // The handle before is unchanged.
    let (reply, request) = tokio::join!(ask(&http, post("/session", "{}")), async {
        server.accept().await.serve(200, "", "[]").await
    });
    reply.unwrap();
    assert_eq!(header(&request, "authorization"), ["Basic YW5uOnNlY3JldA=="]);
    assert!(header(&request, "x-tenant").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_workspace_is_in_the_query_or_in_the_header_of_the_next_api() {
    let (http, mut server) = world(HttpLimits::default());
    let http = http.with_options(CallOptions::new().with_workspace("wrk_1"));
    for (path, line, headers) in [
        ("/session?limit=1", "GET /session?limit=1&workspace=wrk_1 HTTP/1.1", vec![]),
        ("/session", "GET /session?workspace=wrk_1 HTTP/1.1", vec![]),
        ("/session?workspace=wrk_2", "GET /session?workspace=wrk_2 HTTP/1.1", vec![]),
        ("/api/session", "GET /api/session HTTP/1.1", vec!["wrk_1"]),
    ] {
        let (reply, request) = tokio::join!(ask(&http, get(path)), async {
            server.accept().await.serve(200, "connection: close\r\n", "[]").await
        });
        reply.unwrap();
        assert_eq!(request.lines().next(), Some(line));
        assert_eq!(header(&request, "x-opencode-workspace"), headers, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_covers_all_attempts_and_replaces_the_limits() {
    let (http, mut server) = world(HttpLimits::default());
    let http = http.with_options(CallOptions::new().with_timeout(seconds(70)));
    // Longer than the limit of replies, and also for calls that wait for a model.
    for pace in [Pace::Quick, Pace::Boot, Pace::Turn] {
        let started = Instant::now();
        let call = Ask { pace, ..get("/session") };
        let (error, ()) = tokio::join!(ask(&http, call), async {
            server.accept().await.serve(503, "retry-after: 20\r\nconnection: close\r\n", "").await;
            let mut peer = server.accept().await;
            peer.request().await;
            sleep(seconds(100)).await;
        });
        let error = error.unwrap_err();
        assert!(
            matches!(error, CallError::TimedOut { limit, .. } if limit == seconds(70)),
            "{error}"
        );
        assert_eq!((error.delivery(), started.elapsed()), (Delivery::Unknown, seconds(120)));
    }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_is_waited_for_that_would_begin_after_the_timeout() {
    let (http, mut server) = world(HttpLimits::default());
    let http = http.with_options(CallOptions::new().with_timeout(seconds(10)));
    let started = Instant::now();
    let (reply, _) = tokio::join!(ask(&http, get("/session")), async {
        server.accept().await.serve(503, "retry-after: 20\r\n", "").await
    });
    assert_eq!((reply.unwrap().status().as_u16(), started.elapsed()), (503, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_ends_a_connection_that_is_not_established() {
    let http = silent_world(HttpLimits::default());
    let http = http.with_options(CallOptions::new().with_timeout(seconds(3)));
    let started = Instant::now();
    let error = ask(&http, post("/session", "{}")).await.unwrap_err();
    assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
    assert_eq!((error.delivery(), started.elapsed()), (Delivery::NotSent, seconds(3)));
}

#[tokio::test(start_paused = true)]
async fn a_retry_policy_of_the_options_replaces_that_of_the_limits() {
    let (http, server) = world(HttpLimits::default());
    let connects = server.refuse();
    let once = http.with_options(CallOptions::new().with_retry(RetryPolicy::NONE));
    ask(&once, get("/session")).await.unwrap_err();
    assert_eq!(connects(), 1);
    ask(&http, get("/session")).await.unwrap_err();
    assert_eq!(connects(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_repeated_while_no_connection_is_established() {
    let (http, server) = world(HttpLimits::default());
    let connects = server.refuse();
    ask(&http, post("/session", "{}")).await.unwrap_err();
    assert_eq!(connects(), 4);
}

#[test]
fn options_show_no_secrets() {
    let options = CallOptions::new().with_bearer_token("s3cret").unwrap();
    assert!(CallOptions::new().with_bearer_token("line\nbreak").is_err());
    assert_eq!(options.headers()[AUTHORIZATION], "Bearer s3cret");
    let basic = CallOptions::new().with_credentials(&Credentials::new("s3cret")).unwrap();
    for shown in [format!("{options:?}"), format!("{basic:?}")] {
        assert!(shown.contains("authorization") && !shown.contains("s3cret"), "{shown}");
    }
}
