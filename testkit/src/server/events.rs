use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::thread;

use crate::http::{begin_stream, write_chunk};
use crate::request::EventStream;
use crate::watched::Watched;

use super::state::{FakeServerState, StreamItem};

/// Sends events until the client disconnects or the stream ends, then closes the connection.
pub(super) fn stream(
    number: u64,
    client: &TcpStream,
    kind: EventStream,
    state: &Watched<FakeServerState>,
) -> io::Result<()> {
    // Registered before the client sees the head, so that no later event is lost.
    let directory = state.update(|state| {
        state.open_stream(number, kind);
        state.script.directory(None)
    });
    thread::scope(|scope| {
        let name = thread::current().name().unwrap_or_default().to_owned();
        thread::Builder::new().name(name).spawn_scoped(scope, || {
            wait_for_end(client);
            state.update(|state| state.streams.remove(&number));
        })?;
        let sent = begin(client).and_then(|()| send_all(number, client, kind, &directory, state));
        // This wakes the other thread.
        let _ = client.shutdown(Shutdown::Both);
        sent
    })
}

/// Sends the response head of the real server.
fn begin(client: &TcpStream) -> io::Result<()> {
    let headers = [("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no")];
    begin_stream(client, 200, &headers.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

fn send_all(
    number: u64,
    client: &TcpStream,
    kind: EventStream,
    directory: &str,
    state: &Watched<FakeServerState>,
) -> io::Result<()> {
    // No queue means that the client has disconnected or the server is stopping.
    let next = |state: &mut FakeServerState| match state.streams.get_mut(&number) {
        Some(queue) => queue.pop_front().map(Some),
        None => Some(None),
    };
    while let Some(item) = state.wait(next) {
        match (item, kind) {
            (StreamItem::Event(json), EventStream::Directory) => {
                write_chunk(client, format!("data: {json}\n\n").as_bytes())?;
            }
            (StreamItem::Event(json), EventStream::Global) => {
                let directory = serde_json::Value::from(directory);
                let event = format!("data: {{\"directory\":{directory},\"payload\":{json}}}\n\n");
                write_chunk(client, event.as_bytes())?;
            }
            (StreamItem::Raw(bytes), _) if bytes.is_empty() => {}
            (StreamItem::Raw(bytes), _) => write_chunk(client, &bytes)?,
            (StreamItem::End, _) => return write_chunk(client, b""),
        }
    }
    Ok(())
}

fn wait_for_end(mut client: &TcpStream) {
    let mut ignored = [0; 1024];
    while client.read(&mut ignored).is_ok_and(|size| size > 0) {}
}
