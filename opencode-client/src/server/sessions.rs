//! What a server knows of its sessions besides what it is asked for.

mod claims;
mod gate;
mod message_id;
mod model;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use opencode_config::ModelRef;
use opencode_proto::{SessionId, SessionInfo};

use claims::Claims;
pub(crate) use gate::Abort;
use gate::AbortGate;
pub(crate) use message_id::MessageIds;
use model::ModelGuard;

/// What all handles of one session share.
pub(crate) struct SessionState {
    pub(crate) id: SessionId,
    /// Where it works: what is asked about it is asked there.
    pub(crate) directory: Option<String>,
    pub(crate) aborts: AbortGate,
    pub(crate) claims: Claims,
    pub(crate) models: ModelGuard,
}

/// The sessions of a server that somebody has a handle of.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<SessionId, Weak<SessionState>>>);

impl Sessions {
    pub(crate) fn state(&self, info: &SessionInfo, model: Option<ModelRef>) -> Arc<SessionState> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, state| state.strong_count() > 0);
        if let Some(state) = sessions.get(&info.id).and_then(Weak::upgrade) {
            return state;
        }
        let state = Arc::new(SessionState {
            id: info.id.clone(),
            directory: info.directory.as_deref().map(str::to_owned),
            aborts: AbortGate::default(),
            claims: Claims::default(),
            models: ModelGuard::new(model),
        });
        sessions.insert(info.id.clone(), Arc::downgrade(&state));
        state
    }
}
