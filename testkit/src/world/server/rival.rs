//! Acts of other clients, and of plugins.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::store::{PromptEnd, Subscriber};
use super::{ServerInner, WorldServer, play, routes};
use crate::world::core::lock;

/// An act of another client on a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RivalAct {
    /// Aborts the work in the session.
    Abort,
    /// Deletes the session.
    Delete,
    /// Disposes the instance of the session's directory: all work there is aborted, and the event
    /// streams of the directory are closed.
    Dispose,
    /// Posts a prompt with this text, which the agent answers without a tool.
    Prompt(String),
    /// Has the session summarised.
    Summarize,
}

impl WorldServer {
    /// Does what another client asks the server for. Returns `false` when the server is not
    /// running.
    pub fn rival(&self, session: &str, act: &RivalAct) -> bool {
        if !self.is_running() {
            return false;
        }
        let shared = self.inner.shared();
        shared.core.trace(format_args!("server {}: a rival in {session}: {act:?}", self.port()));
        match act {
            RivalAct::Abort => {
                shared.core.count("rival: abort");
                drop(play::abort(&self.inner, session));
            }
            RivalAct::Delete => {
                shared.core.count("rival: delete");
                drop(routes::delete(&self.inner, session));
            }
            RivalAct::Dispose => {
                shared.core.count("rival: dispose");
                dispose(&self.inner, session);
            }
            RivalAct::Prompt(text) => {
                shared.core.count("rival: prompt");
                let text = text.clone();
                self.once_in_service(session, move |server, session| {
                    play::foreign_prompt(server, session, &text);
                });
            }
            RivalAct::Summarize => {
                shared.core.count("rival: summary");
                self.once_in_service(session, play::summarize);
            }
        }
        true
    }

    /// Acts on a session, after a disposal that is under way: the next instance of a directory takes
    /// longer to start than the last one to end.
    fn once_in_service(
        &self,
        session: &str,
        act: impl FnOnce(&Arc<ServerInner>, &str) + Send + 'static,
    ) {
        if !is_disposing(&self.inner, session) {
            return act(&self.inner, session);
        }
        let (server, session) = (Arc::clone(&self.inner), session.to_owned());
        self.inner.spawn(Box::pin(async move {
            while is_disposing(&server, &session) {
                server.sleep(Duration::from_millis(10)).await;
            }
            act(&server, &session);
        }));
    }

    /// Returns whether the session was deleted.
    #[must_use]
    pub fn is_deleted(&self, session: &str) -> bool {
        lock(&self.inner.store).deleted.contains(session)
    }
}

fn is_disposing(server: &ServerInner, session: &str) -> bool {
    let store = lock(&server.store);
    let directory = store.sessions.get(session).map(|session| &session.directory);
    let live = store.live.as_ref();
    directory.zip(live).is_some_and(|(directory, live)| live.disposing.contains(directory))
}

fn dispose(server: &Arc<ServerInner>, session: &str) {
    let (directory, sessions) = {
        let store = lock(&server.store);
        let Some(directory) = store.sessions.get(session).map(|known| known.directory.clone())
        else {
            return;
        };
        let is_there = |id: &&String| store.sessions[*id].directory == directory;
        let runs = store.live.iter().flat_map(|live| live.runs.keys());
        let sessions: Vec<String> = runs.filter(is_there).cloned().collect();
        (directory, sessions)
    };
    if let Some(live) = &mut lock(&server.store).live {
        live.disposing.insert(directory.clone());
    }
    let stopped: Vec<_> = sessions
        .iter()
        .flat_map(|session| play::stop(server, session, PromptEnd::Disposed))
        .collect();
    let event = json!({ "id": "evt_0", "type": "server.instance.disposed",
        "properties": { "directory": directory } });
    let disposing = Arc::clone(server);
    // The real server reports the end of the directory after the ends of the turns.
    server.spawn(Box::pin(async move {
        for run in stopped {
            play::wait_until_over(run).await;
        }
        close_streams(&disposing, &directory, &event);
        if let Some(live) = &mut lock(&disposing.store).live {
            live.disposing.remove(&directory);
        }
    }));
}

/// Publishes a last event to the subscribers of the directory, and closes their streams.
fn close_streams(server: &ServerInner, directory: &str, event: &Value) {
    let mut store = lock(&server.store);
    let Some(live) = &mut store.live else { return };
    let is_there = |stream: &&mut Subscriber| stream.directory == directory;
    for stream in live.streams.values_mut().filter(is_there) {
        stream.queue.push_back(event.to_string().into());
        stream.is_closing = true;
        stream.waker.take().into_iter().for_each(std::task::Waker::wake);
    }
}
