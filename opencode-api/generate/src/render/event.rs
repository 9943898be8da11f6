//! The union of all events.

use super::rust_text;
use super::writing::{Writing, invocation};
use crate::document::EventSchema;
use crate::naming;
use crate::types::{RustType, Types};

/// Returns the file for the properties of an event.
pub(crate) fn file(event_type: &str) -> &'static str {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| event_type.starts_with(prefix));
    if starts(&["session.next.tool.", "session.next.shell."]) {
        "event/next_tool"
    } else if starts(&["session.next.text.", "session.next.reasoning.", "session.next.step."]) {
        "event/next_step"
    } else if starts(&["session.next."]) {
        "event/next_session"
    } else if starts(&["session.", "todo."]) {
        "event/session"
    } else if starts(&["message."]) {
        "event/message"
    } else if starts(&["permission.", "question."]) {
        "event/request"
    } else if starts(&["tui."]) {
        "event/tui"
    } else if starts(&["project.", "pty.", "vcs.", "workspace.", "worktree.", "file."]) {
        "event/project"
    } else {
        "event/server"
    }
}

/// Writes the union.
pub(crate) fn write(events: &[(&EventSchema, RustType)], types: &Types<'_>, out: &mut Writing) {
    out.defines("EventData");
    out.doc(
        0,
        "Type and properties of an event, on any stream.\n\nAn event of an unknown type keeps its \
         properties. An event of a known type whose properties have another shape is an error \
         that names the field.",
    );
    out.push("#[derive(Clone, Debug, PartialEq)]\n#[non_exhaustive]\npub enum EventData {\n");
    let mut items = Vec::new();
    for (event, rust) in events {
        let variant = naming::pascal(&event.event_type);
        out.uses(rust);
        let text = rust_text(rust);
        let text = if types.is_boxed(rust) { format!("Box<{text}>") } else { text };
        out.doc(4, &format!("The event `{}`.", event.event_type));
        out.push(&format!("    {variant}({text}),\n"));
        items.push(format!("{variant} {:?}", event.event_type));
    }
    out.doc(4, "An event that this version of the crate does not know.");
    out.push("    #[non_exhaustive]\n    Unknown {\n");
    out.doc(8, "The type of the event.");
    out.push("        event_type: String,\n");
    out.doc(8, "The properties as they arrived.");
    out.push("        data: Json,\n    },\n}\n\n");
    out.push(&invocation("json_events!(EventData", &items));
}
