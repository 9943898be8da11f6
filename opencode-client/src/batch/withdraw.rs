//! Taking back a prompt of which nobody knows whether it arrived.

use std::time::Duration;

use opencode_proto::api::ApiErrorKind;
use opencode_proto::{MessageId, ServerEventKind};

use crate::runtime::wait::within;
use crate::server::hub::{Delivery, Mailbox};
use crate::session::Session;

/// How long to wait for the event stream, and for what it tells of the deleted session.
const LIMIT: Duration = Duration::from_secs(10);

/// Deletes the session, so that the prompt finds nothing should it be on its way still. Says whether it is certain that it
/// had not arrived before.
///
/// It may arrive between any look and the end of the session. But then the server tells of it, and of the end only after
/// that.
pub(super) async fn withdraw(session: &Session, prompt: &MessageId) -> bool {
    let core = &session.core;
    let runtime = &*core.server.host.runtime;
    let follower = core.server.follow(core.state.id.clone(), core.state.directory.clone());
    let mailbox = follower.mailbox();
    // From then on, nothing is missed.
    let opened = within(runtime, Some(LIMIT), mailbox.opened()).await;
    let is_open = opened.is_ok_and(|opened| opened.is_ok());
    let is_missing = match session.message(prompt.clone()).await {
        Ok(_) => {
            // Nobody follows it any more.
            if let Err(error) = session.abort().await {
                tracing::warn!(%error, "cannot abort a prompt that arrived late");
            }
            return false;
        }
        Err(error) => {
            error.api().is_some_and(|error| matches!(error.kind, ApiErrorKind::NotFound { .. }))
        }
    };
    discard(session).await;
    is_open
        && is_missing
        && within(runtime, Some(LIMIT), ended_unused(session, mailbox, prompt))
            .await
            .unwrap_or(false)
}

/// Deletes a session that is of no use to anybody.
pub(super) async fn discard(session: &Session) {
    if let Err(error) = session.delete().await {
        // It may be deleted all the same.
        tracing::debug!(%error, "cannot delete the session of a prompt that was not posted");
    }
}

/// Whether the session is told to be deleted, and nothing of the prompt before.
async fn ended_unused(session: &Session, mailbox: &Mailbox, prompt: &MessageId) -> bool {
    loop {
        let event = match mailbox.take().await {
            Delivery::Event(event) => event,
            Delivery::Opened => continue,
            Delivery::Finished(_) | Delivery::Interrupted(_) => return false,
        };
        if event.session.as_ref() != Some(session.id()) {
            continue;
        }
        if matches!(&event.kind, ServerEventKind::MessageUpdated(info) if info.id == *prompt) {
            return false;
        }
        if matches!(event.kind, ServerEventKind::SessionDeleted(_)) {
            return true;
        }
    }
}
