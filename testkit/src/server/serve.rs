use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::http::Requests;
use crate::request::Request;
use crate::watched::Watched;

use super::events;
use super::reply::{ReplyKind, ServerReply};
use super::state::FakeServerState;
use super::unscripted::{Unscripted, unscripted};

/// Serves one connection until it ends.
pub(super) fn serve(stream: TcpStream, state: &Watched<FakeServerState>) {
    let stream = Arc::new(stream);
    let Some(number) = state.update(|state| state.enter(Arc::clone(&stream))) else { return };
    // Events are small and must be sent at once. An error means that the client has disconnected.
    let _ = stream.set_nodelay(true);
    let _ = answer_all(number, &stream, state);
    state.update(|state| {
        state.leave(number);
        drop(stream);
    });
}

fn answer_all(
    number: u64,
    mut stream: &TcpStream,
    state: &Watched<FakeServerState>,
) -> io::Result<()> {
    let mut requests = Requests::new(stream);
    // A malformed request ends the connection, as a client that disconnects does.
    while let Ok(Some((head, body))) = requests.next() {
        let request = Arc::new(Request::new(head, body));
        let reply = state.update(|state| {
            state.traffic.requests.push(Arc::clone(&request));
            if state.script.lets_in(&request) { state.script.reply(&request) } else { locked_out() }
        });
        if let Some(gate) = &reply.gate {
            gate.wait(|| state.read(FakeServerState::is_stopping));
        }
        let response = match &reply.kind {
            ReplyKind::Response { .. } => reply.bytes(),
            ReplyKind::Close => return Ok(()),
            ReplyKind::Never => {
                let mut ignored = [0; 1024];
                while stream.read(&mut ignored)? > 0 {}
                return Ok(());
            }
            ReplyKind::Unscripted => match state.update(|state| unscripted(&request, state)) {
                Unscripted::Reply(reply) => reply.bytes(),
                Unscripted::Events(kind) => return events::stream(number, stream, kind, state),
            },
        };
        stream.write_all(&response.unwrap_or_default())?;
        if !request.keeps_alive() {
            return Ok(());
        }
    }
    Ok(())
}

fn locked_out() -> ServerReply {
    ServerReply::status(401).with_header("www-authenticate", "Basic realm=\"Secure Area\"")
}
