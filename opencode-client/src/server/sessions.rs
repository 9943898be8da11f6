//! Sessions of a server that have at least one handle.

mod message_id;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use opencode_config::ModelRef;
use opencode_proto::{AbortNo, Session, SessionId, SessionInfo, TurnNo};

use crate::runtime::latch::Latch;

pub(crate) use message_id::MessageIds;

/// State that all handles of one session share.
pub(crate) struct SessionState {
    pub(crate) id: SessionId,
    /// The directory that the session works in.
    pub(crate) directory: Option<String>,
    shared: Mutex<SharedSession>,
}

/// The machine of a session, and the tasks that wait for it.
struct SharedSession {
    machine: Session,
    turns: BTreeMap<TurnNo, TurnTask>,
    /// Tasks that are about to abort the session.
    aborting: Vec<Waker>,
    /// Ends the task that cares for work which a turn left.
    left_work: Option<Arc<Latch<()>>>,
}

/// The task that drives a turn.
enum TurnTask {
    /// The session named the turn since the turn was driven last.
    Due,
    Waiting(Waker),
}

/// A pending or sent abort of a session. To be dropped when the server has replied.
pub(crate) struct SessionAbort {
    session: Arc<SessionState>,
    abort: AbortNo,
}

/// The sessions of a server by id, as long as they have a handle.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<SessionId, Weak<SessionState>>>);

impl Sessions {
    pub(crate) fn state(&self, info: &SessionInfo, model: Option<ModelRef>) -> Arc<SessionState> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, state| state.strong_count() > 0);
        if let Some(state) = sessions.get(&info.id).and_then(Weak::upgrade) {
            return state;
        }
        let mut machine = Session::new(info.id.clone(), model);
        machine.handle_info(info);
        let state = Arc::new(SessionState {
            id: info.id.clone(),
            directory: info.directory.as_deref().map(str::to_owned),
            shared: Mutex::new(SharedSession {
                machine,
                turns: BTreeMap::new(),
                aborting: Vec::new(),
                left_work: None,
            }),
        });
        sessions.insert(info.id.clone(), Arc::downgrade(&state));
        state
    }
}

impl SessionState {
    /// Passes an input to the machine, and wakes the tasks that may continue.
    pub(crate) fn with<T>(&self, input: impl FnOnce(&mut Session) -> T) -> T {
        let mut shared = self.lock();
        let output = input(&mut shared.machine);
        let wakers = shared.take_woken();
        // Wakers run without the lock: they may call this method at once.
        drop(shared);
        wakers.into_iter().for_each(Waker::wake);
        output
    }

    /// Registers the task of a turn to be woken when the session names the turn. Returns `true` if
    /// the session has named the turn since the last call.
    pub(crate) fn register(&self, turn: TurnNo, waker: &Waker) -> bool {
        let task = TurnTask::Waiting(waker.clone());
        matches!(self.lock().turns.insert(turn, task), Some(TurnTask::Due))
    }

    /// Ends the registration of a turn.
    pub(crate) fn forget(&self, turn: TurnNo) {
        self.lock().turns.remove(&turn);
    }

    /// Begins the care for work that a turn left. Returns the end of the care.
    pub(crate) fn begin_left_work(&self) -> Arc<Latch<()>> {
        let ended = Arc::default();
        let earlier = self.lock().left_work.replace(Arc::clone(&ended));
        // One task is enough for all work of the session.
        earlier.into_iter().for_each(|earlier| earlier.set(()));
        ended
    }

    /// Ends the care for work that a turn left, which a turn that is followed takes over.
    pub(crate) fn end_left_work(&self) {
        let left_work = self.lock().left_work.take();
        left_work.into_iter().for_each(|left_work| left_work.set(()));
    }

    /// Waits until the session may be aborted.
    pub(crate) async fn begin_abort(self: &Arc<Self>) -> SessionAbort {
        let abort = self.with(Session::begin_abort);
        let begun = SessionAbort { session: Arc::clone(self), abort };
        poll_fn(|cx| {
            let mut shared = self.lock();
            if shared.machine.may_abort(abort) {
                return Poll::Ready(());
            }
            shared.aborting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
        begun
    }

    /// Locks the state. The state is consistent between any two statements that change the state,
    /// so a panic leaves no broken state.
    fn lock(&self) -> MutexGuard<'_, SharedSession> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SharedSession {
    fn take_woken(&mut self) -> Vec<Waker> {
        let mut wakers = mem::take(&mut self.aborting);
        while let Some(turn) = self.machine.poll_woken() {
            let task = self.turns.get_mut(&turn).map(|task| mem::replace(task, TurnTask::Due));
            if let Some(TurnTask::Waiting(waker)) = task {
                wakers.push(waker);
            }
        }
        wakers
    }
}

impl Drop for SessionAbort {
    fn drop(&mut self) {
        self.session.with(|session| session.end_abort(self.abort));
    }
}
