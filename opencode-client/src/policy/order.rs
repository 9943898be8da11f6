//! In which order asks are answered.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opencode_proto::api::ListPermissions;
use opencode_proto::{Pending, PermissionId, PermissionRequest, SessionId};

use super::tree::Tree;

/// When OpenCode is told that one ask is refused, it refuses all others of that session with it, those too that would be
/// allowed, and without a message. So refusals come last.
#[derive(Debug, Default)]
pub(super) struct Open(Mutex<BTreeMap<PermissionId, Stage>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is thought about.
    Judging,
    /// It is refused, as soon as nothing stands against it.
    Refusing,
}

/// An ask that is not answered yet.
pub(super) struct Held<'a> {
    open: &'a Open,
    id: PermissionId,
}

const PAUSE: Duration = Duration::from_millis(20);
/// How often it is looked again for asks that are listed and that nobody thinks about: the event that tells of one, or the
/// answer to one, may be on its way. One whose turn was aborted stays listed.
const TRIES: u32 = 25;

impl Open {
    pub(super) fn hold(&self, id: &PermissionId) -> Held<'_> {
        self.lock().insert(id.clone(), Stage::Judging);
        Held { open: self, id: id.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PermissionId, Stage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held<'_> {
    /// Waits until a refusal takes nothing with it that may be allowed.
    pub(super) async fn refuse(&self, tree: &Tree, session: &SessionId) {
        self.open.lock().insert(self.id.clone(), Stage::Refusing);
        let mut tries = 0;
        loop {
            let listed = tree.http.call(&ListPermissions::new(), tree.directory.as_deref()).await;
            match listed.map(|listed| self.others(&listed, session)) {
                Ok(Others::Judged) => {}
                Ok(Others::Unknown) if tries < TRIES => tries += 1,
                Ok(Others::None | Others::Unknown) | Err(_) => return,
            }
            tree.runtime.timer(tree.runtime.now() + PAUSE).await;
        }
    }

    /// What else the session waits for, besides what is refused as well.
    fn others(&self, listed: &[Pending<PermissionRequest>], session: &SessionId) -> Others {
        let open = self.open.lock();
        let mut others = Others::None;
        for ask in listed.iter().filter(|ask| ask.session == *session) {
            match open.get(&ask.request.id) {
                Some(Stage::Judging) => return Others::Judged,
                Some(Stage::Refusing) => {}
                None => others = Others::Unknown,
            }
        }
        others
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    /// Some are thought about.
    Judged,
    None,
    /// Nobody thinks about them.
    Unknown,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.open.lock().remove(&self.id);
    }
}
