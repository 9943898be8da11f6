//! The event streams of a server, each shared by all followers of sessions on the stream.

mod mailbox;
mod pump;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use opencode_proto::{Hub, HubAction, HubEnd, HubSettings, Interruption, ServerEvent, SessionId};
use tracing::Instrument;

use crate::http::Http;
use crate::runtime::Runtime;
use crate::server::life::ServerExit;

pub(crate) use mailbox::{Delivery, Mailbox};

/// The hubs of a server, one per stream. A hub is started on first use, and again after the stream
/// has finished.
#[derive(Debug, Default)]
pub(crate) struct Hubs(Mutex<BTreeMap<Scope, Arc<Shared>>>);

/// The path of a stream, and the directory of the request.
type Scope = (&'static str, Option<String>);

/// Parts of a server that a hub needs. Must not keep the server alive.
pub(crate) struct HubServer {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) http: Http,
    pub(crate) directory: Option<String>,
    pub(crate) exit: ServerExit,
    pub(crate) settings: HubSettings,
}

/// A subscription to the events of a session, or of a server, until the drop.
#[derive(Debug)]
pub(crate) struct Follower {
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    /// `None` follows all events of the stream.
    session: Option<SessionId>,
}

/// State shared by the task of a hub and the followers.
#[derive(Debug)]
struct Shared {
    state: Mutex<HubState>,
}

#[derive(Debug)]
struct HubState {
    machine: Hub,
    /// Mailboxes of the followers by session, in order of subscription.
    followers: BTreeMap<SessionId, Vec<Arc<Mailbox>>>,
    /// Mailboxes of the followers of all events.
    listeners: Vec<Arc<Mailbox>>,
    phase: HubPhase,
    /// Waker of the hub's task.
    waker: Option<Waker>,
    /// Set when the server is gone, so that the task ends.
    is_closed: bool,
}

#[derive(Clone, Debug)]
enum HubPhase {
    Finished(HubEnd),
    Interrupted(Interruption),
    Open,
    /// The stream has not been opened yet.
    Starting,
}

impl Hubs {
    /// Follows a session, or all events of the stream.
    pub(crate) fn follow(&self, server: HubServer, session: Option<SessionId>) -> Follower {
        let shared = self.shared(server);
        let mailbox = Arc::new(Mailbox::default());
        let mut state = shared.lock();
        // A new follower needs the phase of the stream before the first event.
        match &state.phase {
            HubPhase::Finished(end) => mailbox.push(Delivery::Finished(end.clone())),
            HubPhase::Interrupted(why) => mailbox.push(Delivery::Interrupted(why.clone())),
            HubPhase::Open => mailbox.push(Delivery::Opened),
            HubPhase::Starting => None,
        };
        match &session {
            Some(session) => {
                state.machine.follow(session.clone());
                state.followers.entry(session.clone()).or_default().push(Arc::clone(&mailbox));
            }
            None => state.listeners.push(Arc::clone(&mailbox)),
        }
        drop(state);
        Follower { shared, mailbox, session }
    }

    fn shared(&self, server: HubServer) -> Arc<Shared> {
        let scope = (server.settings.stream().path(), server.directory.clone());
        let mut hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = hubs.get(&scope)
            && !matches!(shared.lock().phase, HubPhase::Finished(_))
        {
            return Arc::clone(shared);
        }
        let seed = server.runtime.random();
        let machine = Hub::new(server.settings.clone().with_seed(seed), server.runtime.now());
        let shared = Arc::new(Shared {
            state: Mutex::new(HubState {
                machine,
                followers: BTreeMap::new(),
                listeners: Vec::new(),
                phase: HubPhase::Starting,
                waker: None,
                is_closed: false,
            }),
        });
        hubs.insert(scope, Arc::clone(&shared));
        let runtime = Arc::clone(&server.runtime);
        // The event stream outlives the turn that opened the stream.
        let span = tracing::info_span!(
            parent: None,
            "server",
            url = server.http.endpoint().to_string(),
            directory = server.directory,
        );
        runtime.spawn(Box::pin(pump::run(Arc::clone(&shared), server).instrument(span)));
        shared
    }
}

impl Drop for Hubs {
    fn drop(&mut self) {
        let hubs = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for shared in hubs.values() {
            let mut state = shared.lock();
            state.is_closed = true;
            let mut wakers: Vec<_> = state.waker.take().into_iter().collect();
            // The followers that are left are tasks, for which the server is gone.
            state.tell_all(&Delivery::Finished(HubEnd::Exited), &mut wakers);
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

impl Follower {
    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// Records that the first session is a child of the second.
    pub(crate) fn link(&self, child: &SessionId, parent: &SessionId) {
        self.shared.lock().machine.link(child, parent);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        match &self.session {
            Some(session) => {
                state.machine.leave(session);
                if let Some(followers) = state.followers.get_mut(session) {
                    followers.retain(|mailbox| !Arc::ptr_eq(mailbox, &self.mailbox));
                    if followers.is_empty() {
                        state.followers.remove(session);
                    }
                }
            }
            None => state.listeners.retain(|mailbox| !Arc::ptr_eq(mailbox, &self.mailbox)),
        }
    }
}

impl Shared {
    /// Locks the state. The state is consistent between any two statements that change the state,
    /// so a panic leaves no broken state.
    fn lock(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HubState {
    fn deliver(&self, event: &Arc<ServerEvent>, root: Option<&SessionId>, wakers: &mut Vec<Waker>) {
        let of_root = root.and_then(|root| self.followers.get(root));
        let of_all = self.followers.values().filter(|_| event.concerns_all_sessions());
        for mailbox in of_root.into_iter().chain(of_all).flatten().chain(&self.listeners) {
            wakers.extend(mailbox.push(Delivery::Event(Arc::clone(event))));
        }
    }

    fn tell_all(&self, delivery: &Delivery, wakers: &mut Vec<Waker>) {
        for mailbox in self.followers.values().flatten().chain(&self.listeners) {
            wakers.extend(mailbox.push(delivery.clone()));
        }
    }
}

/// An action of the hub's machine that the task has to carry out.
enum Task {
    Connect(&'static str),
    Disconnect,
    Wait(Option<std::time::Instant>),
}

impl HubState {
    /// Carries out actions until one is for the task, and returns that action.
    fn next_task(&mut self, wakers: &mut Vec<Waker>) -> Task {
        loop {
            match self.machine.poll_action() {
                HubAction::Connect(stream) => return Task::Connect(stream.path()),
                HubAction::Deliver { event, root } => self.deliver(&event, root.as_ref(), wakers),
                HubAction::Disconnect => return Task::Disconnect,
                HubAction::Finished(end) => {
                    tracing::debug!(%end, "event stream ended");
                    self.phase = HubPhase::Finished(end.clone());
                    self.tell_all(&Delivery::Finished(end), wakers);
                }
                HubAction::Interrupted(why) => {
                    tracing::debug!(%why, "event stream interrupted");
                    self.phase = HubPhase::Interrupted(why.clone());
                    self.tell_all(&Delivery::Interrupted(why), wakers);
                }
                HubAction::Opened => {
                    self.phase = HubPhase::Open;
                    self.tell_all(&Delivery::Opened, wakers);
                }
                HubAction::Wait(wake) => return Task::Wait(wake),
            }
        }
    }
}
