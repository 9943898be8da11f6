//! Taking back a prompt of which nobody knows whether it arrived.

use std::future::poll_fn;
use std::time::Duration;

use opencode_proto::api::{ApiError, ApiErrorKind};
use opencode_proto::{MessageId, ServerEventKind};

use crate::hub::{Delivery, Follower};
use crate::session::Session;
use crate::within::within;

/// How long to wait for the event stream, and for what it tells of the deleted session.
const LIMIT: Duration = Duration::from_secs(10);

/// Deletes the session, so that the prompt finds nothing should it be on its way still. Says whether it is certain that it
/// had not arrived before.
///
/// It may arrive between any look and the end of the session. But then the server tells of it, and of the end only after
/// that.
pub(super) async fn withdraw(session: &Session, prompt: &MessageId) -> bool {
    let core = &session.core;
    let runtime = &*core.server.inner.runtime;
    let follower = core.server.follow(core.id.clone(), core.directory.clone());
    let is_open = within(runtime, Some(LIMIT), opened(&follower)).await.unwrap_or(false);
    let is_missing = match session.message(prompt.clone()).await {
        Ok(_) => {
            // Nobody follows it any more.
            if let Err(error) = session.abort().await {
                tracing::warn!(%error, "cannot abort a prompt that arrived late");
            }
            return false;
        }
        Err(error) => {
            let is_not_found =
                |error: &ApiError| matches!(error.kind, ApiErrorKind::NotFound { .. });
            error.api().is_some_and(is_not_found)
        }
    };
    if let Err(error) = session.delete().await {
        // It may be deleted all the same.
        tracing::debug!(%error, "cannot delete the session of a prompt that was not posted");
    }
    is_open
        && is_missing
        && within(runtime, Some(LIMIT), ended_unused(session, &follower, prompt))
            .await
            .unwrap_or(false)
}

/// Waits until the event stream is open: from then on, nothing is missed.
async fn opened(follower: &Follower) -> bool {
    loop {
        match next(follower).await {
            Delivery::Opened => return true,
            Delivery::Finished(_) => return false,
            Delivery::Event(_) | Delivery::Interrupted(_) => {}
        }
    }
}

/// Whether the session is told to be deleted, and nothing of the prompt before.
async fn ended_unused(session: &Session, follower: &Follower, prompt: &MessageId) -> bool {
    loop {
        let event = match next(follower).await {
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

async fn next(follower: &Follower) -> Delivery {
    poll_fn(|cx| follower.mailbox().poll_take(cx)).await
}
