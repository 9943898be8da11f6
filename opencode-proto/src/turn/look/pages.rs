//! Messages of a session, read page by page.

use crate::api::{ListMessages, MessagePage, MessageWithParts};
use crate::server_event::MessageInfo;
use crate::{MessageId, SessionId};

/// Messages per page.
const PAGE: u32 = 100;

/// First message that matters to a look.
#[derive(Clone, Debug)]
pub(in crate::turn) enum LookOrigin {
    /// The first message that is newer than this id.
    After(MessageId),
    /// The turn's own message.
    At(MessageId),
}

impl LookOrigin {
    /// Returns whether messages before this one do not matter.
    pub(super) fn is_reached_by(&self, id: &MessageId) -> bool {
        match self {
            Self::After(origin) => id <= origin,
            Self::At(origin) => id == origin,
        }
    }

    pub(super) fn is_first(&self, id: &MessageId) -> bool {
        match self {
            Self::After(origin) => id > origin,
            Self::At(origin) => id == origin,
        }
    }
}

/// Messages of a session, page by page from the newest back.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) list: ListMessages,
    pub(super) messages: Vec<MessageWithParts>,
}

impl Pages {
    pub(super) fn new(session: &SessionId) -> Self {
        Self { list: ListMessages::new(session.clone()).with_limit(PAGE), messages: Vec::new() }
    }

    /// Adds a page. Returns the pages with the next call, unless the last page was there, or the
    /// message that is looked for.
    pub(super) fn add(&mut self, page: MessagePage, from: Option<&LookOrigin>) -> Option<Self> {
        let MessagePage { mut messages, next, .. } = page;
        messages.append(&mut self.messages);
        let is_found = from.is_some_and(|origin| {
            messages.iter().any(|message| origin.is_reached_by(&message.info.id))
        });
        match next {
            Some(next) if !is_found => {
                let list = self.list.clone().with_before(next);
                Some(Self { list, messages })
            }
            Some(_) | None => {
                self.messages = messages;
                None
            }
        }
    }

    /// Splits the messages at this one: the messages before it, without parts, and those from it on.
    /// Both are empty when the message is not there.
    pub(super) fn split_at(
        &mut self,
        from: &LookOrigin,
    ) -> (Vec<MessageInfo>, Vec<MessageWithParts>) {
        let mut messages = std::mem::take(&mut self.messages);
        let Some(first) = messages.iter().position(|message| from.is_first(&message.info.id))
        else {
            return (Vec::new(), Vec::new());
        };
        let rest = messages.split_off(first);
        (messages.into_iter().map(|message| message.info).collect(), rest)
    }
}
