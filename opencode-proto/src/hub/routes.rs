use std::collections::BTreeMap;

use serde::Deserialize;

use crate::SessionId;
use crate::part::{Part, ToolPart};
use crate::server_event::{ServerEvent, ServerEventKind};

/// Routes from sessions to followed roots. One look-up per event, for any number of sessions.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// The followed root of every session that is followed or descends from a followed session.
    roots: BTreeMap<SessionId, SessionId>,
    /// Number of followers per session.
    followers: BTreeMap<SessionId, usize>,
}

impl Routes {
    pub(super) fn follow(&mut self, session: SessionId) {
        *self.followers.entry(session.clone()).or_default() += 1;
        self.roots.insert(session.clone(), session);
    }

    pub(super) fn leave(&mut self, session: &SessionId) {
        let Some(followers) = self.followers.get_mut(session) else { return };
        *followers -= 1;
        if *followers == 0 {
            self.followers.remove(session);
            self.roots.retain(|_, root| root != session);
        }
    }

    pub(super) fn link(&mut self, child: &SessionId, parent: &SessionId) {
        if let Some(root) = self.roots.get(parent)
            && !self.roots.contains_key(child)
        {
            let root = root.clone();
            self.roots.insert(child.clone(), root);
        }
    }

    /// Returns the root of an event, and learns child sessions from the event.
    pub(super) fn root(&mut self, event: &ServerEvent) -> Option<SessionId> {
        let session = event.session.as_ref()?;
        if let ServerEventKind::SessionCreated(info) | ServerEventKind::SessionUpdated(info) =
            &event.kind
            && let Some(parent) = &info.parent
        {
            self.link(session, parent);
        }
        if let ServerEventKind::PartUpdated(Part::Tool(tool)) = &event.kind
            && let Some(child) = child_of(tool)
        {
            self.link(&child, session);
        }
        self.roots.get(session).cloned()
    }
}

/// Returns the session of the subagent that a call of the `task` tool started.
pub(crate) fn child_of(tool: &ToolPart) -> Option<SessionId> {
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(rename = "sessionId")]
        session_id: SessionId,
    }
    if &*tool.tool != "task" {
        return None;
    }
    let metadata: Metadata = tool.state.metadata()?.decode().ok()?;
    Some(metadata.session_id)
}
