//! Tool calls that the real program reported have the shapes of their types.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its files fails")]
#![allow(clippy::disallowed_methods, reason = "a test reads files")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use opencode_proto::{
    Part, RunEvent, RunEventKind, ServerEvent, ServerEventKind, SseEvent, SseFramer, ToolInput,
    ToolPart,
};

#[test]
fn recorded_tool_calls_are_decoded() {
    let mut counts = BTreeMap::new();
    let mut check = |part: &ToolPart| {
        let input = part.decode_input().unwrap_or_else(|error| panic!("{error}: {part:?}"));
        // The only tool in the recordings without a type: its schema is the caller's.
        let is_known = !matches!(input, ToolInput::Other(_));
        assert!(is_known || &*part.tool == "StructuredOutput", "{part:?}");
        part.decode_metadata().unwrap_or_else(|error| panic!("{error}: {part:?}"));
        *counts.entry(part.tool.to_string()).or_insert(0) += 1;
    };
    for (path, content) in recordings("run", "jsonl") {
        for line in content.split(|byte| *byte == b'\n') {
            let event = RunEvent::decode(line.to_vec().into());
            if let RunEventKind::ToolUse(part) = event.kind
                && !is_refused(&part)
            {
                assert!(part.state.is_over(), "{path}");
                check(&part);
            }
        }
    }
    for (_, content) in recordings("server", "sse") {
        let mut framer = SseFramer::new(16 << 20);
        framer.push(content.into());
        while let Some(event) = framer.next_event() {
            let SseEvent::Message { data, .. } = event else { continue };
            if let ServerEventKind::PartUpdated(Part::Tool(part)) = ServerEvent::decode(data).kind
                && !is_refused(&part)
            {
                check(&part);
            }
        }
    }
    for tool in ["bash", "read", "task", "question", "invalid"] {
        assert!(counts.contains_key(tool), "{counts:?}");
    }
}

/// Returns whether OpenCode refused the arguments, which then may have any shape.
fn is_refused(part: &ToolPart) -> bool {
    let output = part.state.output().map(|output| output.to_str().into_owned());
    output.is_some_and(|text| text.contains("was called with invalid arguments"))
}

fn recordings(folder: &str, extension: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/1.18.33").join(folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|found| found == extension) {
            found.push((path.display().to_string(), fs::read(path).unwrap()));
        }
    }
    assert!(!found.is_empty());
    found.sort();
    found
}
