//! Peers that send without a pause: every limit holds all the same.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opencode_client::event::Deadline;
use opencode_client::server::{CallFault, HealthError, HttpLimits, RetryPolicy, ServeSettings};
use opencode_client::{
    AttachError, AttachRequest, CreateSession, Deadlines, RunEnd, ServeError, TurnEnd, TurnRequest,
};

use super::request_with;
use crate::conformance::Host;
use crate::conformance::world::ProgramWorld;
use crate::fake::Behavior;
use crate::listener::Listener;
use crate::server::{FakeServer, ServerScript};

const LIMIT: Duration = Duration::from_millis(300);
/// Generous for a busy machine, and far less than any default limit.
const SOON: Duration = Duration::from_secs(25);

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const HEADER: &str = "x-header: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
const CHUNK: &str = "1\r\n \r\n";
const EVENT: &str = "data: {\"id\":\"evt_1\",\"type\":\"session.status\",\"properties\":\
                     {\"sessionID\":\"ses_1\",\"status\":{\"type\":\"busy\"}}}\n\n";

/// A server that floods one path, and passes all other requests on to a fake server.
struct FloodServer {
    listener: Listener,
    fake: FakeServer,
    /// All connections, to be closed at the end.
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl FloodServer {
    fn start(path: &'static str, begin: &'static str, flood: &'static str) -> Self {
        let fake = FakeServer::start(ServerScript::new()).unwrap();
        let behind = fake.address();
        let streams = Arc::<Mutex<Vec<TcpStream>>>::default();
        let opened = Arc::clone(&streams);
        let listener = Listener::start("flood", move |stream| {
            opened.lock().unwrap().push(stream.try_clone().unwrap());
            // The client ends every connection, which is an error of the connection here.
            let _ = serve_connection(stream, behind, path, begin, flood);
        });
        Self { listener: listener.unwrap(), fake, streams }
    }

    fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }
}

impl Drop for FloodServer {
    fn drop(&mut self) {
        for stream in &*self.streams.lock().unwrap() {
            // The client may have closed the connection.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.listener.stop();
    }
}

fn serve_connection(
    mut stream: TcpStream,
    behind: SocketAddr,
    path: &str,
    begin: &str,
    flood: &str,
) -> io::Result<()> {
    let mut head = vec![0; 1 << 16];
    let size = stream.read(&mut head)?;
    head.truncate(size);
    if String::from_utf8_lossy(&head).split(' ').nth(1) == Some(path) {
        stream.write_all(begin.as_bytes())?;
        let flood = flood.repeat((1 << 16) / flood.len());
        loop {
            stream.write_all(flood.as_bytes())?;
        }
    }
    let mut server = TcpStream::connect(behind)?;
    server.write_all(&head)?;
    let (mut from_client, mut to_server) = (stream.try_clone()?, server.try_clone()?);
    let upstream = thread::spawn(move || {
        let copied = io::copy(&mut from_client, &mut to_server);
        to_server.shutdown(Shutdown::Both).and(copied)
    });
    io::copy(&mut server, &mut stream)?;
    stream.shutdown(Shutdown::Both)?;
    upstream.join().expect("the copy does not panic")?;
    Ok(())
}

pub(crate) async fn of_replies_ends_at_the_limit_of_the_call(on: &Host) {
    let chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for (begin, flood) in [("", CONTINUE), ("HTTP/1.1 200 OK\r\n", HEADER), (chunks, CHUNK)] {
        let server = FloodServer::start("/global/health", begin, flood);
        let limits = HttpLimits::default().with_reply(LIMIT).with_retry(RetryPolicy::NONE);
        let began = Instant::now();
        let request = AttachRequest::new(server.url()).with_limits(limits);
        let error = on.opencode().attach(request).await.unwrap_err();
        let AttachError::Unhealthy { source: HealthError::Call(CallFault::Failed(_)), .. } = &error
        else {
            panic!("{error:?}")
        };
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
}

pub(crate) async fn of_replies_ends_at_the_start_limit(on: &Host) {
    let server = FloodServer::start("/global/health", "", CONTINUE);
    let began = Instant::now();
    let request = AttachRequest::new(server.url()).with_start_limit(LIMIT);
    let error = on.opencode().attach(request).await.unwrap_err();
    assert!(matches!(error, AttachError::TimedOut { .. }), "{error:?}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

pub(crate) async fn of_events_ends_at_the_deadline_of_the_turn(on: &Host) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
                data: {\"id\":\"evt_0\",\"type\":\"server.connected\",\"properties\":{}}\n\n";
    let server = FloodServer::start("/event", head, EVENT);
    let attached = on.opencode().attach(server.url()).await.unwrap();
    let session = attached.create_session(CreateSession::new()).await.unwrap();
    let deadlines = Deadlines::NONE.with_overall(LIMIT);
    let began = Instant::now();
    let request = TurnRequest::from("Hello?").with_deadlines(deadlines);
    let error = session.send(request).outcome().await.unwrap_err();
    let end = &error.outcome().expect("a turn that was begun").end;
    assert!(matches!(end, TurnEnd::TimedOut { .. }), "{error:?}");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(server.fake.requests_to("POST", "/session/ses_1/prompt_async").len(), 1);
}

pub(crate) async fn of_output_ends_at_the_deadline_of_the_run(on: &Host) {
    for behavior in [
        Behavior::new().flood_stdout("no event"),
        Behavior::new().flood_stdout(&"no end".repeat(1 << 12)),
        Behavior::new().flood_stderr("an error"),
    ] {
        let world = ProgramWorld::new(on, behavior);
        let deadlines = Deadlines::NONE.with_overall(LIMIT);
        let began = Instant::now();
        let error =
            world.opencode.run(world.request().with_deadlines(deadlines)).await.unwrap_err();
        assert_eq!(error.end().and_then(RunEnd::deadline), Some(Deadline::Overall), "{error:?}");
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        world.assert_nothing_left();
    }
}

pub(crate) async fn of_output_ends_at_the_start_limit_of_the_server(on: &Host) {
    for behavior in
        [Behavior::new().flood_stdout("no address"), Behavior::new().flood_stderr("an error")]
    {
        let world = ProgramWorld::new(on, behavior);
        let began = Instant::now();
        let settings = ServeSettings::new().with_start_limit(LIMIT).with_start_limit_max(LIMIT);
        let request = request_with(&world, settings);
        let error = world.opencode.serve(request).await.unwrap_err();
        assert!(matches!(error, ServeError::TimedOut { .. }), "{error:?}");
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        world.assert_nothing_left();
    }
}
