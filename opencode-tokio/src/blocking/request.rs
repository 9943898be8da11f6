use std::error::Error;
use std::fmt::Display;

use opencode_client::CallError;
use opencode_client::api::Repeat;
use opencode_client::api::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use opencode_client::bytes::Bytes;
use opencode_client::serde::Serialize;
use opencode_client::serde::de::DeserializeOwned;
use opencode_client::server::{ApiEvent, HttpReply};

use super::worker::Held;

/// Blocking form of [`HttpRequest`](crate::server::HttpRequest).
#[derive(Debug)]
#[must_use = "a request is sent by `send` or `stream`"]
pub struct HttpRequest(pub(super) Held<crate::server::HttpRequest>);

impl HttpRequest {
    /// Blocking form of [`HttpRequest::query`](crate::server::HttpRequest::query).
    pub fn query(self, name: &str, value: impl Display) -> Self {
        Self(self.0.map(|request| request.query(name, value)))
    }

    /// Blocking form of [`HttpRequest::header`](crate::server::HttpRequest::header).
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<Box<dyn Error + Send + Sync>>>,
        V: TryInto<HeaderValue, Error: Into<Box<dyn Error + Send + Sync>>>,
    {
        Self(self.0.map(|request| request.header(name, value)))
    }

    /// Blocking form of [`HttpRequest::json`](crate::server::HttpRequest::json).
    pub fn json(self, body: &(impl Serialize + ?Sized)) -> Self {
        Self(self.0.map(|request| request.json(body)))
    }

    /// Blocking form of [`HttpRequest::body`](crate::server::HttpRequest::body).
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self(self.0.map(|request| request.body(body)))
    }

    /// Blocking form of [`HttpRequest::repeat`](crate::server::HttpRequest::repeat).
    pub fn repeat(self, repeat: Repeat) -> Self {
        Self(self.0.map(|request| request.repeat(repeat)))
    }

    /// Blocking form of [`HttpRequest::send`](crate::server::HttpRequest::send).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn send(self) -> Result<HttpReply, CallError> {
        self.0.end(async |request| request.send().await)
    }

    /// Blocking form of [`HttpRequest::stream`](crate::server::HttpRequest::stream).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn stream(self) -> Result<HttpStream, CallError> {
        let worker = self.0.beside(());
        let stream = self.0.end(async |request| request.stream().await)?;
        Ok(HttpStream(worker.beside(stream)))
    }

    /// Blocking form of [`HttpRequest::events`](crate::server::HttpRequest::events).
    ///
    /// # Errors
    ///
    /// The errors of the async method.
    pub fn events<T: DeserializeOwned>(self) -> Result<ApiEvents<T>, CallError> {
        let worker = self.0.beside(());
        let events = self.0.end(async |request| request.events().await)?;
        Ok(ApiEvents(worker.beside(events)))
    }
}

/// Blocking form of [`ApiEvents`](crate::server::ApiEvents): an iterator over the events.
#[derive(Debug)]
#[must_use = "events wait until they are read"]
pub struct ApiEvents<T>(Held<crate::server::ApiEvents<T>>);

impl<T: DeserializeOwned> ApiEvents<T> {
    /// Blocking form of [`ApiEvents::headers`](crate::server::ApiEvents::headers).
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }
}

impl<T: DeserializeOwned> Iterator for ApiEvents<T> {
    type Item = Result<ApiEvent<T>, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.wait_mut(async |events| events.next_event().await)
    }
}

/// Blocking form of [`HttpStream`](crate::server::HttpStream): an iterator over the chunks of the
/// body.
#[derive(Debug)]
#[must_use = "the body is read by the iterator"]
pub struct HttpStream(Held<crate::server::HttpStream>);

impl HttpStream {
    /// Blocking form of [`HttpStream::status`](crate::server::HttpStream::status).
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// Blocking form of [`HttpStream::headers`](crate::server::HttpStream::headers).
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }
}

impl Iterator for HttpStream {
    type Item = Result<Bytes, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.wait_mut(async |stream| stream.next_chunk().await)
    }
}
