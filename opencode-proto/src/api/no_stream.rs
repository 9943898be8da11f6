use bytes::Bytes;
use http::{Method, Response};
use serde::de::Error;

use super::{ApiError, ApiErrorKind};

impl ApiError {
    /// What the reply to `GET` of an event stream (`/event`, `/global/event`) is when it is no event stream.
    pub fn no_stream(path: &str, response: Response<Bytes>) -> Self {
        let kind = ApiErrorKind::read(&response).unwrap_or_else(|| {
            let error = serde_json::Error::custom("it is no event stream");
            ApiErrorKind::Unreadable(error.into())
        });
        Self::new(Method::GET, path.to_owned(), kind, response)
    }
}
