//! Finding out what a server knows about a turn.

use opencode_proto::api::{
    ApiErrorKind, ListChildren, ListMessages, ListPermissions, ListQuestions, MessagePage,
    MessageWithParts, Operation, ReadMessage, ReadSession, SessionStatuses,
};
use opencode_proto::{
    ChildSnapshot, Look, LookError, MessageId, SessionId, SessionStatus, Snapshot,
};

use crate::http::{CallError, Http};
use crate::log::describe;

const PAGE: u32 = 100;
/// Subagents of subagents of subagents …: how many sessions to look at.
const CHILDREN_MAX: usize = 1000;

/// Where to look.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) http: Http,
    pub(super) directory: Option<String>,
}

/// A snapshot, and which child descends from which.
pub(super) type Found = (Snapshot, Vec<(SessionId, SessionId)>);

pub(super) async fn look(site: Site, look: Look) -> Result<Found, LookError> {
    // The status first: what is idle has told all its messages by then.
    let mut statuses = site.call(&SessionStatuses::new()).await?;
    let mut snapshot = Snapshot::new(statuses.remove(&look.session).unwrap_or(SessionStatus::Idle));
    snapshot.messages = match site.messages_from(&look.session, Some(&look.message)).await {
        Ok(messages) => messages,
        Err(error) => match error.api().map(|error| &error.kind) {
            Some(ApiErrorKind::NotFound { .. }) => return Err(LookError::SessionGone),
            // The server cannot list the messages of sessions with structured output.
            Some(_) => site.known_messages(&look).await?,
            None => return Err(unavailable(&error)),
        },
    };
    let links = site.children(&look.session, &mut snapshot.children).await?;
    snapshot.permissions = optional(site.call_api(&ListPermissions::new()).await)?;
    snapshot.questions = optional(site.call_api(&ListQuestions::new()).await)?;
    Ok((snapshot, links))
}

impl Site {
    /// The messages of a session from one on; none when that one is not there. `None`: all.
    async fn messages_from(
        &self,
        session: &SessionId,
        from: Option<&MessageId>,
    ) -> Result<Vec<MessageWithParts>, CallError> {
        let mut list = ListMessages::new(session.clone()).with_limit(PAGE);
        let mut messages: Vec<MessageWithParts> = Vec::new();
        loop {
            let MessagePage { messages: mut page, next, .. } = self.call_api(&list).await?;
            page.append(&mut messages);
            messages = page;
            let first = messages.iter().position(|message| Some(&message.info.id) == from);
            if let Some(first) = first {
                return Ok(messages.split_off(first));
            }
            match next {
                Some(next) => list = list.with_before(next),
                None if from.is_none() => return Ok(messages),
                None => return Ok(Vec::new()),
            }
        }
    }

    /// The messages that are known to be open, one by one.
    async fn known_messages(&self, look: &Look) -> Result<Vec<MessageWithParts>, LookError> {
        // A session that cannot be read at all is another matter.
        self.call(&ReadSession::new(look.session.clone())).await?;
        let mut messages = Vec::new();
        for message in &look.open {
            let read = ReadMessage::new(look.session.clone(), message.clone());
            messages.push(self.call(&read).await?);
        }
        Ok(messages)
    }

    async fn children(
        &self,
        root: &SessionId,
        children: &mut Vec<ChildSnapshot>,
    ) -> Result<Vec<(SessionId, SessionId)>, LookError> {
        let mut links = Vec::new();
        let mut parents = vec![root.clone()];
        while let Some(parent) = parents.pop() {
            for info in self.call(&ListChildren::new(parent.clone())).await? {
                if children.len() >= CHILDREN_MAX {
                    return Ok(links);
                }
                let messages = match self.messages_from(&info.id, None).await {
                    Ok(messages) => messages,
                    Err(error) if error.api().is_some() => Vec::new(),
                    Err(error) => return Err(unavailable(&error)),
                };
                links.push((info.id.clone(), parent.clone()));
                parents.push(info.id.clone());
                children.push(ChildSnapshot { session: info.id, messages });
            }
        }
        Ok(links)
    }

    async fn call<O: Operation>(&self, operation: &O) -> Result<O::Output, LookError> {
        self.call_api(operation).await.map_err(|error| match error.api().map(|error| &error.kind) {
            Some(ApiErrorKind::NotFound { .. }) => LookError::SessionGone,
            Some(_) | None => unavailable(&error),
        })
    }

    async fn call_api<O: Operation>(&self, operation: &O) -> Result<O::Output, CallError> {
        self.http.call(operation, self.directory.as_deref()).await
    }
}

/// What old servers do not have is empty there.
fn optional<T: Default>(called: Result<T, CallError>) -> Result<T, LookError> {
    called.or_else(|error| match error.api().map(|error| &error.kind) {
        Some(ApiErrorKind::UnknownRoute | ApiErrorKind::NotFound { .. }) => Ok(T::default()),
        Some(_) | None => Err(unavailable(&error)),
    })
}

fn unavailable(error: &CallError) -> LookError {
    LookError::unavailable(describe(error))
}
