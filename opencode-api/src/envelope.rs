//! The four forms in which events arrive: `/event`, `/global/event` (two), and `/api/event`.

use opencode_config::{Json, JsonObject};
use opencode_proto::ServerEvent;

use crate::event::EventData;
use crate::json::{Entries, Fields, JsonType, Malformed, json_serde, json_struct};

use crate::shared::LocationRef;

/// Event of `GET /event`.
///
/// ```
/// use opencode_api::event::{Event, EventData};
///
/// let text = r#"{"id":"evt_1","type":"session.idle","properties":{"sessionID":"ses_1"}}"#;
/// let event: Event = serde_json::from_str(text)?;
/// let EventData::SessionIdle(idle) = &event.data else { panic!("{event:?}") };
/// assert_eq!(idle.session_id, "ses_1");
///
/// // An event of a later version is no error and keeps everything.
/// let text = r#"{"id":"evt_2","type":"session.dreaming","properties":{"of":"sheep"}}"#;
/// let event: Event = serde_json::from_str(text)?;
/// assert_eq!(event.data.event_type(), "session.dreaming");
/// assert_eq!(serde_json::to_string(&event)?, text);
///
/// // An event of a known type without a required field is one, and the error names the field.
/// let text = r#"{"id":"evt_3","type":"session.idle","properties":{}}"#;
/// let error = serde_json::from_str::<Event>(text).unwrap_err();
/// assert_eq!(error.to_string(), "properties.sessionID: expected a value, found nothing");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// Id of the event (`evt_…`). Heartbeats have none.
    pub id: Option<String>,
    /// Type and properties.
    pub data: EventData,
    /// Fields that this version of the crate does not know.
    pub unknown: JsonObject,
}

impl Event {
    /// Creates an event without an id, for [`PublishTui`](crate::tui::PublishTui).
    pub fn new(data: EventData) -> Self {
        Self { id: None, data, unknown: JsonObject::new() }
    }
}

impl JsonType for Event {
    fn read(json: Json) -> Result<Self, Malformed> {
        let mut fields = Fields::of(json)?;
        let id = fields.optional("id")?;
        let data = read_data(&mut fields, "properties")?;
        Ok(Self { id, data, unknown: fields.rest() })
    }

    fn write(&self) -> Json {
        let mut entries = Entries::default();
        entries.optional("id", &self.id);
        entries.tag("type", self.data.event_type());
        entries.required("properties", &self.data.content());
        entries.with(&self.unknown)
    }
}

json_serde!(Event);

/// Event of `GET /api/event`, `GET /api/session/{sessionID}/event` and the history of a session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NextEvent {
    /// Id of the event (`evt_…`).
    pub id: Option<String>,
    /// Free-form data beside the event.
    pub metadata: Option<JsonObject>,
    /// Type and properties. On the wire the properties are in a field `data`.
    pub data: EventData,
    /// Position in the log of a session, for an event that is stored there.
    pub durable: Option<EventPosition>,
    /// The directory of the event.
    pub location: Option<LocationRef>,
    /// Fields that this version of the crate does not know.
    pub unknown: JsonObject,
}

impl JsonType for NextEvent {
    fn read(json: Json) -> Result<Self, Malformed> {
        let mut fields = Fields::of(json)?;
        let id = fields.optional("id")?;
        let metadata = fields.optional("metadata")?;
        let data = read_data(&mut fields, "data")?;
        let durable = fields.optional("durable")?;
        let location = fields.optional("location")?;
        Ok(Self { id, metadata, data, durable, location, unknown: fields.rest() })
    }

    fn write(&self) -> Json {
        let mut entries = Entries::default();
        entries.optional("id", &self.id);
        entries.optional("metadata", &self.metadata);
        entries.tag("type", self.data.event_type());
        entries.optional("durable", &self.durable);
        entries.optional("location", &self.location);
        entries.required("data", &self.data.content());
        entries.with(&self.unknown)
    }
}

json_serde!(NextEvent);

/// Position of an event in the log of a session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EventPosition {
    /// Id of the session, or of another object with a log.
    pub aggregate_id: String,
    /// Number of the event in the log.
    pub seq: u64,
    /// Version of the event type.
    pub version: u64,
    /// Fields that this version of the crate does not know.
    pub unknown: JsonObject,
}

json_struct!(EventPosition [] {
    aggregate_id: required "aggregateID", seq: required "seq", version: required "version",
});

/// Event of `GET /global/event`, with the directory that the event belongs to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GlobalEvent {
    /// The directory; `global` for events of the whole server. Heartbeats have none.
    pub directory: Option<String>,
    /// Id of the project.
    pub project: Option<String>,
    /// Id of the workspace.
    pub workspace: Option<String>,
    /// The event.
    pub payload: GlobalPayload,
    /// Fields that this version of the crate does not know.
    pub unknown: JsonObject,
}

json_struct!(GlobalEvent [] {
    directory: optional "directory", project: optional "project", workspace: optional "workspace",
    payload: required "payload",
});

/// Payload of a [`GlobalEvent`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GlobalPayload {
    /// An event in the form of `GET /event`.
    Event(Event),
    /// An event in the form in which it is stored (`"type": "sync"`).
    Sync(SyncEvent),
}

impl JsonType for GlobalPayload {
    fn read(json: Json) -> Result<Self, Malformed> {
        match json.get("type").and_then(Json::as_str) {
            Some("sync") => SyncEvent::read(json).map(Self::Sync),
            _ => Event::read(json).map(Self::Event),
        }
    }

    fn write(&self) -> Json {
        match self {
            Self::Event(event) => event.write(),
            Self::Sync(event) => event.write(),
        }
    }
}

json_serde!(GlobalPayload);

/// Announcement of an event that was stored.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SyncEvent {
    /// Id of the announcement (`evt_…`).
    pub id: Option<String>,
    /// The stored event.
    pub sync_event: StoredEvent,
    /// Fields that this version of the crate does not know.
    pub unknown: JsonObject,
}

json_struct!(SyncEvent ["type" = "sync"] { id: optional "id", sync_event: required "syncEvent", });

/// Event as the server stores it, to replay it elsewhere.
///
/// On the wire, the type carries the version (`session.created.1`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredEvent {
    /// Id of the event (`evt_…`).
    pub id: String,
    /// Number of the event in the log.
    pub seq: u64,
    /// Id of the session, or of another object with a log.
    pub aggregate_id: String,
    /// Version of the event type.
    pub version: Option<u64>,
    /// Type and properties.
    pub data: EventData,
    /// Fields that this version of the crate does not know.
    pub unknown: JsonObject,
}

impl JsonType for StoredEvent {
    fn read(json: Json) -> Result<Self, Malformed> {
        let mut fields = Fields::of(json)?;
        let wire_type: String = fields.required("type")?;
        let versioned = wire_type.rsplit_once('.').and_then(|(event_type, version)| {
            // Only a version in the usual spelling can be written again.
            let number = version.parse::<u64>().ok()?;
            (number.to_string() == version).then_some((event_type, number))
        });
        let (event_type, version) = match versioned {
            Some((event_type, version)) => (event_type, Some(version)),
            None => (&*wire_type, None),
        };
        let id = fields.required("id")?;
        let seq = fields.required("seq")?;
        let aggregate_id = fields.required("aggregateID")?;
        let data = EventData::read(event_type, fields.required("data")?)
            .map_err(|error| error.at_field("data"))?;
        Ok(Self { id, seq, aggregate_id, version, data, unknown: fields.rest() })
    }

    fn write(&self) -> Json {
        let mut entries = Entries::default();
        let event_type = self.data.event_type();
        match self.version {
            Some(version) => entries.tag("type", &format!("{event_type}.{version}")),
            None => entries.tag("type", event_type),
        }
        entries.required("id", &self.id);
        entries.required("seq", &self.seq);
        entries.required("aggregateID", &self.aggregate_id);
        entries.required("data", &self.data.content());
        entries.with(&self.unknown)
    }
}

json_serde!(StoredEvent);

/// Decodes the JSON that a [`ServerEvent`] of the core was decoded from.
impl TryFrom<&ServerEvent> for Event {
    type Error = serde_json::Error;

    fn try_from(event: &ServerEvent) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(&event.raw)
    }
}

/// Decodes the JSON that a [`ServerEvent`] of the core was decoded from, on `/global/event`.
impl TryFrom<&ServerEvent> for GlobalEvent {
    type Error = serde_json::Error;

    fn try_from(event: &ServerEvent) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(&event.raw)
    }
}

fn read_data(fields: &mut Fields, name: &str) -> Result<EventData, Malformed> {
    let event_type: String = fields.required("type")?;
    EventData::read(&event_type, fields.required(name)?).map_err(|error| error.at_field(name))
}
