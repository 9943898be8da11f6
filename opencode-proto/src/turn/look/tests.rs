use super::*;
use crate::call::{CallFailure, Delivery};
use crate::fuzzing::{WrittenMessage, WrittenServer, not_found};

fn message(id: &str) -> WrittenMessage {
    let info = format!(r#"{{"id":"{id}","role":"user"}}"#);
    WrittenMessage { id: id.to_owned(), info, parts: Vec::new() }
}

fn messages(ids: impl IntoIterator<Item = String>) -> Vec<WrittenMessage> {
    ids.into_iter().map(|id| message(&id)).collect()
}

/// A server that has the session `s` with these messages.
fn server(ids: &[&str]) -> WrittenServer {
    let mut server = WrittenServer::default();
    server.messages.insert("s".to_owned(), ids.iter().map(|id| message(id)).collect());
    server
}

/// Looks at a server whose replies `change` may replace. Returns the paths of the calls as well.
fn look_with(
    server: &WrittenServer,
    open: Option<&str>,
    change: impl Fn(&str) -> Option<ApiReply>,
) -> (LookProgress, Vec<String>) {
    let mut calls = OpenCalls::default();
    let mut look = Look::new("s".into(), LookOrigin::At("own".into()));
    let open = open.map(MessageId::from);
    let mut paths = Vec::new();
    for _ in 0..10_000 {
        let call = look.begin(&mut calls, ());
        let path = call.request.uri().path().to_owned();
        let reply = change(&path).unwrap_or_else(|| server.reply(&call));
        paths.push(path);
        let progress = look.handle_reply(reply, open.as_ref());
        let LookProgress::Next(next) = progress else { return (progress, paths) };
        look = *next;
    }
    panic!("the look does not end")
}

fn look(server: &WrittenServer) -> Box<Snapshot> {
    let (progress, _) = look_with(server, None, |_| None);
    let LookProgress::Done(found) = progress else { panic!("{progress:?}") };
    found
}

fn ids(messages: &[MessageWithParts]) -> Vec<&str> {
    messages.iter().map(|message| message.info.id.as_str()).collect()
}

fn failed() -> Option<ApiReply> {
    Some(Err(CallFailure::new(Delivery::NotSent, "refused")))
}

/// A reply of a server that does not have the endpoint.
fn unknown_route() -> Option<ApiReply> {
    let mut response = http::Response::new("404 Not Found".into());
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    Some(Ok(response))
}

fn bad_request() -> Option<ApiReply> {
    let mut response = http::Response::new(r#"{"name":"BadRequest","data":{}}"#.into());
    *response.status_mut() = http::StatusCode::BAD_REQUEST;
    Some(Ok(response))
}

#[test]
fn the_status_is_asked_first_and_the_asks_last() {
    let mut server = server(&["m1", "own", "m2"]);
    server.statuses.insert("s".to_owned(), r#"{"type":"busy"}"#.to_owned());
    server.statuses.insert("other".to_owned(), r#"{"type":"idle"}"#.to_owned());
    let (progress, paths) = look_with(&server, None, |_| None);
    let expected = [
        "/session/status",
        "/session/s/message",
        "/session/s/children",
        "/permission",
        "/question",
    ];
    assert_eq!(paths, expected);
    let LookProgress::Done(found) = progress else { panic!("{progress:?}") };
    assert_eq!(found.status, SessionStatus::Busy);
    assert_eq!(ids(&found.messages), ["own", "m2"]);
    assert_eq!(found.earlier.iter().map(|info| info.id.as_str()).collect::<Vec<_>>(), ["m1"]);
}

#[test]
fn a_session_that_is_not_listed_is_idle() {
    assert_eq!(look(&server(&["own"])).status, SessionStatus::Idle);
}

#[test]
fn pages_are_read_back_to_the_own_message_and_no_further() {
    let mut server = WrittenServer { page: 10, ..WrittenServer::default() };
    let mut all: Vec<_> = (0..95).map(|number| format!("m{number:02}")).collect();
    all[70] = "own".to_owned();
    server.messages.insert("s".to_owned(), messages(all));
    let (progress, paths) = look_with(&server, None, |_| None);
    let pages = paths.iter().filter(|path| path.ends_with("/message")).count();
    let LookProgress::Done(found) = progress else { panic!("{progress:?}") };
    assert_eq!((pages, found.messages.len(), found.earlier.len()), (3, 25, 5));
    assert_eq!((ids(&found.messages)[0], ids(&found.messages)[24]), ("own", "m94"));
}

#[test]
fn nothing_is_of_the_turn_where_its_message_is_not() {
    let found = look(&WrittenServer { page: 2, ..server(&["m1", "m2", "m3"]) });
    assert_eq!((found.messages.len(), found.earlier.len()), (0, 0));
}

#[test]
fn a_session_whose_messages_cannot_be_listed_is_read_message_by_message() {
    let server = server(&["own", "m2"]);
    let no_list = |path: &str| if path == "/session/s/message" { bad_request() } else { None };
    let (progress, paths) = look_with(&server, Some("m2"), no_list);
    let LookProgress::Done(found) = progress else { panic!("{progress:?}") };
    assert_eq!(ids(&found.messages), ["m2"]);
    assert_eq!(paths[2..4], ["/session/s", "/session/s/message/m2"]);
    // Without an open answer there is nothing to read.
    let (progress, _) = look_with(&server, None, no_list);
    let LookProgress::Done(found) = progress else { panic!("{progress:?}") };
    assert_eq!(found.messages.len(), 0);
}

#[test]
fn a_session_that_is_gone_is_told_from_a_server_that_fails() {
    for path in ["/session/s/message", "/session/s/children"] {
        let (progress, _) =
            look_with(&server(&["own"]), None, |asked| (asked == path).then(|| Ok(not_found())));
        assert!(matches!(progress, LookProgress::SessionGone), "{path}: {progress:?}");
    }
    // Also a session whose messages cannot be listed.
    let (progress, _) = look_with(&server(&["own"]), None, |path| match path {
        "/session/s/message" => bad_request(),
        "/session/s" => Some(Ok(not_found())),
        _ => None,
    });
    assert!(matches!(progress, LookProgress::SessionGone), "{progress:?}");
    let all = ["/session/status", "/session/s/message", "/session/s/children", "/permission"];
    for path in all.into_iter().chain(["/question"]) {
        let (progress, _) =
            look_with(&server(&["own"]), None, |asked| if asked == path { failed() } else { None });
        assert!(matches!(progress, LookProgress::Failed), "{path}: {progress:?}");
    }
}

#[test]
fn old_servers_have_no_lists_of_asks() {
    for path in ["/permission", "/question"] {
        let (progress, _) =
            look_with(
                &server(&["own"]),
                None,
                |asked| {
                    if asked == path { unknown_route() } else { None }
                },
            );
        assert!(matches!(progress, LookProgress::Done(_)), "{path}: {progress:?}");
        let (progress, _) =
            look_with(
                &server(&["own"]),
                None,
                |asked| {
                    if asked == path { bad_request() } else { None }
                },
            );
        assert!(matches!(progress, LookProgress::Failed), "{path}: {progress:?}");
    }
}

#[test]
fn a_missing_list_of_asks_may_be_refused_by_name() {
    for path in ["/permission", "/question"] {
        let change = |asked: &str| (asked == path).then(|| Ok(not_found()));
        let (progress, _) = look_with(&server(&["own"]), None, change);
        assert!(matches!(progress, LookProgress::Done(_)), "{path}: {progress:?}");
    }
}

#[test]
fn children_are_looked_at_at_any_depth_and_once() {
    let mut server = server(&["own"]);
    for (parent, children) in [("s", &["a", "b"][..]), ("a", &["aa"]), ("aa", &["b", "s"])] {
        let children = children.iter().map(|child| (*child).to_owned()).collect();
        server.children.insert(parent.to_owned(), children);
    }
    server.messages.insert("aa".to_owned(), vec![message("x"), message("y")]);
    let found = look(&server);
    let children = found
        .children
        .iter()
        .map(|child| (child.session.as_str(), child.parent.as_str(), child.messages.len()));
    let children: Vec<_> = children.collect();
    assert_eq!(children[..2], [("a", "s", 0), ("b", "s", 0)]);
    assert!(children.contains(&("aa", "a", 2)), "{children:?}");
}

#[test]
fn a_child_that_is_deleted_or_cannot_be_listed_does_not_end_the_look() {
    let mut server = server(&["own"]);
    server.children.insert("s".to_owned(), vec!["a".to_owned()]);
    for path in ["/session/a/message", "/session/a/children"] {
        let (progress, _) =
            look_with(&server, None, |asked| (asked == path).then(|| Ok(not_found())));
        let LookProgress::Done(found) = progress else { panic!("{path}: {progress:?}") };
        assert_eq!(found.children.len(), 1);
    }
    let (progress, _) =
        look_with(&server, None, |path| if path == "/session/a/message" { failed() } else { None });
    assert!(matches!(progress, LookProgress::Failed), "{progress:?}");
}

#[test]
fn the_number_of_children_has_a_limit() {
    let mut server = server(&["own"]);
    let children = (0..CHILDREN_MAX + 5).map(|number| format!("c{number}"));
    server.children.insert("s".to_owned(), children.collect());
    assert_eq!(look(&server).children.len(), CHILDREN_MAX);
}
