//! Instrumentation of requests.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use opencode_proto::api::RouteTemplate;

use crate::runtime::Runtime;

/// Start or end of one request, as an observer sees it
/// ([`CallOptions::with_observer`](super::CallOptions::with_observer)). A call that is repeated has
/// several requests.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestNotice<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path with names in place of ids: `/session/{sessionID}/message`. Never the query.
    pub route: &'a str,
    /// The event.
    pub event: RequestEvent,
}

/// Event of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestEvent {
    /// The request begins, with the connection.
    Started,
    /// The reply is complete, or there will be none. A reply whose body is a stream is complete
    /// with the head.
    #[non_exhaustive]
    Finished {
        /// Status of the reply; `None` when the request failed or was dropped.
        status: Option<StatusCode>,
        /// Time since the start.
        duration: Duration,
    },
}

/// Function that is called with every notice.
#[derive(Clone)]
pub(crate) struct Observer(Arc<dyn Fn(&RequestNotice<'_>) + Send + Sync>);

impl Observer {
    pub(crate) fn new(observe: impl Fn(&RequestNotice<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// Observer of the requests of one call, with the route.
pub(super) struct ObservedCall {
    observer: Observer,
    method: Method,
    route: RouteTemplate,
}

impl ObservedCall {
    pub(super) fn new(observer: &Observer, request: &Request<Bytes>) -> Self {
        let (method, route) = (request.method().clone(), RouteTemplate::of(request));
        Self { observer: observer.clone(), method, route }
    }

    /// Reports the start of a request.
    pub(super) fn start<'a>(&'a self, runtime: &'a dyn Runtime) -> ObservedRequest<'a> {
        self.report(RequestEvent::Started);
        ObservedRequest { call: self, runtime, started: runtime.now(), status: None }
    }

    fn report(&self, event: RequestEvent) {
        (self.observer.0)(&RequestNotice {
            method: &self.method,
            route: self.route.as_str(),
            event,
        });
    }
}

/// A request that has started. The drop reports the end, so that every start has an end.
pub(super) struct ObservedRequest<'a> {
    call: &'a ObservedCall,
    runtime: &'a dyn Runtime,
    started: Instant,
    pub(super) status: Option<StatusCode>,
}

impl Drop for ObservedRequest<'_> {
    fn drop(&mut self) {
        let duration = self.runtime.now().saturating_duration_since(self.started);
        self.call.report(RequestEvent::Finished { status: self.status, duration });
    }
}
