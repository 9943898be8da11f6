//! One request and its reply, with the attempts that the repeat policy allows.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use opencode_proto::api::{Pace, Repeat};
use opencode_proto::{Delivery, Retry, RetryCause, RetryPolicy};

use super::Inner;
use super::error::CallError;
use super::link::{Gathered, Link};
use crate::runtime::wait::{Elapsed, within};

impl Inner {
    pub(super) async fn reply(
        &self,
        request: Request<Bytes>,
        repeat: Repeat,
        pace: Pace,
    ) -> Result<Response<Bytes>, CallError> {
        let policy = match repeat {
            Repeat::Never => RetryPolicy::NONE,
            Repeat::Safe => self.limits.retry,
        };
        let mut retry = Retry::new(policy, self.runtime.random());
        loop {
            let outcome = match repeat {
                Repeat::Never => self.once(&request, pace).await,
                Repeat::Safe => self.kept_alive(&request, pace).await,
            };
            self.trace(&request, &outcome);
            let cause = match &outcome {
                Ok(reply) => RetryCause::reply(reply.status(), reply.headers()),
                Err(CallError::Connect { .. } | CallError::Lost { .. }) => RetryCause::Connection,
                Err(
                    CallError::Api(_)
                    | CallError::Directory { .. }
                    | CallError::TimedOut { .. }
                    | CallError::TooLarge { .. },
                ) => return outcome,
            };
            match retry.handle_failure(&cause, self.runtime.now()) {
                Some(at) => self.runtime.timer(at).await,
                None => return outcome,
            }
        }
    }

    /// Sends the request over an idle connection, if there is one.
    async fn kept_alive(
        &self,
        request: &Request<Bytes>,
        pace: Pace,
    ) -> Result<Response<Bytes>, CallError> {
        if let Some(link) = self.idle.take().await {
            match self.exchange(link, request, pace).await {
                // The server closed the idle connection during the write, which is no failure.
                Err(CallError::Lost {
                    delivery: Delivery::NotSent | Delivery::Unknown, ..
                }) => {}
                outcome => return outcome,
            }
        }
        self.once(request, pace).await
    }

    /// Sends the request over a new connection. An idle one may be closing, which would leave open
    /// whether the server has read the request.
    async fn once(
        &self,
        request: &Request<Bytes>,
        pace: Pace,
    ) -> Result<Response<Bytes>, CallError> {
        let link = self.connect(request).await?;
        self.exchange(link, request, pace).await
    }

    async fn exchange(
        &self,
        mut link: Link,
        request: &Request<Bytes>,
        pace: Pace,
    ) -> Result<Response<Bytes>, CallError> {
        let limit = match pace {
            Pace::Boot => Some(self.limits.boot),
            Pace::Quick => Some(self.limits.reply),
            Pace::Turn => None,
        };
        let size_max = self.limits.body_size_max;
        let reply = async {
            let (head, body) = link.send(request.clone()).await?.into_parts();
            io::Result::Ok((head, link.gather(body, size_max).await?))
        };
        let reply = within(&*self.runtime, limit, reply).await;
        let (head, body) = self.complete(reply, request, link.delivery())?;
        let Gathered::Whole(body) = body else {
            return Err(CallError::TooLarge { request: self.name(request), limit: size_max });
        };
        self.idle.put(link).await;
        Ok(Response::from_parts(head, body))
    }

    pub(super) async fn connect(&self, request: &Request<Bytes>) -> Result<Link, CallError> {
        let connecting = async {
            let to = &self.endpoint;
            Link::new(self.runtime.connect(to.host(), to.port()).await?).await
        };
        let connected = within(&*self.runtime, Some(self.limits.connect), connecting).await;
        connected
            .unwrap_or_else(|Elapsed(limit)| Err(late(limit)))
            .map_err(|source| CallError::Connect { request: self.name(request), source })
    }

    /// Turns a missing or late reply into an error.
    pub(super) fn complete<T>(
        &self,
        reply: Result<io::Result<T>, Elapsed>,
        request: &Request<Bytes>,
        delivery: Delivery,
    ) -> Result<T, CallError> {
        match reply {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(source)) => {
                Err(CallError::Lost { request: self.name(request), delivery, source })
            }
            Err(Elapsed(limit)) => {
                Err(CallError::TimedOut { request: self.name(request), delivery, limit })
            }
        }
    }

    /// Method and URL of a request, without the query.
    fn name(&self, request: &Request<Bytes>) -> String {
        // The base of the endpoint is in the path already.
        format!("{} http://{}{}", request.method(), self.endpoint.place(), request.uri().path())
    }

    fn trace(&self, request: &Request<Bytes>, outcome: &Result<Response<Bytes>, CallError>) {
        let (method, path) = (request.method(), request.uri().path());
        match outcome {
            Ok(reply) => {
                let status = reply.status().as_u16();
                tracing::debug!(%method, path, status, "request answered");
            }
            Err(error) => tracing::debug!(%method, path, %error, "request failed"),
        }
    }
}

fn late(limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no connection in {limit:?}"))
}
