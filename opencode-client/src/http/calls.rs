//! The executor of the API calls that machines make.

use std::task::{Context, Poll};

use opencode_proto::{ApiCall, ApiCallId, ApiReply};

use super::Http;
use crate::runtime::wait::BoxFuture;

/// Calls of one machine that are on their way. Dropping the executor closes their connections.
pub(crate) struct Calls {
    http: Http,
    /// The directory that the machine is about; `None` for the one of the server.
    directory: Option<String>,
    open: Vec<(ApiCallId, BoxFuture<ApiReply>)>,
}

impl Calls {
    pub(crate) fn new(http: Http, directory: Option<String>) -> Self {
        Self { http, directory, open: Vec::new() }
    }

    /// Sends a call.
    pub(crate) fn begin(&mut self, call: ApiCall) {
        let (id, http, directory) = (call.id, self.http.clone(), self.directory.clone());
        let reply = async move { http.answer(call, directory.as_deref()).await };
        self.open.push((id, Box::pin(reply)));
    }

    /// Drops the calls whose replies nothing waits for.
    pub(crate) fn retain(&mut self, is_awaited: impl Fn(ApiCallId) -> bool) {
        self.open.retain(|(id, _)| is_awaited(*id));
    }

    /// Returns the next reply. Pending without a wake when no call is on its way.
    pub(crate) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<(ApiCallId, ApiReply)> {
        for (place, (id, reply)) in self.open.iter_mut().enumerate() {
            if let Poll::Ready(reply) = reply.as_mut().poll(cx) {
                let id = *id;
                drop(self.open.remove(place));
                return Poll::Ready((id, reply));
            }
        }
        Poll::Pending
    }
}
