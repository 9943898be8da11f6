use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::memory::world;
use super::{ask, get, post};
use crate::http::HttpLimits;

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_but_never_by_what_is_not_repeatable() {
    let (http, mut server) = world(HttpLimits::default());
    let client = async {
        for _ in 0..5 {
            ask(&http, get("/session")).await.unwrap();
        }
        ask(&http, post("/session", "{}")).await.unwrap();
        ask(&http.clone(), get("/session")).await.unwrap();
    };
    let serve = async {
        let mut first = server.accept().await;
        for _ in 0..5 {
            assert!(first.serve(200, "", "[]").await.starts_with("GET "));
        }
        let mut second = server.accept().await;
        assert!(second.serve(200, "", "{}").await.starts_with("POST "));
        // The last to be used is the first to be used again.
        assert!(second.serve(200, "", "[]").await.starts_with("GET "));
        (first, second)
    };
    tokio::join!(client, serve);
    assert_eq!(server.connects(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_server_has_closed_is_not_used() {
    let (http, mut server) = world(HttpLimits::default());
    let started = Instant::now();
    for connects in 1..=3 {
        let (reply, _) = tokio::join!(ask(&http, get("/session")), async {
            // Closed after the reply.
            server.accept().await.serve(200, "", "[]").await
        });
        assert_eq!(reply.unwrap().status(), 200);
        assert_eq!(server.connects(), connects);
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_closes_as_it_is_used_again_costs_nothing() {
    let (http, mut server) = world(HttpLimits::default());
    let started = Instant::now();
    let client = async {
        ask(&http, get("/session")).await.unwrap();
        ask(&http, get("/session")).await.unwrap()
    };
    let serve = async {
        let mut peer = server.accept().await;
        peer.serve(200, "", "[]").await;
        peer.request().await;
        drop(peer);
        server.accept().await.serve(200, "", "[1]").await
    };
    let (reply, _) = tokio::join!(client, serve);
    assert_eq!(reply.into_body(), "[1]");
    assert_eq!((server.connects(), started.elapsed()), (2, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_close_is_left() {
    let (http, mut server) = world(HttpLimits::default());
    let (reply, peer) = tokio::join!(ask(&http, get("/session")), async {
        let mut peer = server.accept().await;
        peer.serve(200, "connection: close\r\n", "[]").await;
        peer
    });
    assert_eq!(reply.unwrap().status(), 200);
    peer.closed().await;
}

#[tokio::test(start_paused = true)]
async fn few_connections_are_kept() {
    let (http, mut server) = world(HttpLimits::default());
    let call = || ask(&http, get("/session"));
    let (a, b, c, d, e, f, peers) =
        tokio::join!(call(), call(), call(), call(), call(), call(), async {
            let mut peers = Vec::new();
            for _ in 0..6 {
                let mut peer = server.accept().await;
                peer.request().await;
                peers.push(peer);
            }
            for peer in &mut peers {
                peer.reply(200, "", "[]").await;
            }
            peers
        });
    assert!([a, b, c, d, e, f].iter().all(Result::is_ok));
    // Which four is left to the order in which the calls end.
    let mut closed = 0;
    for peer in peers {
        closed += usize::from(timeout(Duration::from_secs(1), peer.closed()).await.is_ok());
    }
    assert_eq!((closed, server.connects()), (2, 6));
}

#[tokio::test(start_paused = true)]
async fn connections_that_the_server_has_closed_are_let_go() {
    let (http, mut server) = world(HttpLimits::default());
    let call = || ask(&http, get("/session"));
    let (_, _, [mut one, mut other]) = tokio::join!(call(), call(), async {
        let mut peers = [server.accept().await, server.accept().await];
        for peer in &mut peers {
            peer.serve(200, "", "[]").await;
        }
        peers
    });
    one.end().await;
    other.end().await;
    let (reply, _) =
        tokio::join!(call(), async { server.accept().await.serve(200, "", "[]").await });
    assert_eq!(reply.unwrap().status(), 200);
    one.closed().await;
    other.closed().await;
}
