use serde_json::{Value, json};

use crate::request::{EventStream, Request};

use super::reply::Reply;
use super::state::State;
use super::turn::{CREATED, VERSION, session_info};

/// What a request gets that no route is for.
pub(super) enum Usual {
    Reply(Reply),
    Events(EventStream),
}

pub(super) fn usual(request: &Request, state: &mut State) -> Usual {
    if let Some(stream) = request.event_stream() {
        return Usual::Events(stream);
    }
    let segments: Vec<&str> = request.route().split('/').skip(1).collect();
    let reply = match (request.method(), segments.as_slice()) {
        ("GET", ["global", "health"]) => {
            Reply::json(json!({ "healthy": true, "version": VERSION }))
        }
        ("POST", ["session"]) => {
            state.sessions += 1;
            Reply::json(create(&request.json(), &format!("ses_{}", state.sessions), state))
        }
        ("GET", ["session", "status"]) => Reply::json(json!({})),
        ("GET", ["session"]) => {
            let ids = (1..=state.sessions).map(|number| format!("ses_{number}"));
            Reply::json(ids.map(|id| create(&Value::Null, &id, state)).collect::<Vec<_>>())
        }
        ("GET", ["session", id]) => Reply::json(create(&Value::Null, id, state)),
        ("GET", ["permission" | "question"] | ["session", _, "message" | "children"]) => {
            Reply::json(json!([]))
        }
        ("POST", ["session", _, "prompt_async"]) => Reply::status(204),
        (
            "POST",
            ["session", _, "abort"]
            | ["session", _, "permissions", _]
            | ["permission", _, "reply"]
            | ["question", _, "reply" | "reject"]
            | ["instance" | "global", "dispose"],
        )
        | ("DELETE", ["session", _]) => Reply::json(true),
        _ => Reply::new(200, "text/html", "<!doctype html><title>OpenCode</title>"),
    };
    Usual::Reply(reply)
}

fn create(asked: &Value, id: &str, state: &State) -> Value {
    let mut session = session_info(id, &state.script.directory);
    session["time"] = json!({ "created": CREATED, "updated": CREATED });
    for field in ["title", "parentID", "permission", "agent", "model", "metadata"] {
        if let Some(value) = asked.get(field) {
            session[field] = value.clone();
        }
    }
    session
}
