use std::collections::BTreeMap;

use serde::Deserialize;

use crate::SessionId;
use crate::part::{Part, ToolPart};
use crate::server_event::{ServerEvent, ServerEventKind};

/// Which followed session an event goes to. One look-up per event, however many sessions there are.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// Every session that is followed or descends from one that is, with that one.
    roots: BTreeMap<SessionId, SessionId>,
    /// How many follow a session.
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

    /// The root an event belongs to. Learns of children, whichever event tells of them first.
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

/// The session of the subagent that a call of the `task` tool started.
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
