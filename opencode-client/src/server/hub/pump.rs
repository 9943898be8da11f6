//! The task that carries out the actions of the hub's machine. The machine makes all decisions.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::http::{CallError, EventBody};
use crate::log::describe;
use crate::runtime::Timer;
use crate::runtime::wait::is_due;

use super::{HubPhase, HubServer, Shared, Task};

/// Maximum number of chunks to read before the task yields to other tasks.
const CHUNKS_MAX: usize = 32;

enum HubBody {
    None,
    Open(Box<EventBody>),
    Opening(Pin<Box<dyn Future<Output = Result<EventBody, CallError>> + Send>>),
}

/// Runs the hub until the stream is finished or the server is dropped.
pub(super) async fn run(shared: Arc<Shared>, server: HubServer) {
    let mut connection = HubBody::None;
    let mut timer: Option<Pin<Box<dyn Timer>>> = None;
    let exit = server.exit.clone();
    let mut exited = std::pin::pin!(async move { exit.exited().await });
    let mut has_exited = false;
    poll_fn(|cx| {
        for _ in 0..CHUNKS_MAX {
            let mut wakers = Vec::new();
            let mut state = shared.lock();
            if state.is_closed {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            let task = state.next_task(&mut wakers);
            let is_finished = matches!(state.phase, HubPhase::Finished(_));
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            if is_finished {
                return Poll::Ready(());
            }
            let wake = match task {
                Task::Connect(path) => {
                    let (http, directory) = (server.http.clone(), server.directory.clone());
                    connection = HubBody::Opening(Box::pin(async move {
                        http.events(path, directory.as_deref()).await
                    }));
                    continue;
                }
                Task::Disconnect => {
                    connection = HubBody::None;
                    continue;
                }
                Task::Wait(wake) => wake,
            };
            let mut moved = poll_connection(&shared, &server, &mut connection, cx);
            if !has_exited && exited.as_mut().poll(cx).is_ready() {
                has_exited = true;
                shared.lock().machine.handle_exit();
                moved = true;
            }
            if is_due(&*server.runtime, &mut timer, wake, cx) {
                shared.lock().machine.handle_timeout(server.runtime.now());
                moved = true;
            }
            if !moved {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls the connection and returns `true` if the machine received an input.
fn poll_connection(
    shared: &Shared,
    server: &HubServer,
    connection: &mut HubBody,
    cx: &mut Context<'_>,
) -> bool {
    match connection {
        HubBody::None => false,
        HubBody::Opening(opening) => {
            let Poll::Ready(opened) = opening.as_mut().poll(cx) else { return false };
            let now = server.runtime.now();
            let machine = &mut shared.lock().machine;
            *connection = HubBody::None;
            match opened {
                Ok(body) => {
                    *connection = HubBody::Open(Box::new(body));
                    machine.handle_head(now);
                }
                Err(CallError::Api(error)) => machine.handle_refused(error, now),
                Err(error) => {
                    let reason = describe(&error);
                    if error.is_refused_connection() {
                        machine.handle_no_listener(reason, now);
                    } else {
                        machine.handle_lost(reason, now);
                    }
                }
            }
            true
        }
        HubBody::Open(body) => {
            let Poll::Ready(chunk) = body.poll_chunk(cx) else { return false };
            let now = server.runtime.now();
            let machine = &mut shared.lock().machine;
            match chunk {
                Some(Ok(chunk)) => machine.handle_chunk(chunk, now),
                Some(Err(error)) => {
                    *connection = HubBody::None;
                    machine.handle_lost(error.to_string(), now);
                }
                None => {
                    *connection = HubBody::None;
                    machine.handle_end(now);
                }
            }
            true
        }
    }
}
