//! A server that answers the calls of a turn from written state.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};

use crate::call::{ApiCall, ApiReply};

/// State of a server, as JSON, and the replies that follow from it.
#[derive(Clone, Debug, Default)]
pub struct WrittenServer {
    /// Statuses of the sessions that are not idle.
    pub statuses: BTreeMap<String, String>,
    /// Messages of each session in order, each with an id.
    pub messages: BTreeMap<String, Vec<WrittenMessage>>,
    /// Children of each session.
    pub children: BTreeMap<String, Vec<String>>,
    /// Permission requests that wait.
    pub permissions: Vec<String>,
    /// Questions that wait.
    pub questions: Vec<String>,
    /// Messages per page. 0: as many as asked for.
    pub page: usize,
}

/// A message of a [`WrittenServer`].
#[derive(Clone, Debug)]
pub struct WrittenMessage {
    /// Id of the message.
    pub id: String,
    /// The message without parts.
    pub info: String,
    /// The parts.
    pub parts: Vec<String>,
}

impl WrittenServer {
    /// Returns the reply to a call.
    pub fn reply(&self, call: &ApiCall) -> ApiReply {
        Ok(self.respond(&call.request))
    }

    fn respond(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let path: Vec<_> = request.uri().path().split('/').skip(1).collect();
        match (request.method(), path.as_slice()) {
            (&Method::GET, ["session", "status"]) => {
                let status = |(session, status)| format!(r#""{session}":{status}"#);
                let statuses: Vec<_> = self.statuses.iter().map(status).collect();
                json(format!("{{{}}}", statuses.join(",")))
            }
            (&Method::GET, ["session", session, "message"]) => self.page(session, request),
            (&Method::GET, ["session", session, "message", id]) => self.message(session, id),
            (&Method::GET, ["session", session, "children"]) => {
                let child = |child| format!(r#"{{"id":"{child}","parentID":"{session}"}}"#);
                json(list(self.children.get(*session).into_iter().flatten().map(child)))
            }
            (&Method::GET, ["session", session]) => json(format!(r#"{{"id":"{session}"}}"#)),
            (&Method::GET, ["permission"]) => json(list(self.permissions.iter().cloned())),
            (&Method::GET, ["question"]) => json(list(self.questions.iter().cloned())),
            (&Method::GET, ["config"]) => json(r#"{"model":"configured/model"}"#),
            _ => json("true"),
        }
    }

    fn page(&self, session: &str, request: &Request<Bytes>) -> Response<Bytes> {
        let messages = self.messages.get(session).map_or(&[][..], Vec::as_slice);
        let query = request.uri().query().unwrap_or_default();
        let before = query.split('&').find_map(|pair| pair.strip_prefix("before="));
        let end = before.and_then(|before| before.parse().ok()).unwrap_or(messages.len());
        let first = if self.page == 0 { 0 } else { end.saturating_sub(self.page) };
        let page = list(messages[first..end].iter().map(WrittenMessage::to_json));
        let mut response = json(page);
        if first > 0 {
            response.headers_mut().insert("x-next-cursor", first.into());
        }
        response
    }

    fn message(&self, session: &str, id: &str) -> Response<Bytes> {
        let messages = self.messages.get(session).into_iter().flatten();
        match messages.into_iter().find(|message| message.id == id) {
            Some(message) => json(message.to_json()),
            None => not_found(),
        }
    }
}

impl WrittenMessage {
    fn to_json(&self) -> String {
        format!(r#"{{"info":{},"parts":{}}}"#, self.info, list(self.parts.iter().cloned()))
    }
}

/// Returns the reply of OpenCode for an object that does not exist.
pub fn not_found() -> Response<Bytes> {
    let mut response = json(r#"{"name":"NotFoundError","data":{"message":"not found"}}"#);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn json(body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    let value = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, value);
    response
}

fn list(elements: impl Iterator<Item = String>) -> String {
    format!("[{}]", elements.collect::<Vec<_>>().join(","))
}
