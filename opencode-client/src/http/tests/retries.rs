use std::time::Duration;

use opencode_proto::Delivery;
use tokio::time::Instant;

use super::memory::world;
use super::{ask, get, post};
use crate::http::{CallError, HttpLimits};

#[tokio::test(start_paused = true)]
async fn a_server_that_says_when_is_asked_again_then() {
    let (http, mut server) = world(HttpLimits::default());
    let started = Instant::now();
    let (reply, ()) = tokio::join!(ask(&http, get("/session")), async {
        let mut peer = server.accept().await;
        peer.serve(503, "retry-after: 3\r\n", "").await;
        peer.serve(429, "retry-after-ms: 1500\r\n", "").await;
        peer.serve(200, "", "[]").await;
    });
    assert_eq!(reply.unwrap().status(), 200);
    assert_eq!((server.connects(), started.elapsed()), (1, Duration::from_millis(4500)));
}

#[tokio::test(start_paused = true)]
async fn trouble_ends_and_the_last_one_is_told() {
    let (http, mut server) = world(HttpLimits::default());
    let (reply, ()) = tokio::join!(ask(&http, get("/session")), async {
        for status in [502, 503, 504] {
            server.accept().await.serve(status, "connection: close\r\n", "").await;
        }
        server.accept().await.request().await;
    });
    let error = reply.unwrap_err();
    assert!(matches!(error, CallError::Lost { .. }), "{error:?}");
    assert_eq!((error.delivery(), server.connects()), (Delivery::Unknown, 4));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let (http, server) = world(HttpLimits::default());
    let connects = server.refuse();
    let started = Instant::now();
    let error = ask(&http, get("/session")).await.unwrap_err();
    assert!(matches!(error, CallError::Connect { .. }), "{error:?}");
    assert_eq!(connects(), 4);
    let elapsed = started.elapsed().as_millis();
    assert!((700..=1405).contains(&elapsed), "{elapsed} ms");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_repeatable_is_sent_once() {
    let (http, mut server) = world(HttpLimits::default());
    let (reply, _) = tokio::join!(ask(&http, post("/session", "{}")), async {
        server.accept().await.serve(503, "retry-after: 1\r\n", "").await
    });
    assert_eq!((reply.unwrap().status().as_u16(), server.connects()), (503, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_taken_as_it_is() {
    for status in [400, 401, 404, 409, 500] {
        let (http, mut server) = world(HttpLimits::default());
        let (reply, _) = tokio::join!(ask(&http, get("/session")), async {
            server.accept().await.serve(status, "", "").await
        });
        assert_eq!((reply.unwrap().status().as_u16(), server.connects()), (status, 1));
    }
}
