//! The routes of a simulated server.

use std::sync::Arc;
use std::task::Waker;

use serde_json::{Value, json};

use super::exchange::{RouteReply, RoutedRequest};
use super::store::{AskReply, StoredSession};
use super::{EPOCH_MS, ServerInner, VERSION, play};
use crate::http::{Head, percent_decoded};
use crate::world::core::lock;
use crate::world::script::AskKind;

pub(super) fn path(head: &Head) -> &str {
    head.path.split('?').next().unwrap_or_default()
}

/// The path with `{id}` in place of ids.
pub(super) fn pattern(head: &Head) -> String {
    let segments = path(head).split('/').map(|segment| {
        let is_id =
            ["ses_", "msg_", "per_", "que_"].iter().any(|prefix| segment.starts_with(prefix));
        if is_id { "{id}" } else { segment }
    });
    segments.collect::<Vec<_>>().join("/")
}

pub(super) fn directory(server: &ServerInner, head: &Head) -> String {
    match head.header("x-opencode-directory") {
        Some(directory) => percent_decoded(directory),
        None => server.directory.clone(),
    }
}

fn query<'a>(head: &'a Head, name: &str) -> Option<&'a str> {
    let (_, query) = head.path.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

pub(super) fn handle(server: &Arc<ServerInner>, request: &RoutedRequest) -> RouteReply {
    let head = &request.head;
    let segments: Vec<&str> = path(head).split('/').skip(1).collect();
    match (head.method.as_str(), segments.as_slice()) {
        ("GET", ["global", "health"]) => {
            RouteReply::json(&json!({ "healthy": true, "version": VERSION }))
        }
        ("GET", ["config"]) => RouteReply::json(&json!({ "model": "scripted/m1" })),
        ("POST", ["session"]) => create(server, request),
        ("GET", ["session", "status"]) => statuses(server, head),
        ("GET", ["session", id]) => {
            with_session(server, id, |session| RouteReply::json(&session.info(EPOCH_MS)))
        }
        ("DELETE", ["session", id]) => delete(server, id),
        ("POST", ["session", id, "prompt_async"]) => prompt(server, id, &request.body),
        ("POST", ["session", id, "shell"]) => shell(server, id, &request.body),
        ("POST", ["session", id, "abort"]) => {
            RouteReply { after: play::abort(server, id), ..RouteReply::json(&json!(true)) }
        }
        ("GET", ["session", id, "message"]) => messages(server, head, id),
        ("GET", ["session", id, "message", message]) => {
            with_session(server, id, |session| match session.message(message) {
                Some(message) if !message.info["format"].is_null() => RouteReply::bad_request(),
                Some(message) => RouteReply::json(&message.to_json()),
                None => RouteReply::not_found("Message"),
            })
        }
        ("GET", ["session", id, "children"]) => children(server, id),
        ("GET", ["permission"]) => pending(server, head, AskKind::Permission),
        ("GET", ["question"]) => pending(server, head, AskKind::Question),
        ("POST", ["permission", id, "reply"]) => {
            let message = request.body["message"].as_str();
            let reply = match (request.body["reply"].as_str(), message) {
                (Some("reject"), Some(message)) => AskReply::RefusedWith(message.to_owned()),
                (Some("reject"), None) => AskReply::Refused,
                _ => AskReply::Granted,
            };
            answer(server, id, reply, &request.body)
        }
        ("POST", ["question", id, "reply"]) => answer(server, id, AskReply::Granted, &request.body),
        ("POST", ["question", id, "reject"]) => {
            answer(server, id, AskReply::Refused, &request.body)
        }
        // OpenCode serves the web page for every unknown route.
        _ => {
            let body = "<!doctype html>".to_owned();
            RouteReply { kind: Some("text/html"), body, ..RouteReply::json(&json!(null)) }
        }
    }
}

fn with_session(
    server: &ServerInner,
    id: &str,
    answer: impl FnOnce(&mut StoredSession) -> RouteReply,
) -> RouteReply {
    let store = &mut *lock(&server.store);
    match store.sessions.get_mut(id).filter(|_| !store.deleted.contains(id)) {
        Some(session) => answer(session),
        None => RouteReply::not_found("Session"),
    }
}

/// Deletes a session after the sessions of the subagents. Work in them is not stopped.
pub(super) fn delete(server: &ServerInner, id: &str) -> RouteReply {
    let found = with_session(server, id, |_| RouteReply::json(&json!(true)));
    if found.status != 200 {
        return found;
    }
    let family = lock(&server.store).family(id);
    for id in family.iter().rev() {
        let deleted = with_session(server, id, |session| RouteReply::json(&session.info(EPOCH_MS)));
        if deleted.status == 200 {
            lock(&server.store).deleted.insert(id.clone());
            let info = json!({ "id": id });
            server.publish(id, "session.deleted", json!({ "info": info }));
        }
    }
    found
}

fn create(server: &ServerInner, request: &RoutedRequest) -> RouteReply {
    let now = server.now_ms();
    let id = server.id("ses");
    let title = request.body["title"].as_str().unwrap_or("New session").to_owned();
    let session = StoredSession {
        id: id.clone(),
        directory: directory(server, &request.head),
        parent: None,
        title,
        created: now,
        messages: Vec::new(),
        has_structured: false,
    };
    let info = session.info(now);
    lock(&server.store).sessions.insert(id.clone(), session);
    server.publish(&id, "session.created", json!({ "info": info }));
    RouteReply::json(&info)
}

fn statuses(server: &ServerInner, head: &Head) -> RouteReply {
    let directory = directory(server, head);
    let store = lock(&server.store);
    let mut statuses = json!({});
    let now = server.now_ms();
    for (id, status) in store.live.iter().flat_map(|live| &live.statuses) {
        let is_idle = status.idle_from.is_some_and(|from| from <= now);
        if !is_idle && store.sessions[id].directory == directory {
            statuses[id] = status.value.clone();
        }
    }
    RouteReply::json(&statuses)
}

fn prompt(server: &Arc<ServerInner>, session: &str, body: &Value) -> RouteReply {
    let found = with_session(server, session, |_| RouteReply::json(&json!(true)));
    if found.status != 200 {
        return found;
    }
    play::prompt(server, session, body);
    RouteReply { kind: None, body: String::new(), ..RouteReply::of(204, &Value::Null) }
}

/// Runs a command line, and replies with the message when the command line has ended.
fn shell(server: &Arc<ServerInner>, session: &str, body: &Value) -> RouteReply {
    let found = with_session(server, session, |_| RouteReply::json(&json!(true)));
    if found.status != 200 {
        return found;
    }
    match play::shell(server, session, body) {
        Some(shell) => {
            let prompt = body["messageID"].as_str().unwrap_or_default().to_owned();
            let answer = Some((session.to_owned(), prompt));
            RouteReply { after: vec![shell], answer, ..found }
        }
        None => RouteReply::of(409, &json!({ "_tag": "SessionBusyError", "message": session })),
    }
}

/// Answer to a prompt, as JSON.
pub(super) fn answer_to(server: &ServerInner, session: &str, prompt: &str) -> Option<String> {
    let store = lock(&server.store);
    let messages = &store.sessions.get(session)?.messages;
    let answer = messages.iter().find(|message| message.info["parentID"] == prompt)?;
    Some(answer.to_json().to_string())
}

fn messages(server: &ServerInner, head: &Head, id: &str) -> RouteReply {
    let limit = query(head, "limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let before = query(head, "before").map(str::to_owned);
    with_session(server, id, |session| {
        if session.has_structured {
            return RouteReply::bad_request();
        }
        let end = match &before {
            Some(before) => session.messages.iter().position(|message| message.id == *before),
            None => None,
        };
        let end = end.unwrap_or(session.messages.len());
        let first = end.saturating_sub(limit);
        let page: Vec<Value> =
            session.messages[first..end].iter().map(|message| message.to_json()).collect();
        let mut reply = RouteReply::json(&json!(page));
        if first > 0 {
            reply.headers.push(("x-next-cursor".to_owned(), session.messages[first].id.clone()));
        }
        reply
    })
}

fn children(server: &ServerInner, id: &str) -> RouteReply {
    let store = lock(&server.store);
    if !store.sessions.contains_key(id) {
        return RouteReply::not_found("Session");
    }
    let children = store.sessions.values().filter(|child| child.parent.as_deref() == Some(id));
    RouteReply::json(&children.map(|child| child.info(EPOCH_MS)).collect())
}

fn pending(server: &ServerInner, head: &Head, kind: AskKind) -> RouteReply {
    let directory = directory(server, head);
    let store = lock(&server.store);
    let asks = store.live.iter().flat_map(|live| &live.pending);
    let asks = asks.filter(|ask| {
        ask.kind == kind
            && ask.reply.is_none()
            && store.sessions[&ask.session].directory == directory
    });
    RouteReply::json(&asks.map(|ask| ask.body.clone()).collect())
}

fn answer(server: &ServerInner, id: &str, reply: AskReply, body: &Value) -> RouteReply {
    let mut store = lock(&server.store);
    let ask = store
        .live
        .as_mut()
        .and_then(|live| live.pending.iter_mut().find(|ask| ask.id == id && ask.reply.is_none()));
    let Some(ask) = ask else {
        let message = format!("{id} not found");
        return RouteReply::of(
            404,
            &json!({ "_tag": "PermissionNotFoundError", "message": message }),
        );
    };
    ask.reply = Some(reply.clone());
    let (kind, session) = (ask.kind, ask.session.clone());
    ask.waker.take().into_iter().for_each(Waker::wake);
    if let Some(truth) = store.asks.get_mut(id) {
        truth.accepted.push(reply.clone());
    }
    drop(store);
    let (event, mut properties) = match (kind, &reply) {
        (AskKind::Permission, _) => ("permission.replied", json!({ "reply": body["reply"] })),
        (AskKind::Question, AskReply::Granted) => {
            ("question.replied", json!({ "answers": body["answers"] }))
        }
        (AskKind::Question, _) => ("question.rejected", json!({})),
    };
    properties["requestID"] = json!(id);
    server.publish(&session, event, properties);
    RouteReply::json(&json!(true))
}
