//! The crate has what the pinned document has, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its files fails")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read files and compare JSON, which the crate does not"
)]

use std::collections::BTreeSet;
use std::fs;

use opencode_api::Groups;
use opencode_api::contract::{EVENT_TYPES, METHODS, OPERATIONS};
use opencode_api::event::{Event, EventData};
use opencode_proto::api::{Caller, Operation};
use serde_json::Value;

/// Sent by the server, and absent from the document.
const UNDOCUMENTED: &str = "server.heartbeat";

fn document() -> Value {
    // The one file whose name is a version.
    let folder = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/spec")).unwrap();
    let mut paths = folder.map(|entry| entry.unwrap().path());
    let is_pin = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(char::is_numeric);
    let path = paths.find(|path| path.file_name().is_some_and(is_pin)).unwrap();
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_operation_of_the_document_is_here_and_no_other() {
    let document = document();
    let mut documented = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            documented.insert((id, method.to_uppercase(), path.as_str()));
        }
    }

    let ours: BTreeSet<_> = OPERATIONS
        .iter()
        .map(|route| (route.operation_id, route.method.to_owned(), route.path))
        .collect();

    assert_eq!(ours, documented);
    assert_eq!(OPERATIONS.len(), 188);
}

#[test]
fn every_event_type_of_the_document_is_here_and_no_other() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let mut documented = BTreeSet::from([UNDOCUMENTED]);
    for union in ["Event", "V2Event"] {
        for variant in schemas[union]["anyOf"].as_array().unwrap() {
            let name = variant["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            let event_type = &schemas[name]["properties"]["type"]["enum"][0];
            documented.insert(event_type.as_str().unwrap());
        }
    }

    assert_eq!(BTreeSet::from(EVENT_TYPES), documented);
    assert_eq!(EVENT_TYPES.len(), 90);
}

#[test]
fn every_event_type_has_a_variant() {
    for event_type in EVENT_TYPES {
        let text = serde_json::json!({ "type": event_type, "properties": {} }).to_string();
        // Known types need properties, mostly; unknown ones would be read without any.
        if let Ok(event) = serde_json::from_str::<Event>(&text) {
            assert!(!matches!(event.data, EventData::Unknown { .. }), "{event_type}");
            assert_eq!(event.data.event_type(), event_type);
        }
    }
}

#[test]
fn every_operation_with_an_end_has_a_short_method() {
    let without = [
        "event.subscribe",
        "global.event",
        "pty.connect",
        "v2.event.subscribe",
        "v2.pty.connect",
        "v2.session.events",
    ];
    let named: BTreeSet<_> = METHODS.iter().map(|(id, _)| *id).collect();
    let expected: BTreeSet<_> = OPERATIONS
        .iter()
        .map(|route| route.operation_id)
        .filter(|id| !without.contains(id))
        .collect();
    assert_eq!(named, expected);
    let methods: BTreeSet<_> = METHODS.iter().map(|(_, method)| *method).collect();
    assert_eq!(methods.len(), METHODS.len());
}

/// Returns method and target of the request in place of sending it.
struct Recorder;

impl Caller for Recorder {
    type Called<O: Operation<Output: Send> + Send + Sync + 'static> = String;

    fn carry_out<O>(&self, operation: O) -> String
    where
        O: Operation<Output: Send> + Send + Sync + 'static,
    {
        let request = operation.request();
        format!("{} {}", request.method(), request.uri())
    }
}

#[test]
fn short_methods_send_their_operations() {
    let mode = opencode_api::vcs::VcsDiffMode::Git;
    let sent = [
        (Recorder.vcs().diff(mode), "GET /vcs/diff?mode=git"),
        (Recorder.providers().list(), "GET /provider"),
        (Recorder.find().files("a"), "GET /find/file?query=a"),
        (Recorder.sessions().diff("ses_1"), "GET /session/ses_1/diff"),
        (Recorder.messages().delete("ses_1", "msg_1"), "DELETE /session/ses_1/message/msg_1"),
        (Recorder.log().write("a", opencode_api::log::WriteLogLevel::Info, "b"), "POST /log"),
        (Recorder.next().fs().read("a/b"), "GET /api/fs/read/a/b"),
        (Recorder.next().permissions().list("ses_1"), "GET /api/session/ses_1/permission"),
    ];
    for (request, expected) in sent {
        assert_eq!(request, expected);
    }
}
