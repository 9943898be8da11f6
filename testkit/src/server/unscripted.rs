use serde_json::{Value, json};

use crate::request::{EventStream, Request};

use super::reply::ServerReply;
use super::state::FakeServerState;
use super::turn::{CREATED, VERSION, session_info};

/// Reply to a request without a route.
pub(super) enum Unscripted {
    Reply(ServerReply),
    Events(EventStream),
}

pub(super) fn unscripted(request: &Request, state: &mut FakeServerState) -> Unscripted {
    if let Some(stream) = request.event_stream() {
        return Unscripted::Events(stream);
    }
    let segments: Vec<&str> = request.route().split('/').skip(1).collect();
    let reply = match (request.method(), segments.as_slice()) {
        ("GET", ["global", "health"]) => {
            ServerReply::json(json!({ "healthy": true, "version": VERSION }))
        }
        ("POST", ["session"]) => {
            state.sessions += 1;
            let id = format!("ses_{}", state.sessions);
            ServerReply::json(create(&request.json(), &id, request, state))
        }
        ("GET", ["session", "status"]) => ServerReply::json(json!({})),
        ("GET", ["session"]) => {
            let ids = (1..=state.sessions).map(|number| format!("ses_{number}"));
            ServerReply::json(
                ids.map(|id| create(&Value::Null, &id, request, state)).collect::<Vec<_>>(),
            )
        }
        ("GET", ["session", id]) => ServerReply::json(create(&Value::Null, id, request, state)),
        ("GET", ["permission" | "question"] | ["session", _, "message" | "children"]) => {
            ServerReply::json(json!([]))
        }
        ("POST", ["session", _, "prompt_async"]) => ServerReply::status(204),
        (
            "POST",
            ["session", _, "abort"]
            | ["session", _, "permissions", _]
            | ["permission", _, "reply"]
            | ["question", _, "reply" | "reject"]
            | ["instance" | "global", "dispose"],
        )
        | ("DELETE", ["session", _]) => ServerReply::json(true),
        _ => ServerReply::new(200, "text/html", "<!doctype html><title>OpenCode</title>"),
    };
    Unscripted::Reply(reply)
}

fn create(asked: &Value, id: &str, request: &Request, state: &FakeServerState) -> Value {
    let directory = state.script.directory(request.header("x-opencode-directory"));
    let mut session = session_info(id, &directory);
    session["time"] = json!({ "created": CREATED, "updated": CREATED });
    for field in ["title", "parentID", "permission", "agent", "model", "metadata"] {
        if let Some(value) = asked.get(field) {
            session[field] = value.clone();
        }
    }
    session
}
