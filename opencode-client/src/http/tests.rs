//! HTTP against servers in memory, in virtual time.
#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

mod calls;
mod executor;
mod keep_alive;
pub(crate) mod memory;
mod options;
mod retries;
mod streams;

use bytes::Bytes;
use http::{Method, Request, Response};
use opencode_proto::api::{ApiError, Operation, Pace, Repeat};

use super::{CallError, Http};

/// Calls without a directory.
async fn ask(http: &Http, ask: Ask) -> Result<Response<Bytes>, CallError> {
    http.call(&ask, None).await
}

/// An operation that takes every reply as it is.
struct Ask {
    method: Method,
    path: &'static str,
    body: &'static str,
    repeat: Repeat,
    pace: Pace,
}

const fn get(path: &'static str) -> Ask {
    Ask { method: Method::GET, path, body: "", repeat: Repeat::Safe, pace: Pace::Quick }
}

const fn post(path: &'static str, body: &'static str) -> Ask {
    Ask { method: Method::POST, path, body, repeat: Repeat::Never, pace: Pace::Quick }
}

impl Operation for Ask {
    type Output = Response<Bytes>;

    fn request(&self) -> Request<Bytes> {
        let request = Request::builder().method(self.method.clone()).uri(self.path);
        request.body(Bytes::from_static(self.body.as_bytes())).unwrap()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Self::Output, ApiError> {
        Ok(response)
    }

    fn repeat(&self) -> Repeat {
        self.repeat
    }

    fn pace(&self) -> Pace {
        self.pace
    }
}
