//! One request and its reply, with the attempts that the repeat policy allows.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use opencode_proto::api::{Pace, Repeat};
use opencode_proto::{Delivery, Retry, RetryCause, RetryPolicy};

use super::Inner;
use super::error::CallError;
use super::limits::HttpLimits;
use super::link::{Gathered, Link};
use super::observer::{ObservedCall, ObservedRequest};
use crate::runtime::Runtime;
use crate::runtime::wait::{Elapsed, within};

/// Limits and repeat policy of one call.
pub(super) struct CallTerms {
    pub(super) repeat: Repeat,
    pub(super) pace: Pace,
    pub(super) retry: RetryPolicy,
    /// Limit of all attempts together, with the time at which the limit ends.
    pub(super) timeout: Option<(Duration, Option<Instant>)>,
    pub(super) observed: Option<ObservedCall>,
}

impl CallTerms {
    /// Returns the limit of one reply from now on.
    pub(super) fn reply_limit(&self, limits: &HttpLimits, now: Instant) -> Option<Duration> {
        match (&self.timeout, self.pace) {
            (Some(_), _) => self.left(now),
            (None, Pace::Boot) => Some(limits.boot),
            (None, Pace::Quick) => Some(limits.reply),
            (None, Pace::Turn) => None,
        }
    }

    /// Leaves the limits to those of the server.
    pub(super) fn without_timeout(self) -> Self {
        Self { timeout: None, ..self }
    }

    /// Reports the start of a request, if there is an observer.
    pub(super) fn observe<'a>(&'a self, runtime: &'a dyn Runtime) -> Option<ObservedRequest<'a>> {
        self.observed.as_ref().map(|observed| observed.start(runtime))
    }

    /// Returns the time that is left for the call; `None` without a limit.
    fn left(&self, now: Instant) -> Option<Duration> {
        let (_, until) = self.timeout.as_ref()?;
        until.map(|until| until.saturating_duration_since(now))
    }
}

impl Inner {
    pub(super) async fn reply(
        &self,
        request: Request<Bytes>,
        terms: CallTerms,
    ) -> Result<Response<Bytes>, CallError> {
        let mut retry = Retry::new(terms.retry, self.runtime.random()).with_repeat(terms.repeat);
        loop {
            let mut observed = terms.observe(&*self.runtime);
            let outcome = match terms.repeat {
                Repeat::Never => self.once(&request, &terms).await,
                Repeat::Safe => self.kept_alive(&request, &terms).await,
            };
            if let (Some(observed), Ok(reply)) = (&mut observed, &outcome) {
                observed.status = Some(reply.status());
            }
            drop(observed);
            self.trace(&request, &outcome);
            let cause = match &outcome {
                Ok(reply) => RetryCause::reply(reply.status(), reply.headers()),
                // A certificate, or another fault that stays.
                Err(CallError::Connect { source, .. })
                    if source.kind() == io::ErrorKind::InvalidData =>
                {
                    return outcome;
                }
                Err(error @ (CallError::Connect { .. } | CallError::Lost { .. })) => {
                    if error.delivery() == Delivery::NotSent {
                        RetryCause::NotSent
                    } else {
                        RetryCause::Connection
                    }
                }
                Err(
                    CallError::Api(_)
                    | CallError::Directory { .. }
                    | CallError::Invalid { .. }
                    | CallError::TimedOut { .. }
                    | CallError::TooLarge { .. }
                    | CallError::Unsupported(_),
                ) => return outcome,
            };
            let now = self.runtime.now();
            let left = terms.left(now);
            match retry.handle_failure(&cause, now) {
                Some(at) if left.is_none_or(|left| at - now < left) => {
                    self.runtime.timer(at).await;
                }
                Some(_) | None => return outcome,
            }
        }
    }

    /// Sends the request over an idle connection, if there is one.
    async fn kept_alive(
        &self,
        request: &Request<Bytes>,
        terms: &CallTerms,
    ) -> Result<Response<Bytes>, CallError> {
        if let Some(link) = self.idle.take().await {
            match self.exchange(link, request, terms).await {
                // The server closed the idle connection during the write, which is no failure.
                Err(CallError::Lost {
                    delivery: Delivery::NotSent | Delivery::Unknown, ..
                }) => {}
                outcome => return outcome,
            }
        }
        self.once(request, terms).await
    }

    /// Sends the request over a new connection. An idle one may be closing, which would leave open
    /// whether the server has read the request.
    async fn once(
        &self,
        request: &Request<Bytes>,
        terms: &CallTerms,
    ) -> Result<Response<Bytes>, CallError> {
        let link = self.connect(request, terms).await?;
        self.exchange(link, request, terms).await
    }

    async fn exchange(
        &self,
        mut link: Link,
        request: &Request<Bytes>,
        terms: &CallTerms,
    ) -> Result<Response<Bytes>, CallError> {
        let limit = terms.reply_limit(&self.limits, self.runtime.now());
        let size_max = self.limits.body_size_max;
        let reply = async {
            let (head, body) = link.send(request.clone()).await?.into_parts();
            io::Result::Ok((head, link.gather(body, size_max).await?))
        };
        let reply = within(&*self.runtime, limit, reply).await;
        let (head, body) = self.complete(reply, request, link.delivery(), terms)?;
        let Gathered::Whole(body) = body else {
            return Err(CallError::TooLarge { request: self.name(request), limit: size_max });
        };
        self.idle.put(link).await;
        Ok(Response::from_parts(head, body))
    }

    pub(super) async fn connect(
        &self,
        request: &Request<Bytes>,
        terms: &CallTerms,
    ) -> Result<Link, CallError> {
        let connecting = async {
            let to = &self.endpoint;
            let connection = self.runtime.connect(to.host(), to.port()).await?;
            #[cfg(feature = "tls")]
            let connection = match &self.tls {
                Some(tls) => tls.connect(to.host(), connection).await?,
                None => connection,
            };
            Link::new(connection).await
        };
        let left = terms.left(self.runtime.now());
        let limit = left.map_or(self.limits.connect, |left| left.min(self.limits.connect));
        match within(&*self.runtime, Some(limit), connecting).await {
            Ok(connected) => connected,
            Err(elapsed) if left == Some(limit) => {
                return self.complete(Err(elapsed), request, Delivery::NotSent, terms);
            }
            Err(Elapsed(limit)) => Err(late(limit)),
        }
        .map_err(|source| CallError::Connect { request: self.name(request), source })
    }

    /// Turns a missing or late reply into an error.
    pub(super) fn complete<T>(
        &self,
        reply: Result<io::Result<T>, Elapsed>,
        request: &Request<Bytes>,
        delivery: Delivery,
        terms: &CallTerms,
    ) -> Result<T, CallError> {
        match reply {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(source)) => {
                Err(CallError::Lost { request: self.name(request), delivery, source })
            }
            Err(Elapsed(limit)) => Err(CallError::TimedOut {
                request: self.name(request),
                delivery,
                limit: terms.timeout.map_or(limit, |(timeout, _)| timeout),
            }),
        }
    }

    /// Method and URL of a request, without the query.
    pub(super) fn name(&self, request: &Request<Bytes>) -> String {
        // The base of the endpoint is in the path already.
        format!("{} {}{}", request.method(), self.endpoint.origin(), request.uri().path())
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
