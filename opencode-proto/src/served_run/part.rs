//! Parts as JSON, in the form of `opencode run`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json::RawJson;
use crate::part::{PartKey, TextOrigin, TextPart, TimeSpan};
use crate::server_event::ServerEvent;

/// Returns the part of an event as the server wrote it.
pub(super) fn written_json(event: &ServerEvent) -> Option<RawJson> {
    #[derive(Deserialize)]
    struct WrittenEvent<'a> {
        #[serde(borrow)]
        properties: Option<WrittenProperties<'a>>,
        #[serde(borrow)]
        data: Option<WrittenProperties<'a>>,
        #[serde(borrow)]
        payload: Option<Box<Self>>,
    }
    #[derive(Deserialize)]
    struct WrittenProperties<'a> {
        #[serde(borrow)]
        part: Option<&'a RawValue>,
    }
    let wire: WrittenEvent<'_> = serde_json::from_slice(&event.raw).ok()?;
    let wire = wire.payload.map_or(WrittenEvent { payload: None, ..wire }, |payload| *payload);
    let part = wire.properties.or(wire.data)?.part?;
    // A line is one line.
    (!part.get().contains('\n')).then(|| RawJson::slice(&event.raw, part))
}

/// Returns a part that was read from a list of messages.
pub(super) fn part_json(part: &impl Serialize) -> RawJson {
    let json = serde_json::to_vec(part).expect("parts have string keys only");
    RawJson::whole(json.into())
}

/// Returns a text part with this text.
pub(super) fn text_json(key: &PartKey, text: &str) -> RawJson {
    part_json(&TextPart {
        key: key.clone(),
        text: text.into(),
        origin: TextOrigin::Model,
        time: TimeSpan::default(),
        metadata: None,
    })
}
