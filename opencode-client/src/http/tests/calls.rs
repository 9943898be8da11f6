use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use opencode_proto::api::Pace;
use opencode_proto::{Delivery, RetryPolicy};
use tokio::time::{Instant, sleep};

use super::memory::{silent_world, world, world_at};
use super::{Ask, ask, get, post};
use crate::http::{CallError, HttpLimits};

fn once() -> HttpLimits {
    HttpLimits::default().with_retry(RetryPolicy::NONE)
}

fn lines(request: &str) -> Vec<&str> {
    let (head, _) = request.split_once("\r\n\r\n").unwrap();
    let (first, headers) = head.split_once("\r\n").unwrap();
    let mut lines = Vec::from_iter(headers.split("\r\n"));
    lines.sort_unstable();
    lines.insert(0, first);
    lines
}

#[tokio::test(start_paused = true)]
async fn a_request_says_who_asks_whom_and_where() {
    let (http, mut server) = world_at("http://ann:s%20t@[::1]:4096/code//", once());
    let ask = get("/session?limit=1");
    let (reply, request) = tokio::join!(http.call(&ask, Some("/tmp/ä b")), async {
        server.accept().await.serve(200, "", "{\"a\":1}").await
    });
    assert_eq!(reply.unwrap().into_body(), "{\"a\":1}");
    assert_eq!(
        lines(&request),
        [
            "GET /code/session?limit=1 HTTP/1.1",
            "accept: application/json",
            "authorization: Basic YW5uOnMgdA==",
            "host: [::1]:4096",
            "x-opencode-directory: %2Ftmp%2F%C3%A4%20b",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_has_a_length_also_when_there_is_none() {
    for (body, length) in [("", "content-length: 0"), ("[1]", "content-length: 3")] {
        let (http, mut server) = world_at("http://localhost", once());
        let (_reply, request) = tokio::join!(ask(&http, post("/share", body)), async {
            server.accept().await.serve(200, "", "").await
        });
        assert_eq!(
            lines(&request),
            ["POST /share HTTP/1.1", "accept: application/json", length, "host: localhost"]
        );
        assert!(request.ends_with(&format!("\r\n\r\n{body}")));
    }
}

#[tokio::test(start_paused = true)]
async fn every_status_is_a_reply() {
    for status in [200, 204, 400, 401, 404, 500, 503] {
        let (http, mut server) = world(once());
        let (reply, ()) = tokio::join!(ask(&http, get("/session/ses_1")), async {
            let mut peer = server.accept().await;
            peer.request().await;
            let head = format!("HTTP/1.1 {status} x\r\n");
            // 204 has no body, and no length of one.
            peer.write(head + if status == 204 { "\r\n" } else { "content-length: 0\r\n\r\n" })
                .await;
        });
        assert_eq!(reply.unwrap().status().as_u16(), status);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_reply_in_time_nobody_knows() {
    let (http, mut server) = world(once());
    let started = Instant::now();
    let (error, peer) = tokio::join!(ask(&http, get("/session/ses_1?secret=1")), async {
        let mut peer = server.accept().await;
        peer.request().await;
        peer
    });
    let error = error.unwrap_err();
    assert_eq!(error.delivery(), Delivery::Unknown);
    assert_eq!(
        error.to_string(),
        "GET http://127.0.0.1:4096/session/ses_1: no complete reply in 30s"
    );
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    peer.closed().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_word_about_a_project_may_take_longer() {
    let seconds = Duration::from_secs;
    let (http, mut server) = world(once().with_boot(seconds(90)).with_reply(seconds(7)));
    for (pace, limit) in [(Pace::Boot, seconds(90)), (Pace::Quick, seconds(7))] {
        let started = Instant::now();
        let call = Ask { pace, ..get("/agent") };
        let (error, _peer) = tokio::join!(ask(&http, call), server.accept());
        let error = error.unwrap_err();
        assert!(
            matches!(error, CallError::TimedOut { limit: told, .. } if told == limit),
            "{error}"
        );
        assert_eq!(started.elapsed(), limit);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_stalls_was_reached() {
    let (http, mut server) = world(once().with_reply(Duration::from_secs(7)));
    let started = Instant::now();
    let (error, peer) = tokio::join!(ask(&http, get("/session")), async {
        let mut peer = server.accept().await;
        peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{").await;
        peer
    });
    let error = error.unwrap_err();
    assert!(matches!(error, CallError::TimedOut { .. }));
    assert_eq!((error.delivery(), started.elapsed()), (Delivery::Received, Duration::from_secs(7)));
    peer.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_has_all_the_time_it_needs() {
    let (http, mut server) = world(once());
    let turn = Ask { pace: Pace::Turn, ..post("/session/ses_1/message", "{}") };
    let (reply, ()) = tokio::join!(ask(&http, turn), async {
        let mut peer = server.accept().await;
        peer.request().await;
        sleep(Duration::from_secs(86_400)).await;
        peer.reply(200, "", "{}").await;
    });
    assert_eq!(reply.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_network_that_swallows_everything_is_left_in_time() {
    let started = Instant::now();
    let error = ask(&silent_world(once()), get("/session")).await.unwrap_err();
    assert_eq!(error.to_string(), "GET http://10.1.1.1/session: cannot connect");
    assert_eq!(error.source().unwrap().to_string(), "no connection in 10s");
    assert_eq!((error.delivery(), started.elapsed()), (Delivery::NotSent, Duration::from_secs(10)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_was_not_reached() {
    let (http, server) = world(once());
    let connects = server.refuse();
    let error = ask(&http, post("/session", "{}")).await.unwrap_err();
    let CallError::Connect { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), ErrorKind::ConnectionRefused);
    assert_eq!((error.delivery(), connects()), (Delivery::NotSent, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_says_how_far_it_came() {
    let cases = [
        ("", Delivery::Unknown, ErrorKind::UnexpectedEof),
        ("HTTP/1.1 200 OK\r\ncontent-le", Delivery::Unknown, ErrorKind::UnexpectedEof),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
            Delivery::Received,
            ErrorKind::UnexpectedEof,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
            Delivery::Received,
            ErrorKind::UnexpectedEof,
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", Delivery::Unknown, ErrorKind::InvalidData),
    ];
    for (said, delivery, kind) in cases {
        let (http, mut server) = world(HttpLimits::default());
        let (error, ()) = tokio::join!(ask(&http, post("/session", "{}")), async {
            let mut peer = server.accept().await;
            peer.request().await;
            peer.write(said).await;
        });
        let error = error.unwrap_err();
        assert_eq!(
            error.to_string(),
            "POST http://127.0.0.1:4096/session: the connection was lost"
        );
        let CallError::Lost { source, .. } = &error else { panic!("{error:?}") };
        assert_eq!((error.delivery(), source.kind()), (delivery, kind), "{said}");
        // What is not repeatable is sent once, whatever breaks.
        assert_eq!(server.connects(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_has_a_limit() {
    let with_length = |size: usize| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n{}", "x".repeat(size))
    };
    let in_chunks = |size: usize| {
        let chunks = "1\r\nx\r\n".repeat(size);
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    for (said, size) in [
        (with_length(1000), Some(1000)),
        (in_chunks(1000), Some(1000)),
        (with_length(1001), None),
        (in_chunks(1001), None),
        (with_length(30_000), None),
    ] {
        let (http, mut server) = world(once().with_body_size_max(1000));
        let (reply, peer) = tokio::join!(ask(&http, get("/session")), async {
            let mut peer = server.accept().await;
            peer.request().await;
            peer.write(said).await;
            peer
        });
        match (reply, size) {
            (Ok(reply), Some(size)) => assert_eq!(reply.into_body(), "x".repeat(size)),
            (Err(error), None) => {
                assert_eq!(
                    error.to_string(),
                    "GET http://127.0.0.1:4096/session: the reply has more than 1000 bytes"
                );
                assert_eq!(error.delivery(), Delivery::Received);
                peer.closed().await;
            }
            (reply, size) => panic!("{reply:?}, not {size:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_body_is_whole() {
    let (http, mut server) = world(once());
    let body: String = (0..400_000).map(|number| format!("{number},")).collect();
    let (reply, ()) = tokio::join!(ask(&http, get("/session")), async {
        let mut peer = server.accept().await;
        peer.serve(200, "", &body).await;
    });
    assert!(reply.unwrap().into_body() == body);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_closes_its_connection() {
    let (http, mut server) = world(once());
    let peer = tokio::select! {
        biased;
        reply = ask(&http, post("/session", "{}")) => panic!("{reply:?}"),
        peer = async {
            let mut peer = server.accept().await;
            peer.request().await;
            peer
        } => peer,
    };
    peer.closed().await;
}
