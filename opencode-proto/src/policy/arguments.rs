//! Arguments of tool calls, read from the server.
//!
//! OpenCode publishes the arguments of a call a few milliseconds after the permission request, so
//! the message of the call is read again until the call runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::footprint::CallArguments;
use crate::api::MessageWithParts;
use crate::{CallId, MessageId, Part, PermissionId, PermissionRequest, SessionId, ToolState};

/// Pause before a message is read for the second time. Later pauses double.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(320);
/// Time after which a call counts as one without arguments.
const ARGUMENTS_LIMIT: Duration = Duration::from_secs(10);

/// A message of a session.
pub(super) type MessageKey = (SessionId, MessageId);

/// A tool call. A model may give several calls the same id.
pub(super) type ToolCallKey = (SessionId, Option<MessageId>, CallId);

/// Messages that are read for the arguments of their calls. One read serves all calls of a message.
#[derive(Debug, Default)]
pub(super) struct ArgumentReads {
    reads: BTreeMap<MessageKey, MessageRead>,
    /// The request that each call's arguments were read for, by call and permission.
    claims: BTreeMap<(ToolCallKey, String), PermissionId>,
}

#[derive(Debug)]
struct MessageRead {
    waiting: BTreeMap<PermissionId, WaitingCall>,
    progress: ReadProgress,
    pause: Duration,
}

#[derive(Debug)]
struct WaitingCall {
    call: CallId,
    since: Instant,
}

#[derive(Debug, PartialEq, Eq)]
enum ReadProgress {
    Asked,
    Pausing { until: Instant },
}

/// First step towards the arguments of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ArgumentStart {
    /// The message has to be read.
    Read(MessageKey),
    /// The call cannot be identified.
    Unknown,
    /// The message is being read already.
    Waiting,
}

impl ArgumentReads {
    /// Starts to wait for the arguments of a request's call.
    pub(super) fn start(
        &mut self,
        session: &SessionId,
        request: &PermissionRequest,
        now: Instant,
    ) -> ArgumentStart {
        let Some(tool) = &request.tool else { return ArgumentStart::Unknown };
        let Some(message) = &tool.message else { return ArgumentStart::Unknown };
        let call = (session.clone(), Some(message.clone()), tool.call.clone());
        let claim = self.claims.entry((call, request.permission.clone()));
        // Two requests of one call and permission come from two calls with the same id.
        if *claim.or_insert_with(|| request.id.clone()) != request.id {
            return ArgumentStart::Unknown;
        }
        let key = (session.clone(), message.clone());
        let waiting = WaitingCall { call: tool.call.clone(), since: now };
        if let Some(read) = self.reads.get_mut(&key) {
            read.waiting.insert(request.id.clone(), waiting);
            return ArgumentStart::Waiting;
        }
        let read = MessageRead {
            waiting: BTreeMap::from([(request.id.clone(), waiting)]),
            progress: ReadProgress::Asked,
            pause: PAUSE_FIRST,
        };
        self.reads.insert(key.clone(), read);
        ArgumentStart::Read(key)
    }

    /// Forgets a request that is over.
    pub(super) fn leave(&mut self, id: &PermissionId) {
        for read in self.reads.values_mut() {
            read.waiting.remove(id);
        }
        self.reads
            .retain(|_, read| !read.waiting.is_empty() || read.progress == ReadProgress::Asked);
    }

    /// Takes a message as the server has it; `None` when it cannot be read. Returns the requests
    /// that wait no longer, each with the arguments of the call, or `None` without any.
    pub(super) fn take(
        &mut self,
        key: &MessageKey,
        message: Option<&MessageWithParts>,
        now: Instant,
    ) -> Vec<(PermissionId, Option<CallArguments>)> {
        let Some(read) = self.reads.get_mut(key) else { return Vec::new() };
        let mut taken = Vec::new();
        read.waiting.retain(|id, waiting| {
            let state = message
                .map_or(CallState::Unreadable, |message| CallState::of(message, &waiting.call));
            let arguments = match state {
                CallState::Known(arguments) => Some(arguments),
                CallState::Unreadable => None,
                CallState::Unpublished if now - waiting.since < ARGUMENTS_LIMIT => return true,
                CallState::Unpublished => None,
            };
            taken.push((id.clone(), arguments));
            false
        });
        if read.waiting.is_empty() {
            self.reads.remove(key);
        } else {
            read.progress = ReadProgress::Pausing { until: now + read.pause };
            read.pause = (read.pause * 2).min(PAUSE_MAX);
        }
        taken
    }

    /// Returns the messages that have to be read again now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<MessageKey> {
        let mut due = Vec::new();
        for (key, read) in &mut self.reads {
            if matches!(read.progress, ReadProgress::Pausing { until } if until <= now) {
                read.progress = ReadProgress::Asked;
                due.push(key.clone());
            }
        }
        due
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        let until = |read: &MessageRead| match read.progress {
            ReadProgress::Asked => None,
            ReadProgress::Pausing { until } => Some(until),
        };
        self.reads.values().filter_map(until).min()
    }
}

enum CallState {
    Known(CallArguments),
    /// The server does not have the arguments yet.
    Unpublished,
    /// The arguments have another form than OpenCode's, or belong to one of several calls with the
    /// same id.
    Unreadable,
}

impl CallState {
    fn of(message: &MessageWithParts, call: &CallId) -> Self {
        let mut states = message.parts.iter().filter_map(|part| {
            let Part::Tool(tool) = part else { return None };
            (tool.call == *call).then_some(&tool.state)
        });
        match (states.next(), states.next()) {
            (None | Some(ToolState::Pending { .. }), None) => Self::Unpublished,
            (Some(state), None) => {
                let arguments = state.input().and_then(CallArguments::read);
                arguments.map_or(Self::Unreadable, Self::Known)
            }
            (_, Some(_)) => Self::Unreadable,
        }
    }
}
