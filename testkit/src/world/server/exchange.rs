//! A request to a simulated server, and the reply.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::store::SessionRun;
use crate::http::Head;

pub(super) struct RoutedRequest {
    pub(super) head: Head,
    pub(super) body: Value,
}

pub(super) struct RouteReply {
    pub(super) status: u16,
    pub(super) kind: Option<&'static str>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    /// Runs that have to end before the reply is sent.
    pub(super) after: Vec<Arc<Mutex<SessionRun>>>,
    /// Session and prompt whose answer is the body, when the runs have ended.
    pub(super) answer: Option<(String, String)>,
}

impl RouteReply {
    pub(super) fn json(body: &Value) -> Self {
        Self::of(200, body)
    }

    pub(super) fn of(status: u16, body: &Value) -> Self {
        let kind = Some("application/json");
        let (headers, body) = (Vec::new(), body.to_string());
        Self { status, kind, headers, body, after: Vec::new(), answer: None }
    }

    pub(super) fn bad_request() -> Self {
        let data = json!({ "message": "Invalid response", "kind": "Body" });
        Self::of(400, &json!({ "name": "BadRequest", "data": data }))
    }

    pub(super) fn not_found(object: &str) -> Self {
        let data = json!({ "message": format!("{object} not found") });
        Self::of(404, &json!({ "name": "NotFoundError", "data": data }))
    }
}
