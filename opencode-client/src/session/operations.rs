//! Operations on a session other than prompts, each with the endpoint that it calls.

use opencode_config::ModelRef;
use opencode_proto::api::{
    AbortSession, DeleteMessage, DeletePart, DeleteSession, FileDiff, ForkSession, ListChildren,
    ListMessages, MessagePage, MessageWithParts, ReadMessage, ReadSession, RevertSession,
    SessionDiff, SessionStatuses, SessionTodos, ShareSession, UnrevertSession, UnshareSession,
    UpdateSession,
};
use opencode_proto::{
    MessageId, PartId, RequestedDirectory, SessionInfo, SessionStatus, SummarizeRequest, Todo,
};

use super::Session;
use super::turn::TurnStream;
use crate::http::CallError;

type Called<T> = Result<T, CallError>;

/// Operations on the session. Every call fails with the error response of the server, or with the
/// reason why there was no response. Dropping a pending call loses only the response: the server
/// may already have carried out the operation.
impl Session {
    /// Returns the server's description of the session. `GET /session/{sessionID}`.
    pub async fn info(&self) -> Called<SessionInfo> {
        self.call(&ReadSession::new(self.id())).await
    }

    /// Returns the status of the session. `GET /session/status`.
    ///
    /// OpenCode publishes on the event stream that a session is idle a moment before this endpoint
    /// reports the same, so a session may still be reported as busy just after the turn ended.
    pub async fn status(&self) -> Called<SessionStatus> {
        let mut statuses = self.call(&SessionStatuses::new()).await?;
        // The endpoint omits idle sessions.
        Ok(statuses.remove(self.id()).unwrap_or(SessionStatus::Idle))
    }

    /// Changes the title, adds permission rules, or archives the session. `PATCH
    /// /session/{sessionID}`.
    pub async fn update(
        &self,
        change: impl FnOnce(UpdateSession) -> UpdateSession,
    ) -> Called<SessionInfo> {
        let info = self.call(&change(UpdateSession::new(self.id()))).await?;
        self.core.state.with(|machine| machine.handle_info(&info));
        Ok(info)
    }

    /// Deletes the session with all messages and the sessions of subagents. `DELETE
    /// /session/{sessionID}`.
    pub async fn delete(&self) -> Called<()> {
        self.call(&DeleteSession::new(self.id())).await
    }

    /// Aborts all work of the session, including prompts of other clients, and ends all turns.
    /// `POST /session/{sessionID}/abort`.
    pub async fn abort(&self) -> Called<()> {
        let abort = self.core.state.begin_abort().await;
        let aborted = self.call(&AbortSession::new(self.id())).await;
        drop(abort);
        aborted
    }

    /// Returns the sessions of the subagents. `GET /session/{sessionID}/children`.
    pub async fn children(&self) -> Called<Vec<SessionInfo>> {
        self.call(&ListChildren::new(self.id())).await
    }

    /// Creates a session with the messages before the given message, or with all messages for
    /// `None`, in the same directory. `POST /session/{sessionID}/fork`.
    pub async fn fork(&self, before: Option<MessageId>) -> Called<Self> {
        let mut fork = ForkSession::new(self.id());
        if let Some(before) = before {
            fork = fork.with_before(before);
        }
        let info = self.call(&fork).await?;
        if let Some(directory) = self.directory() {
            let requested = RequestedDirectory::new(directory);
            self.core.server.check_created(&requested, &info).await?;
        }
        Ok(Self::new(&self.core.handle(), &info, None))
    }

    /// Returns all messages, the oldest first, and requests as many pages as needed. `GET
    /// /session/{sessionID}/message`.
    ///
    /// OpenCode 1.18.33 can no longer list the messages of a session after a prompt with
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

    /// Returns one message. `GET /session/{sessionID}/message/{messageID}`.
    pub async fn message(&self, message: MessageId) -> Called<MessageWithParts> {
        self.call(&ReadMessage::new(self.id(), message)).await
    }

    /// Deletes a message. `DELETE /session/{sessionID}/message/{messageID}`.
    pub async fn delete_message(&self, message: MessageId) -> Called<()> {
        self.call(&DeleteMessage::new(self.id(), message)).await
    }

    /// Deletes a part of a message.
    /// `DELETE /session/{sessionID}/message/{messageID}/part/{partID}`.
    pub async fn delete_part(&self, message: MessageId, part: PartId) -> Called<()> {
        self.call(&DeletePart::new(self.id(), message, part)).await
    }

    /// Reverts a message, or a part of a message, and everything after it, in the conversation and
    /// in the files. The next prompt deletes the reverted messages for good. `POST
    /// /session/{sessionID}/revert`.
    pub async fn revert(&self, message: MessageId, part: Option<PartId>) -> Called<SessionInfo> {
        let mut revert = RevertSession::new(self.id(), message);
        if let Some(part) = part {
            revert = revert.with_part(part);
        }
        self.call(&revert).await
    }

    /// Undoes a [`revert`](Self::revert). `POST /session/{sessionID}/unrevert`.
    pub async fn unrevert(&self) -> Called<SessionInfo> {
        self.call(&UnrevertSession::new(self.id())).await
    }

    /// Has a model summarize the conversation, which makes room in the context. A turn of its own, with
    /// events and deadlines; a summary that fails is an error. `POST /session/{sessionID}/summarize`.
    ///
    /// ```no_run
    /// # use opencode_tokio::{Session, TurnError};
    /// # async fn example(session: Session) -> Result<(), TurnError> {
    /// session.summarize("anthropic/claude-haiku-4-5".parse().unwrap()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn summarize(&self, model: ModelRef) -> TurnStream {
        self.send(SummarizeRequest::new(model))
    }

    /// Makes the session public and returns the session with the URL ([`SessionInfo::share_url`]).
    /// `POST /session/{sessionID}/share`.
    pub async fn share(&self) -> Called<SessionInfo> {
        self.call(&ShareSession::new(self.id())).await
    }

    /// Makes the session private again. `DELETE /session/{sessionID}/share`.
    pub async fn unshare(&self) -> Called<SessionInfo> {
        self.call(&UnshareSession::new(self.id())).await
    }

    /// Returns the file changes of the session, or of the turn of one message. `GET
    /// /session/{sessionID}/diff`.
    ///
    /// OpenCode 1.18.33 returns changes for single messages only, and only shortly after their
    /// turns: without a message, the list is empty. OpenCode detects changes in git repositories
    /// only.
    pub async fn diff(&self, message: Option<MessageId>) -> Called<Vec<FileDiff>> {
        let mut diff = SessionDiff::new(self.id());
        if let Some(message) = message {
            diff = diff.with_message(message);
        }
        self.call(&diff).await
    }

    /// Returns the todo list of the session. `GET /session/{sessionID}/todo`.
    pub async fn todos(&self) -> Called<Vec<Todo>> {
        self.call(&SessionTodos::new(self.id())).await
    }

    async fn call<O: opencode_proto::api::Operation>(&self, operation: &O) -> Called<O::Output> {
        let core = &self.core;
        core.http.call(operation, core.state.directory.as_deref()).await
    }
}
