use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use super::{Cut, CutAt, Proxy};
use crate::client::Client;
#[cfg(target_os = "linux")]
use crate::listener::threads;
use crate::server::{FakeServer, Greeting, ServerReply, ServerScript};

const PROMPT: &str = "/session/ses_1/prompt_async";

/// Starts a server whose event streams have no greeting, and a proxy in front of it.
fn start() -> (FakeServer, Proxy) {
    let server = FakeServer::start(ServerScript::new().with_greeting(Greeting::Silence)).unwrap();
    let proxy = Proxy::start(server.address().port()).unwrap();
    (server, proxy)
}

fn events(proxy: &Proxy) -> Client {
    Client::events(proxy.address(), "/event")
}

#[test]
fn bytes_are_forwarded_unchanged_and_requests_are_recorded() {
    let request = b"POST /a?b=c HTTP/1.1\r\nX-One:  1\r\ntransfer-encoding: chunked\r\n\r\n\
        3;ext\r\nabc\r\n2\r\nde\r\n0\r\ntrailer: x\r\n\r\n";
    let next = b"GET /d HTTP/1.1\r\n\r\n";
    let reply =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 fine\r\nlength-unknown: 1\r\n\r\n\0rest";
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port()).unwrap();
    let upstream = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = vec![0; request.len()];
        stream.read_exact(&mut got).unwrap();
        for byte in b"HTTP/1.1 204 No Content\r\n\r\n" {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut rest = vec![0; next.len()];
        stream.read_exact(&mut rest).unwrap();
        stream.write_all(reply).unwrap();
        (got, rest)
    });
    let mut client = Client::new(proxy.address());
    let (last, first) = request.split_last().unwrap();
    for byte in first {
        client.write(&[*byte]);
    }
    client.write(&[&[*last][..], next].concat());
    assert_eq!(client.head().unwrap(), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.rest().unwrap().as_bytes(), reply);
    assert_eq!(upstream.join().unwrap(), (request.to_vec(), next.to_vec()));

    let requests = proxy.requests();
    assert_eq!(format!("{requests:?}"), "[POST /a?b=c (5 bytes), GET /d (0 bytes)]");
    assert_eq!(requests[0].header("x-one"), Some("1"));
    assert_eq!(requests[0].body(), b"abcde");
}

#[test]
fn only_event_streams_are_cut() {
    for cut in [Cut::Close, Cut::Reset] {
        let (server, proxy) = start();
        let mut other = Client::new(proxy.address());
        assert_eq!(other.ask("POST", PROMPT, "{}").status, 204);
        let mut streams = [events(&proxy), Client::events(proxy.address(), "/global/event?x")];
        proxy.wait_for_events(2);
        server.send_raw(b"data: 1\n\n");
        for stream in &mut streams {
            assert_eq!(stream.chunk(), "data: 1\n\n");
        }
        proxy.cut_events(cut);
        proxy.wait_for_open_events(0);
        for mut stream in streams {
            match (cut, stream.rest()) {
                (Cut::Close, rest) => assert_eq!(rest.unwrap(), ""),
                (Cut::Reset, rest) => {
                    assert_eq!(rest.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
                }
            }
        }
        server.wait_for_open_events(0);
        assert_eq!(other.ask("POST", PROMPT, "{}").status, 204);
        let mut again = events(&proxy);
        proxy.wait_for_events(3);
        server.send_event("2");
        assert_eq!(again.chunk(), "data: 2\n\n");
        assert_eq!(proxy.requests_to("POST", "/session/{id}/prompt_async").len(), 2);
    }
}

#[test]
fn event_streams_are_cut_after_a_text_a_given_number_of_times() {
    let (server, proxy) = start();
    proxy.cut_events_after("message.part.delta", 2);
    let all = b"data: one\n\ndata: message.part.delta\n\ndata: two\n\n";
    for _ in 0..2 {
        let mut stream = events(&proxy);
        server.send_raw(all);
        let rest = stream.rest().unwrap();
        assert_eq!(rest, "30\r\ndata: one\n\ndata: message.part.delta\n\n");
        server.wait_for_open_events(0);
    }
    let mut stream = events(&proxy);
    server.send_raw(all);
    assert_eq!(stream.chunk().as_bytes(), all);
}

#[test]
fn a_held_stream_is_silent_until_it_is_released() {
    let (server, proxy) = start();
    let mut stream = events(&proxy);
    proxy.hold_events();
    server.send_event("1");
    server.close_events();
    server.wait_for_open_events(0);
    // Other replies are forwarded, and new event streams are held as well.
    assert_eq!(Client::new(proxy.address()).ask("POST", PROMPT, "{}").status, 204);
    let mut late = Client::new(proxy.address());
    late.send("GET", "/event", "");
    proxy.wait_for_events(2);
    proxy.wait_for_open_events(2);
    proxy.release_events();
    assert_eq!(stream.chunk(), "data: 1\n\n");
    assert_eq!(stream.rest().unwrap(), "0\r\n\r\n");
    assert!(late.head().unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_held_stream_can_be_cut_or_closed_by_the_client() {
    let (server, proxy) = start();
    let [mut stream, leaving] = [events(&proxy), events(&proxy)];
    proxy.wait_for_events(2);
    proxy.hold_events();
    server.send_event("\"held\"");
    drop(leaving);
    proxy.wait_for_open_events(1);
    server.wait_for_open_events(1);
    proxy.cut_events(Cut::Close);
    assert_eq!(stream.rest().unwrap(), "");
    server.wait_for_open_events(0);
}

#[test]
fn new_connections_can_be_refused() {
    let (server, proxy) = start();
    let mut open = Client::new(proxy.address());
    open.ask("GET", "/session", "");
    proxy.refuse();
    let refused = TcpStream::connect(proxy.address()).and_then(|mut stream| stream.read(&mut [0]));
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(open.ask("GET", "/session", "").status, 200);
    proxy.cut_all(Cut::Close);
    assert_eq!(open.rest().unwrap(), "");
    proxy.accept();
    assert_eq!(Client::new(proxy.address()).ask("GET", "/session", "").status, 200);
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn requests_are_cut_before_after_and_inside_the_reply() {
    let (server, proxy) = start();
    let seen = |client: &mut Client, path: &str| {
        client.send("POST", path, "{}");
        client.rest().unwrap()
    };
    for (at, arrived, got) in [
        (CutAt::Before, 0, ""),
        (CutAt::AfterRequest, 1, ""),
        (CutAt::InsideReply, 2, "HTTP/1.1 204 No Content"),
    ] {
        proxy.cut_request("POST", "/session/{id}/prompt_async", at);
        let mut client = Client::new(proxy.address());
        assert_eq!(client.ask("POST", "/session/ses_1/abort", "").body, "true");
        assert_eq!(seen(&mut client, PROMPT), got, "{at:?}");
        assert_eq!(server.requests_to("POST", PROMPT).len(), arrived, "{at:?}");
    }
    proxy.cut_request("POST", "/session/{id}/abort", CutAt::InsideReply);
    let reply = seen(&mut Client::new(proxy.address()), "/session/ses_1/abort");
    assert!(reply.ends_with("content-length: 4\r\n\r\ntr"), "{reply}");

    assert_eq!(Client::new(proxy.address()).ask("POST", PROMPT, "{}").status, 204);
    assert_eq!(proxy.requests_to("POST", PROMPT).len(), 4);
    assert_eq!(proxy.wait_for_requests("POST", PROMPT, 4)[3].body(), b"{}");
}

#[test]
fn the_proxy_answers_one_request_itself() {
    let (server, proxy) = start();
    proxy.answer("GET", "/session/status", 503, "text/plain", "busy");
    let mut client = Client::new(proxy.address());
    let answer = client.ask("GET", "/session/status?directory=/a", "");
    assert_eq!((answer.status, answer.body.as_str()), (503, "busy"));
    assert!(answer.head.contains("\r\ncontent-type: text/plain\r\n"), "{}", answer.head);
    assert_eq!(server.requests().len(), 0);
    assert_eq!(client.ask("GET", "/session/status", "").body, "{}");
    assert_eq!((server.requests().len(), proxy.requests().len()), (1, 2));
}

#[test]
fn a_server_that_dies_ends_the_connections_of_its_clients() {
    let server =
        FakeServer::start(ServerScript::new().on("GET", "/bye", ServerReply::close())).unwrap();
    let proxy = Proxy::start(server.address().port()).unwrap();
    let mut client = Client::new(proxy.address());
    client.send("GET", "/bye", "");
    assert_eq!(client.rest().unwrap(), "");
    drop(server);
    let mut client = Client::new(proxy.address());
    client.send("GET", "/session", "");
    assert_eq!(client.rest().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn incomplete_and_interim_replies_are_forwarded() {
    const INTERIM: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    const REPLY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody";
    let request = b"GET /session HTTP/1.1\r\n\r\n";
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap().port()).unwrap();
    let exchange = |reply: &str| {
        let mut client = Client::new(proxy.address());
        client.write(request);
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut vec![0; request.len()]).unwrap();
        stream.write_all(reply.as_bytes()).unwrap();
        drop(stream);
        client.rest().unwrap()
    };
    let half = "HTTP/1.1 200 OK\r\ncontent";
    assert_eq!(exchange(half), half);
    let reply = format!("{INTERIM}{REPLY}");
    assert_eq!(exchange(&reply), reply);
    proxy.cut_request("GET", "/", CutAt::AfterRequest);
    assert_eq!(exchange(&reply), INTERIM);
    proxy.cut_request("GET", "/", CutAt::InsideReply);
    assert_eq!(exchange(&reply), reply[..reply.len() - 2]);
}

#[test]
fn a_client_that_does_not_read_can_be_cut() {
    for cut in [Cut::Close, Cut::Reset] {
        let (server, proxy) = start();
        let deaf = events(&proxy);
        // More data than the sockets hold.
        server.send_raw(&vec![b'x'; 64 << 20]);
        proxy.cut_all(cut);
        server.wait_for_open_events(0);
        drop(deaf);
    }
}

#[test]
fn dropping_the_proxy_leaves_nothing() {
    let (server, proxy) = start();
    let address = proxy.address();
    let mut idle = Client::new(address);
    idle.ask("GET", "/session", "");
    let [mut held, deaf] = [events(&proxy), events(&proxy)];
    server.send_raw(&vec![b'x'; 64 << 20]);
    held.chunk();
    proxy.hold_events();
    #[cfg(target_os = "linux")]
    let name = format!("proxy-{}", address.port());
    #[cfg(target_os = "linux")]
    assert!(threads(&name) >= 7);
    drop(proxy);
    #[cfg(target_os = "linux")]
    crate::processes::eventually(crate::request::PATIENCE, || match threads(&name) {
        0 => Ok(()),
        left => Err(left),
    });
    server.wait_for_open_events(0);
    assert_eq!(idle.rest().unwrap(), "");
    assert_eq!(held.rest().unwrap(), "");
    drop(deaf);
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}
