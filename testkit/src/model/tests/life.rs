//! Connections, sizes, and the end of the model server.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::PATIENCE;
use super::client::{ask, prompt, read, request};
#[cfg(target_os = "linux")]
use crate::listener::threads;
use crate::model::{ModelServer, Outcome, Reply};

#[test]
fn a_connection_serves_requests_in_order() {
    let model = ModelServer::start().unwrap();
    let mut stream = TcpStream::connect(model.address()).unwrap();
    let body = |text| json!({ "stream": true, "messages": prompt(text) }).to_string();
    model.script("x", Reply::new().text("x"));
    let both = [request("a", &body("[[x]]")), request("a", &body("no marker"))].concat();
    stream.write_all(&both).unwrap();
    assert_eq!(read(&mut stream).text(), "x");
    assert_eq!(read(&mut stream).text(), "Hello from the scripted model.");
}

#[test]
fn prompts_of_many_megabytes_arrive_whole() {
    let model = ModelServer::start().unwrap();
    let text = "0123456789abcdef".repeat(512 * 1024);
    assert_eq!(ask(&model, "a", &prompt(&text)).status(), 200);
    assert_eq!(model.requests()[0].prompt().unwrap(), text);
}

#[test]
fn a_chunked_body_is_accepted() {
    let model = ModelServer::start().unwrap();
    let body = json!({ "stream": true, "messages": prompt("in chunks") }).to_string();
    let mut wire =
        b"POST /v1/chat/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.as_bytes().chunks(7) {
        wire.extend(format!("{:x};extension\r\n", chunk.len()).into_bytes());
        wire.extend(chunk);
        wire.extend(b"\r\n");
    }
    wire.extend(b"0\r\ntrailer: x\r\n\r\n");
    let mut stream = TcpStream::connect(model.address()).unwrap();
    for byte in wire {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(read(&mut stream).status(), 200);
    assert_eq!(model.requests()[0].prompt().unwrap(), "in chunks");
}

#[test]
fn requests_that_are_refused_are_not_recorded() {
    let model = ModelServer::start().unwrap();
    let refused = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(model.address()).unwrap();
        stream.write_all(bytes).unwrap();
        read(&mut stream).status()
    };
    assert_eq!(refused(b"GET /v1/models HTTP/1.1\r\n\r\n"), 404);
    assert_eq!(refused(&request("a", "not json")), 400);
    assert_eq!(refused(&request("a", r#"{"messages":[]}"#)), 400);
    assert_eq!(refused(b"nonsense\r\n\r\n"), 400);
    assert_eq!(refused(b"POST / HTTP/1.1\r\ncontent-length: 999999999999\r\n\r\n"), 400);
    assert_eq!(model.requests().len(), 0);
}

#[test]
fn a_client_that_disconnects_does_not_end_the_server() {
    let model = ModelServer::start().unwrap();
    for part in ["", "POST", "POST / HTTP/1.1\r\ncontent-length: 10\r\n\r\nhalf"] {
        TcpStream::connect(model.address()).unwrap().write_all(part.as_bytes()).unwrap();
    }
    assert_eq!(ask(&model, "a", &prompt("still there?")).status(), 200);
}

#[test]
fn dropping_the_server_leaves_nothing() {
    let model = ModelServer::start().unwrap();
    let address = model.address();
    #[cfg(target_os = "linux")]
    let name = format!("model-{}", address.port());
    let mut idle = TcpStream::connect(address).unwrap();
    ask(&model, "a", &prompt("hi"));
    model.wait_for(PATIENCE, |request| request.outcome() == Some(Outcome::Answered)).unwrap();
    #[cfg(target_os = "linux")]
    assert!(threads(&name) > 0);
    drop(model);
    #[cfg(target_os = "linux")]
    crate::processes::eventually(PATIENCE, || match threads(&name) {
        0 => Ok(()),
        left => Err(left),
    });
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}
