use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::time::Duration;

use opencode_proto::api::ApiErrorKind;
use tokio::time::{Instant, sleep};

use super::memory::{Peer, Server, world};
use super::{ask, get};
use crate::http::events::EventBody;
use crate::http::{CallError, Http, HttpLimits};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
                    transfer-encoding: chunked\r\n\r\n";

async fn open(http: &Http, server: &mut Server) -> (EventBody, Peer) {
    let (body, peer) = tokio::join!(http.events("/global/event", Some("/p")), async {
        let mut peer = server.accept().await;
        let request = peer.request().await;
        assert!(request.starts_with("GET /global/event HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("\r\naccept: text/event-stream\r\n"), "{request}");
        assert!(request.contains("\r\nx-opencode-directory: %2Fp\r\n"), "{request}");
        peer.write(HEAD).await;
        peer
    });
    (body.unwrap(), peer)
}

async fn read(body: &mut EventBody) -> (String, io::Result<()>) {
    let mut text = String::new();
    loop {
        match poll_fn(|cx| body.poll_chunk(cx)).await {
            Some(Ok(chunk)) => text.push_str(str::from_utf8(&chunk).unwrap()),
            Some(Err(error)) => return (text, Err(error)),
            None => return (text, Ok(())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_read_as_it_comes_however_long_it_takes() {
    let (http, mut server) = world(HttpLimits::default());
    let (mut body, mut peer) = open(&http, &mut server).await;
    let write = async {
        for byte in "4\r\ndata\r\n3;x=y\r\n: 1\r\n2\r\n\n\n\r\n0\r\n\r\n".bytes() {
            peer.write([byte]).await;
            sleep(Duration::from_secs(60)).await;
        }
    };
    let ((text, end), ()) = tokio::join!(read(&mut body), write);
    assert_eq!(text, "data: 1\n\n");
    assert!(end.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_chunk_is_handed_out_before_the_next_is_there() {
    let (http, mut server) = world(HttpLimits::default());
    let (mut body, mut peer) = open(&http, &mut server).await;
    for text in ["data: {}\n\n", "data: []\n\n"] {
        peer.write(format!("{:x}\r\n{text}\r\n", text.len())).await;
        let chunk = poll_fn(|cx| body.poll_chunk(cx)).await.unwrap().unwrap();
        assert_eq!(chunk, text);
    }
    drop(body);
    peer.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_not_one_that_ends() {
    let (http, mut server) = world(HttpLimits::default());
    let (mut body, mut peer) = open(&http, &mut server).await;
    peer.write("6\r\ndata: \r\n").await;
    drop(peer);
    let (text, end) = read(&mut body).await;
    assert_eq!((text.as_str(), end.unwrap_err().kind()), ("data: ", ErrorKind::UnexpectedEof));
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_a_connection_of_its_own() {
    let (http, mut server) = world(HttpLimits::default());
    let (_reply, peer) = tokio::join!(ask(&http, get("/session")), async {
        let mut peer = server.accept().await;
        peer.serve(200, "", "[]").await;
        peer
    });
    let (body, stream) = open(&http, &mut server).await;
    assert_eq!(server.connects(), 2);
    drop((peer, body));
    stream.closed().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_stream_is_an_error() {
    let refuse = async |said: String| {
        let (http, mut server) = world(HttpLimits::default());
        let (refused, peer) = tokio::join!(http.events("/event", None), async {
            let mut peer = server.accept().await;
            peer.request().await;
            peer.write(said).await;
            peer
        });
        let error = refused.unwrap_err();
        // Asking again is for whoever wants the stream.
        assert_eq!(server.connects(), 1);
        peer.closed().await;
        let CallError::Api(error) = error else { panic!("{error:?}") };
        error
    };
    let empty = "content-length: 0\r\n\r\n";
    let error = refuse(format!("HTTP/1.1 401 Unauthorized\r\n{empty}")).await;
    assert_eq!(error.kind, ApiErrorKind::Unauthorized);
    assert_eq!(error.to_string(), "GET /event: the server rejected the credentials");

    let page = "content-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let error = refuse(format!("HTTP/1.1 200 OK\r\n{page}")).await;
    assert_eq!(error.kind, ApiErrorKind::UnknownRoute);

    let error = refuse(format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{empty}")).await;
    assert!(matches!(error.kind, ApiErrorKind::Unreadable(_)), "{error:?}");

    // A page without an end.
    let page = format!("transfer-encoding: chunked\r\n\r\n20000\r\n{}", "x".repeat(60_000));
    let more = format!("{page}{}", "x".repeat(60_000));
    let error = refuse(format!("HTTP/1.1 500 x\r\n{more}")).await;
    assert_eq!((error.status.as_u16(), error.body().len()), (500, 64 << 10));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_open_the_stream_is_left_in_time() {
    let (http, mut server) = world(HttpLimits::default());
    let started = Instant::now();
    let (refused, peer) = tokio::join!(http.events("/event", None), async {
        let mut peer = server.accept().await;
        peer.request().await;
        peer
    });
    assert!(matches!(refused, Err(CallError::TimedOut { .. })));
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    peer.closed().await;
}
