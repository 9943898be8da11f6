//! What can be done with a session besides prompting it: one call of the server each.

use opencode_config::ModelRef;
use opencode_proto::api::{
    AbortSession, DeleteMessage, DeletePart, DeleteSession, FileDiff, ForkSession, ListChildren,
    ListMessages, MessagePage, MessageWithParts, ReadMessage, ReadSession, RevertSession,
    SessionDiff, SessionStatuses, SessionTodos, ShareSession, Summarize, UnrevertSession,
    UnshareSession, UpdateSession,
};
use opencode_proto::{MessageId, PartId, SessionInfo, SessionStatus, Todo};

use super::Session;
use crate::http::CallError;

type Called<T> = Result<T, CallError>;

/// Every call fails with what the server answered, or with why it could not. Dropping one that is waited for loses
/// nothing but the answer: the server may have done it.
impl Session {
    /// What the server knows about it. `GET /session/{sessionID}`.
    pub async fn info(&self) -> Called<SessionInfo> {
        self.call(&ReadSession::new(self.id())).await
    }

    /// What it does. `GET /session/status`. OpenCode tells on its event stream that a session is idle a moment before it
    /// says so here, so a session whose turn has just ended may still be said to be busy.
    pub async fn status(&self) -> Called<SessionStatus> {
        let mut statuses = self.call(&SessionStatuses::new()).await?;
        // Those that do nothing are not listed.
        Ok(statuses.remove(self.id()).unwrap_or(SessionStatus::Idle))
    }

    /// Changes its title, adds permission rules, or archives it. `PATCH /session/{sessionID}`.
    pub async fn update(
        &self,
        change: impl FnOnce(UpdateSession) -> UpdateSession,
    ) -> Called<SessionInfo> {
        self.call(&change(UpdateSession::new(self.id()))).await
    }

    /// Deletes it with its messages and its subagents' sessions. `DELETE /session/{sessionID}`.
    pub async fn delete(&self) -> Called<()> {
        self.call(&DeleteSession::new(self.id())).await
    }

    /// Aborts whatever it works on, by whose prompt ever. Its turns end. `POST /session/{sessionID}/abort`.
    pub async fn abort(&self) -> Called<()> {
        let abort = self.core.state.begin_abort().await;
        let aborted = self.call(&AbortSession::new(self.id())).await;
        drop(abort);
        aborted
    }

    /// The sessions of its subagents. `GET /session/{sessionID}/children`.
    pub async fn children(&self) -> Called<Vec<SessionInfo>> {
        self.call(&ListChildren::new(self.id())).await
    }

    /// A new session with the messages before this one, or with all. `POST /session/{sessionID}/fork`.
    pub async fn fork(&self, before: Option<MessageId>) -> Called<Self> {
        let mut fork = ForkSession::new(self.id());
        if let Some(before) = before {
            fork = fork.with_before(before);
        }
        let info = self.call(&fork).await?;
        Ok(Self::new(&self.core.server, &info, None))
    }

    /// All its messages, the oldest first, in as many pages as it takes. `GET /session/{sessionID}/message`.
    ///
    /// OpenCode 1.18.33 cannot list them any more after a prompt with
    /// [`OutputFormat::JsonSchema`](opencode_proto::OutputFormat::JsonSchema).
    pub async fn messages(&self) -> Called<Vec<MessageWithParts>> {
        const PAGE: u32 = 100;
        let mut list = ListMessages::new(self.id()).with_limit(PAGE);
        let mut messages = Vec::new();
        loop {
            let MessagePage { messages: mut page, next, .. } = self.call(&list).await?;
            page.append(&mut messages);
            messages = page;
            match next {
                Some(next) => list = list.with_before(next),
                None => return Ok(messages),
            }
        }
    }

    /// One message. `GET /session/{sessionID}/message/{messageID}`.
    pub async fn message(&self, message: MessageId) -> Called<MessageWithParts> {
        self.call(&ReadMessage::new(self.id(), message)).await
    }

    /// Deletes a message. `DELETE /session/{sessionID}/message/{messageID}`.
    pub async fn delete_message(&self, message: MessageId) -> Called<()> {
        self.call(&DeleteMessage::new(self.id(), message)).await
    }

    /// Deletes a part of a message. `DELETE /session/{sessionID}/message/{messageID}/part/{partID}`.
    pub async fn delete_part(&self, message: MessageId, part: PartId) -> Called<()> {
        self.call(&DeletePart::new(self.id(), message, part)).await
    }

    /// Takes back a message, or a part of it, and all that followed, in the conversation and in the files. The messages
    /// are gone for good with the next prompt. `POST /session/{sessionID}/revert`.
    pub async fn revert(&self, message: MessageId, part: Option<PartId>) -> Called<SessionInfo> {
        let mut revert = RevertSession::new(self.id(), message);
        if let Some(part) = part {
            revert = revert.with_part(part);
        }
        self.call(&revert).await
    }

    /// Takes a [`revert`](Self::revert) back. `POST /session/{sessionID}/unrevert`.
    pub async fn unrevert(&self) -> Called<SessionInfo> {
        self.call(&UnrevertSession::new(self.id())).await
    }

    /// Has a model summarise the conversation, and waits for it: minutes. `POST /session/{sessionID}/summarize`.
    pub async fn summarize(&self, model: ModelRef) -> Called<()> {
        self.call(&Summarize::new(self.id(), model)).await
    }

    /// Makes it public, and says where ([`SessionInfo::share_url`]). `POST /session/{sessionID}/share`.
    pub async fn share(&self) -> Called<SessionInfo> {
        self.call(&ShareSession::new(self.id())).await
    }

    /// Makes it private again. `DELETE /session/{sessionID}/share`.
    pub async fn unshare(&self) -> Called<SessionInfo> {
        self.call(&UnshareSession::new(self.id())).await
    }

    /// What its turns changed in files, or what the turn of one message did. `GET /session/{sessionID}/diff`.
    ///
    /// OpenCode 1.18.33 knows it of single messages only, and shortly after their turns: without a message, it says
    /// nothing. It sees changes in git repositories only.
    pub async fn diff(&self, message: Option<MessageId>) -> Called<Vec<FileDiff>> {
        let mut diff = SessionDiff::new(self.id());
        if let Some(message) = message {
            diff = diff.with_message(message);
        }
        self.call(&diff).await
    }

    /// Its list of things to do. `GET /session/{sessionID}/todo`.
    pub async fn todos(&self) -> Called<Vec<Todo>> {
        self.call(&SessionTodos::new(self.id())).await
    }

    async fn call<O: opencode_proto::api::Operation>(&self, operation: &O) -> Called<O::Output> {
        let core = &self.core;
        core.server.http.call(operation, core.state.directory.as_deref()).await
    }
}
