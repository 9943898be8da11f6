use std::sync::Arc;

use crate::request::{PATIENCE, Pattern, Request};
use crate::watched::Watched;

/// Requests and event streams that a server or a proxy for tests has seen.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) requests: Vec<Arc<Request>>,
    /// Number of all event streams opened so far.
    pub(crate) streams_opened: usize,
}

/// State of a server or a proxy whose traffic tests wait for.
pub(crate) trait HasTraffic {
    fn traffic(&self) -> &Traffic;

    /// Number of event streams that are open now.
    fn streams_open(&self) -> usize;
}

impl<S: HasTraffic> Watched<S> {
    pub(crate) fn requests(&self) -> Vec<Arc<Request>> {
        self.read(|state| state.traffic().requests.clone())
    }

    pub(crate) fn requests_to(&self, method: &str, path: &str) -> Vec<Arc<Request>> {
        Pattern::new(method, path).among(&self.requests())
    }

    #[track_caller]
    pub(crate) fn wait_for_requests(
        &self,
        method: &str,
        path: &str,
        count: usize,
    ) -> Vec<Arc<Request>> {
        let pattern = Pattern::new(method, path);
        self.wait_for(&format!("request {count} to {method} {path}"), |state| {
            let found = pattern.among(&state.traffic().requests);
            Some(found).filter(|requests| requests.len() >= count)
        })
    }

    #[track_caller]
    pub(crate) fn wait_for_events(&self, count: usize) {
        self.wait_for(&format!("event stream {count}"), |state| {
            (state.traffic().streams_opened >= count).then_some(())
        });
    }

    #[track_caller]
    pub(crate) fn wait_for_open_events(&self, count: usize) {
        self.wait_for(&format!("{count} open event streams"), |state| {
            (state.streams_open() == count).then_some(())
        });
    }

    /// Blocks until `look` returns `Some`, and panics with the requests so far at the limit.
    #[track_caller]
    pub(crate) fn wait_for<R>(&self, subject: &str, look: impl FnMut(&S) -> Option<R>) -> R {
        self.wait_within(PATIENCE, look).unwrap_or_else(|| {
            panic!("no {subject} within {PATIENCE:?}; requests so far: {:#?}", self.requests())
        })
    }
}

/// Defines the public methods that wait for traffic, for a type with a field `state`.
macro_rules! traffic_methods {
    ($owner:ty) => {
        impl $owner {
            /// Requests so far, in order, refused and broken ones included.
            #[must_use]
            pub fn requests(&self) -> Vec<std::sync::Arc<crate::request::Request>> {
                self.state.requests()
            }

            /// Requests so far with this method and path, in order.
            #[must_use]
            pub fn requests_to(
                &self,
                method: &str,
                path: &str,
            ) -> Vec<std::sync::Arc<crate::request::Request>> {
                self.state.requests_to(method, path)
            }

            /// Blocks until a request with this method and path has arrived, and returns the first.
            ///
            /// # Panics
            ///
            /// After 60 seconds.
            #[track_caller]
            pub fn wait_for_request(
                &self,
                method: &str,
                path: &str,
            ) -> std::sync::Arc<crate::request::Request> {
                self.wait_for_requests(method, path, 1).remove(0)
            }

            /// Blocks until `n` requests with this method and path have arrived, and returns all.
            ///
            /// # Panics
            ///
            /// After 60 seconds.
            #[track_caller]
            pub fn wait_for_requests(
                &self,
                method: &str,
                path: &str,
                n: usize,
            ) -> Vec<std::sync::Arc<crate::request::Request>> {
                self.state.wait_for_requests(method, path, n)
            }

            /// Blocks until `n` event streams in total have been opened with status 200.
            ///
            /// # Panics
            ///
            /// After 60 seconds.
            #[track_caller]
            pub fn wait_for_events(&self, n: usize) {
                self.state.wait_for_events(n);
            }

            /// Blocks until exactly `n` event streams are open, such as 0 after the client closed
            /// all of them.
            ///
            /// # Panics
            ///
            /// After 60 seconds.
            #[track_caller]
            pub fn wait_for_open_events(&self, n: usize) {
                self.state.wait_for_open_events(n);
            }
        }
    };
}

pub(crate) use traffic_methods;
