#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use opencode_client::runtime::Runtime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::TokioRuntime;

#[tokio::test]
async fn bytes_go_both_ways_until_it_is_dropped() {
    for (address, host) in
        [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("127.0.0.1:0", "localhost")]
    {
        let listener = TcpListener::bind(address).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut word = [0; 4];
            socket.read_exact(&mut word).unwrap();
            socket.write_all(b"pong").unwrap();
            // Ends when the client closes.
            assert_eq!(socket.read(&mut [0]).unwrap(), 0);
            word
        });
        let mut connection = TokioIo::new(TokioRuntime::new().connect(host, port).await.unwrap());
        connection.write_all(b"ping").await.unwrap();
        let mut word = [0; 4];
        connection.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"pong");
        drop(connection);
        assert_eq!(&server.join().unwrap(), b"ping");
    }
}

#[tokio::test]
async fn small_writes_are_not_held_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = open("127.0.0.1", listener.local_addr().unwrap().port()).await.unwrap();
    assert!(socket.nodelay().unwrap());
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = TokioRuntime::new().connect("127.0.0.1", port).await;
    assert_eq!(refused.err().unwrap().kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_task_runs_whoever_waits() {
    let (give, take) = mpsc::channel();
    TokioRuntime::new().spawn(Box::pin(async move {
        tokio::task::yield_now().await;
        give.send(7).unwrap();
    }));
    let taken = tokio::task::spawn_blocking(move || take.recv().unwrap()).await.unwrap();
    assert_eq!(taken, 7);
}
