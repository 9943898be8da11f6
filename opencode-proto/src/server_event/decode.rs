//! Decoding of one server-sent event's data to one event. Never fails.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::Error;
use serde_json::value::RawValue;

use super::types::{SESSIONLESS, TYPED, is_known};
use super::{
    MessageInfo, PermissionRequest, QuestionRequest, ServerEvent, ServerEventKind, SessionInfo,
    SessionStatus, Todo,
};
use crate::json::{RawJson, RawText};
use crate::part::{Part, Str};
use crate::{AgentError, SessionId};

pub(super) fn decode(data: Bytes) -> ServerEvent {
    let data = match str::from_utf8(&data) {
        Ok(_) => data,
        Err(_) => String::from_utf8_lossy(&data).into_owned().into(),
    };
    // Checked once as a whole, so that the strings in it need no check of their own.
    let text = str::from_utf8(&data).unwrap_or_default();
    match serde_json::from_str::<EventEnvelope<'_>>(text) {
        Ok(envelope) => envelope.read(&data),
        Err(error) => {
            let kind = ServerEventKind::Malformed { event_type: None, error: error.into() };
            ServerEvent { raw: data, id: None, directory: None, session: None, kind }
        }
    }
}

/// An event of `/event`, or the `{directory, payload}` of `/global/event` around an event.
#[derive(Default, Deserialize)]
#[serde(default)]
struct EventEnvelope<'a> {
    #[serde(borrow)]
    id: Option<Str<'a>>,
    #[serde(borrow, rename = "type")]
    event_type: Option<Str<'a>>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    directory: Option<Str<'a>>,
    #[serde(borrow)]
    payload: Option<EventPayload<'a>>,
}

/// `{id, type, properties}`, with the name `data` for the properties on `/api/event`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct EventPayload<'a> {
    #[serde(borrow)]
    id: Option<Str<'a>>,
    #[serde(borrow, rename = "type")]
    event_type: Option<Str<'a>>,
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl<'a> EventEnvelope<'a> {
    fn read(self, line: &Bytes) -> ServerEvent {
        let Self { id, event_type, properties, data, directory, payload } = self;
        let own = EventPayload { id, event_type, properties, data };
        let payload = match payload {
            Some(payload) if own.event_type.is_none() => payload,
            Some(_) | None => own,
        };
        let text = |text: Option<Str<'a>>| text.map(|text| text.as_str().into());
        let (session, kind) = match &payload.event_type {
            Some(event_type) => {
                read_kind(line, event_type.as_str(), payload.properties.or(payload.data))
            }
            None => (None, malformed(None, Error::missing_field("type"))),
        };
        let (id, directory) = (text(payload.id), text(directory));
        ServerEvent { raw: line.clone(), id, directory, session, kind }
    }
}

/// The properties of all events of a session, in one flat struct.
#[derive(Default, Deserialize)]
#[serde(default)]
struct EventProperties<'a> {
    #[serde(borrow, rename = "sessionID")]
    session_id: Option<Str<'a>>,
    #[serde(borrow, rename = "messageID")]
    message_id: Option<Str<'a>>,
    #[serde(borrow, rename = "partID")]
    part_id: Option<Str<'a>>,
    #[serde(borrow, rename = "requestID")]
    request_id: Option<Str<'a>>,
    #[serde(borrow, rename = "permissionID")]
    permission_id: Option<Str<'a>>,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
    #[serde(borrow)]
    field: Option<Str<'a>>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    diff: Option<&'a RawValue>,
    #[serde(borrow)]
    todos: Option<&'a RawValue>,
    #[serde(borrow)]
    reply: Option<Str<'a>>,
    #[serde(borrow)]
    response: Option<Str<'a>>,
    #[serde(borrow)]
    answers: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<Str<'a>>,
}

/// The properties of a `message.part.delta` of 1.18.33.
#[derive(Deserialize)]
struct DeltaProperties<'a> {
    #[serde(borrow, rename = "sessionID")]
    session_id: Str<'a>,
    #[serde(borrow, rename = "messageID")]
    message_id: Str<'a>,
    #[serde(borrow, rename = "partID")]
    part_id: Str<'a>,
    #[serde(borrow)]
    field: Str<'a>,
    #[serde(borrow)]
    delta: &'a RawValue,
}

impl DeltaProperties<'_> {
    fn field(&self) -> Cow<'static, str> {
        field(self.field.as_str())
    }
}

#[derive(Deserialize)]
struct McpProperties<'a> {
    #[serde(borrow)]
    server: Str<'a>,
}

fn field(name: &str) -> Cow<'static, str> {
    if name == "text" { "text".into() } else { name.to_owned().into() }
}

fn read_kind(
    line: &Bytes,
    event_type: &str,
    raw: Option<&RawValue>,
) -> (Option<SessionId>, ServerEventKind) {
    match event_type {
        "server.connected" => return (None, ServerEventKind::Connected),
        "server.heartbeat" => return (None, ServerEventKind::Heartbeat),
        "server.instance.disposed" => return (None, ServerEventKind::InstanceDisposed),
        "global.disposed" => return (None, ServerEventKind::GlobalDisposed),
        "sync" => return (None, ServerEventKind::Sync),
        _ => {}
    }
    let properties = raw.map_or("{}", RawValue::get);
    if event_type == "mcp.tools.changed"
        && let Ok(changed) = serde_json::from_str::<McpProperties<'_>>(properties)
    {
        let server = changed.server.as_str().into();
        return (None, ServerEventKind::McpToolsChanged { server });
    }
    // Nearly all events are of this one type.
    if event_type == "message.part.delta"
        && let Ok(delta) = serde_json::from_str::<DeltaProperties<'_>>(properties)
        && let Some(text) = RawText::slice(line, delta.delta)
    {
        let kind = ServerEventKind::PartDelta {
            message: Some(delta.message_id.as_str().into()),
            part: delta.part_id.as_str().into(),
            field: delta.field(),
            delta: text,
        };
        return (Some(delta.session_id.as_str().into()), kind);
    }
    let is_typed = TYPED.contains(&event_type);
    let read = serde_json::from_str::<EventProperties<'_>>(properties);
    let session = read.as_ref().ok().and_then(EventProperties::session);
    if !is_typed {
        let kind = if is_known(event_type) {
            ServerEventKind::Other { event_type: event_type.into() }
        } else {
            ServerEventKind::Unknown { event_type: event_type.into() }
        };
        return (session, kind);
    }
    let kind = read.and_then(|properties| {
        if session.is_none() && !SESSIONLESS.contains(&event_type) {
            return Err(Error::missing_field("sessionID"));
        }
        properties.kind(line, event_type, raw)
    });
    (session, kind.unwrap_or_else(|error| malformed(Some(event_type), error)))
}

impl EventProperties<'_> {
    /// Returns the session of the event. Before 1.3.5 only the message, part or session in the
    /// event names it.
    fn session(&self) -> Option<SessionId> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct EventSubject<'a> {
            #[serde(borrow)]
            id: Option<Str<'a>>,
            #[serde(borrow, rename = "sessionID")]
            session_id: Option<Str<'a>>,
        }
        if let Some(id) = &self.session_id {
            return Some(id.as_str().into());
        }
        let about: EventSubject<'_> = serde_json::from_str(self.info.or(self.part)?.get()).ok()?;
        let own = about.id.filter(|id| id.as_str().starts_with("ses"));
        about.session_id.or(own).map(|id| id.as_str().into())
    }

    fn kind(
        &self,
        line: &Bytes,
        event_type: &str,
        whole: Option<&RawValue>,
    ) -> Result<ServerEventKind, serde_json::Error> {
        let info = || self.info.ok_or_else(|| Error::missing_field("info"));
        let whole = || whole.ok_or_else(|| Error::missing_field("properties"));
        let id = |id: &Option<Str<'_>>, name: &'static str| match id {
            Some(id) => Ok(id.as_str().to_owned()),
            None => Err(<serde_json::Error as Error>::missing_field(name)),
        };
        let message = || self.message_id.as_ref().map(|id| id.as_str().into());
        Ok(match event_type {
            "command.executed" => ServerEventKind::CommandExecuted {
                name: id(&self.name, "name")?.into(),
                message: message(),
            },
            "message.part.delta" => ServerEventKind::PartDelta {
                message: message(),
                part: id(&self.part_id, "partID")?.into(),
                field: field(&id(&self.field, "field")?),
                delta: self
                    .delta
                    .and_then(|raw| RawText::slice(line, raw))
                    .ok_or_else(|| <serde_json::Error as Error>::missing_field("delta"))?,
            },
            "message.part.removed" => ServerEventKind::PartRemoved {
                message: message(),
                part: id(&self.part_id, "partID")?.into(),
            },
            "message.part.updated" => {
                let part = self.part.ok_or_else(|| Error::missing_field("part"))?;
                ServerEventKind::PartUpdated(Part::decode(line, part)?)
            }
            "message.removed" => ServerEventKind::MessageRemoved {
                message: id(&self.message_id, "messageID")?.into(),
            },
            "message.updated" => {
                ServerEventKind::MessageUpdated(Box::new(MessageInfo::decode(line, info()?)?))
            }
            "permission.asked" | "permission.updated" => ServerEventKind::PermissionAsked(
                Box::new(PermissionRequest::decode(line, whole()?)?),
            ),
            "permission.replied" => {
                let request = self.request_id.as_ref().or(self.permission_id.as_ref());
                let reply = self.reply.as_ref().or(self.response.as_ref());
                ServerEventKind::PermissionReplied {
                    request: request
                        .ok_or_else(|| Error::missing_field("requestID"))?
                        .as_str()
                        .into(),
                    reply: reply.ok_or_else(|| Error::missing_field("reply"))?.as_str().into(),
                }
            }
            "question.asked" => {
                ServerEventKind::QuestionAsked(Box::new(QuestionRequest::decode(whole()?)?))
            }
            "question.rejected" => ServerEventKind::QuestionRejected {
                request: id(&self.request_id, "requestID")?.into(),
            },
            "question.replied" => ServerEventKind::QuestionReplied {
                request: id(&self.request_id, "requestID")?.into(),
                answers: self.answers.map(|raw| RawJson::slice(line, raw)),
            },
            "session.compacted" => ServerEventKind::SessionCompacted,
            "session.created" => {
                ServerEventKind::SessionCreated(Box::new(SessionInfo::decode(line, info()?)?))
            }
            "session.deleted" => {
                ServerEventKind::SessionDeleted(Box::new(SessionInfo::decode(line, info()?)?))
            }
            "session.diff" => ServerEventKind::SessionDiff {
                diff: RawJson::slice(line, self.diff.ok_or_else(|| Error::missing_field("diff"))?),
            },
            "session.error" => ServerEventKind::SessionError(
                self.error.map(|raw| Box::new(AgentError::decode(RawJson::slice(line, raw)))),
            ),
            "session.idle" => ServerEventKind::SessionIdle,
            "session.status" => ServerEventKind::SessionStatus(SessionStatus::decode(
                self.status.ok_or_else(|| Error::missing_field("status"))?,
            )?),
            "session.updated" => {
                ServerEventKind::SessionUpdated(Box::new(SessionInfo::decode(line, info()?)?))
            }
            "todo.updated" => ServerEventKind::TodoUpdated(Todo::decode_all(
                self.todos.ok_or_else(|| Error::missing_field("todos"))?,
            )?),
            _ => ServerEventKind::Unknown { event_type: event_type.into() },
        })
    }
}

fn malformed(event_type: Option<&str>, error: serde_json::Error) -> ServerEventKind {
    ServerEventKind::Malformed { event_type: event_type.map(Into::into), error: error.into() }
}
