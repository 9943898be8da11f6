use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::http::Requests;
use crate::request::Request;
use crate::watched::Watched;

use super::events;
use super::reply::{Kind, Reply};
use super::state::State;
use super::usual::{Usual, usual};

/// Serves one connection until it ends.
pub(super) fn serve(stream: TcpStream, state: &Watched<State>) {
    let stream = Arc::new(stream);
    let Some(number) = state.update(|state| state.enter(Arc::clone(&stream))) else { return };
    // Events are small and must leave at once. An error is a client that is gone.
    let _ = stream.set_nodelay(true);
    let _ = answer_all(number, &stream, state);
    state.update(|state| {
        state.leave(number);
        drop(stream);
    });
}

fn answer_all(number: u64, mut stream: &TcpStream, state: &Watched<State>) -> io::Result<()> {
    let mut requests = Requests::new(stream);
    // A request that cannot be read ends the connection as a client that leaves does.
    while let Ok(Some((head, body))) = requests.next() {
        let request = Arc::new(Request::new(head, body));
        let reply = state.update(|state| {
            state.requests.push(Arc::clone(&request));
            if state.script.lets_in(&request) { state.script.reply(&request) } else { locked_out() }
        });
        if let Some(gate) = &reply.gate {
            gate.wait(|| state.read(State::is_stopping));
        }
        let response = match &reply.kind {
            Kind::Response { .. } => reply.bytes(),
            Kind::Close => return Ok(()),
            Kind::Never => {
                let mut ignored = [0; 1024];
                while stream.read(&mut ignored)? > 0 {}
                return Ok(());
            }
            Kind::Usual => match state.update(|state| usual(&request, state)) {
                Usual::Reply(reply) => reply.bytes(),
                Usual::Events(kind) => return events::stream(number, stream, kind, state),
            },
        };
        stream.write_all(&response.unwrap_or_default())?;
        if !request.keeps_alive() {
            return Ok(());
        }
    }
    Ok(())
}

fn locked_out() -> Reply {
    Reply::status(401).with_header("www-authenticate", "Basic realm=\"Secure Area\"")
}
