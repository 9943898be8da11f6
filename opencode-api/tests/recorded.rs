//! What a real server sent is read without a mistake and written again without a loss.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its files fails")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read files and compare JSON, which the crate does not"
)]

use std::fs;
use std::path::{Path, PathBuf};

use opencode_api::contract::recode_reply;
use opencode_api::event::{Event, EventData, GlobalEvent, GlobalPayload, NextEvent};
use opencode_proto::{SseEvent, SseFramer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Recorded streams: all files with this ending in the two folders of recordings.
fn streams() -> Vec<PathBuf> {
    let folders = ["opencode-proto/tests/corpus/1.18.33/server", "testkit/tests/world/recorded"];
    let mut found = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "sse") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn recorded_events_are_read_and_written_again() {
    let streams = streams();
    assert!(streams.len() > 50, "{} streams", streams.len());
    let mut count = 0;
    for path in streams {
        let name = path.file_name().unwrap().to_str().unwrap();
        for data in data_of(&fs::read(&path).unwrap()) {
            count += 1;
            let event = match value(&String::from_utf8_lossy(&data)) {
                json if json.get("payload").is_some() => {
                    match recode::<GlobalEvent>(&data, name).payload {
                        GlobalPayload::Event(event) => event.data,
                        GlobalPayload::Sync(event) => event.sync_event.data,
                        other => panic!("{name}: {other:?}"),
                    }
                }
                json if json.get("data").is_some() => recode::<NextEvent>(&data, name).data,
                _ => recode::<Event>(&data, name).data,
            };
            let is_known = !matches!(event, EventData::Unknown { .. });
            assert!(is_known, "{name}: {event:?}");
        }
    }
    assert!(count > 1_000, "{count} events");
}

#[test]
fn a_recorded_list_of_messages_is_read_and_written_again() {
    let path = root().join("opencode-proto/src/api/tests/messages.json");
    let text = fs::read_to_string(path).unwrap();

    let written = recode_reply("session.messages", text.parse().unwrap()).unwrap().unwrap();

    assert_eq!(value(&written.to_string()), value(&text));
}

fn recode<T: DeserializeOwned + Serialize>(data: &[u8], name: &str) -> T {
    let text = String::from_utf8_lossy(data);
    let event: T =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error} in {text}"));
    assert_eq!(value(&serde_json::to_string(&event).unwrap()), value(&text), "{name}");
    event
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn data_of(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut framer = SseFramer::new(16 << 20);
    framer.push(stream.to_vec().into());
    let mut found = Vec::new();
    while let Some(event) = framer.next_event() {
        if let SseEvent::Message { data, .. } = event {
            found.push(data.to_vec());
        }
    }
    found
}
