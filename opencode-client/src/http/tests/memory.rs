//! A runtime whose connections lead to the test.

use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::http::{Endpoint, Http, HttpLimits};
use crate::runtime::{Connecting, Connection, Process, Runtime, Timer};

/// A client, and the server that it speaks to.
pub(crate) fn world(limits: HttpLimits) -> (Http, Server) {
    world_at("http://127.0.0.1:4096", limits)
}

pub(super) fn world_at(url: &str, limits: HttpLimits) -> (Http, Server) {
    let (give, incoming) = unbounded_channel();
    let connects = Arc::new(AtomicUsize::new(0));
    let runtime = Memory { connects: Arc::clone(&connects), network: Network::Up(give) };
    let http = Http::new(Arc::new(runtime), Endpoint::parse(url, None).unwrap(), limits);
    (http, Server { incoming, connects })
}

/// A client in a network that says nothing to anybody.
pub(super) fn silent_world(limits: HttpLimits) -> Http {
    let runtime = Memory { connects: Arc::default(), network: Network::Silent };
    Http::new(Arc::new(runtime), Endpoint::parse("http://10.1.1.1", None).unwrap(), limits)
}

pub(crate) struct Server {
    incoming: UnboundedReceiver<DuplexStream>,
    connects: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn accept(&mut self) -> Peer {
        Peer { stream: soon(self.incoming.recv()).await.unwrap() }
    }

    /// How often the client has tried to connect.
    pub(crate) fn connects(&self) -> usize {
        self.connects.load(Ordering::Relaxed)
    }

    /// Refuses all connections from now on. The number is counted on.
    pub(super) fn refuse(self) -> impl Fn() -> usize {
        let connects = self.connects;
        move || connects.load(Ordering::Relaxed)
    }
}

/// The server's end of a connection. Dropping it closes it.
pub(crate) struct Peer {
    stream: DuplexStream,
}

impl Peer {
    /// The next request, head and body.
    pub(super) async fn request(&mut self) -> String {
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            text.push(soon(self.stream.read_u8()).await.unwrap().into());
        }
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut body).await.unwrap();
        text + &String::from_utf8(body).unwrap()
    }

    pub(super) async fn write(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).await.unwrap();
    }

    /// A whole reply, with JSON in it.
    pub(super) async fn reply(&mut self, status: u16, headers: &str, body: &str) {
        let length = body.len();
        self.write(format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             {headers}\r\n{body}"
        ))
        .await;
    }

    /// Reads a request and answers it.
    pub(crate) async fn serve(&mut self, status: u16, headers: &str, body: &str) -> String {
        let request = self.request().await;
        self.reply(status, headers, body).await;
        request
    }

    /// Says that nothing more will be said.
    pub(super) async fn end(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Waits until the client has closed the connection, without another word.
    pub(super) async fn closed(mut self) {
        let mut rest = String::new();
        soon(self.stream.read_to_string(&mut rest)).await.unwrap();
        assert_eq!(rest, "");
    }
}

/// What never happens fails a test instead of holding it up. The time is virtual.
async fn soon<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(3600), future).await.expect("it happens within an hour")
}

#[derive(Debug)]
struct Memory {
    connects: Arc<AtomicUsize>,
    network: Network,
}

#[derive(Debug)]
enum Network {
    Silent,
    Up(UnboundedSender<DuplexStream>),
}

impl Runtime for Memory {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        Box::pin(Sleep(Box::pin(tokio::time::sleep_until(at.into()))))
    }

    fn blocking(&self, _: Box<dyn FnOnce() + Send>) {
        unreachable!("nothing in HTTP blocks");
    }

    fn process(&self, _: Command) -> io::Result<Process> {
        unreachable!("nothing in HTTP starts processes");
    }

    fn connect(&self, _: &str, _: u16) -> Connecting {
        self.connects.fetch_add(1, Ordering::Relaxed);
        let Network::Up(server) = &self.network else { return Box::pin(pending()) };
        let (near, far) = duplex(64 << 10);
        let connected = server.send(far).map_err(|_| io::ErrorKind::ConnectionRefused.into());
        Box::pin(async { connected.map(|()| Box::new(TokioIo::new(near)) as Box<dyn Connection>) })
    }

    fn spawn(&self, _: Pin<Box<dyn Future<Output = ()> + Send>>) {
        unreachable!("nothing in HTTP goes on by itself");
    }
}

struct Sleep(Pin<Box<tokio::time::Sleep>>);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Timer for Sleep {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0.as_mut().reset(at.into());
    }
}
