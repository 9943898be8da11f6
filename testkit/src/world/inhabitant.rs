use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::core::{Owner, lock};
use super::{Activity, Random, RunTruth, Weather, WorldServer, WorldState};

/// Handle of a world for the tasks of a scenario. Clones share the world.
#[derive(Clone, Debug)]
pub struct Inhabitant {
    pub(super) shared: Arc<WorldState>,
}

impl Inhabitant {
    /// Time since the world began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.core.now()
    }

    /// Sum of all jumps of the clock so far.
    #[must_use]
    pub fn jumped(&self) -> Duration {
        self.shared.core.jumped()
    }

    /// Waits for `time`.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + use<> {
        self.shared.core.sleep(time)
    }

    /// Draws a random value from the world's seed.
    pub fn random<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        self.shared.core.random(draw)
    }

    /// Starts a task. The returned future waits for the result of the task.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = T> + Send>> {
        let slot = Arc::new(Mutex::new((None, None::<Waker>)));
        let result = Arc::clone(&slot);
        let task = async move {
            let value = work.await;
            let waker = {
                let mut slot = lock(&result);
                slot.0 = Some(value);
                slot.1.take()
            };
            waker.into_iter().for_each(Waker::wake);
        };
        self.shared.core.spawn(Owner::Scenario, Box::pin(task));
        Box::pin(poll_fn(move |cx| {
            let mut slot = lock(&slot);
            match slot.0.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    slot.1 = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }

    /// Waits for `work`, at most for `limit`. Returns `None` when `limit` has passed.
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut timeout = pin!(self.sleep(limit));
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(value) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(value));
            }
            timeout.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// Changes the weather for everything that begins from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.shared.core.set_weather(weather);
    }

    /// Current weather.
    #[must_use]
    pub fn weather(&self) -> Weather {
        self.shared.core.weather()
    }

    /// Activity of the servers.
    #[must_use]
    pub fn activity(&self) -> Activity {
        self.shared.core.activity()
    }

    /// Adds a line to the trace.
    pub fn note(&self, line: fmt::Arguments<'_>) {
        self.shared.core.trace(line);
    }

    /// All servers that ever listened on this port.
    #[must_use]
    pub fn servers_at(&self, port: u16) -> Vec<WorldServer> {
        let servers = lock(&self.shared.servers);
        servers.iter().filter(|server| server.port() == port).cloned().collect()
    }

    /// The server that listened on this port last.
    #[must_use]
    pub fn server_at(&self, port: u16) -> Option<WorldServer> {
        lock(&self.shared.servers).iter().rfind(|server| server.port() == port).cloned()
    }

    /// Records of the processes `opencode run` that read this prompt.
    #[must_use]
    pub fn runs(&self, prompt: &str) -> Vec<RunTruth> {
        lock(&self.shared.runs).iter().filter(|run| run.prompt == prompt).cloned().collect()
    }

    /// Returns whether a process with this id is running.
    #[must_use]
    pub fn is_process_running(&self, id: u32) -> bool {
        self.shared.processes.find(id).is_some()
    }

    /// Largest number of connections that the client had open at once.
    #[must_use]
    pub fn open_connections_max(&self) -> usize {
        self.shared.core.counts.open_connections_max.load(Ordering::Relaxed)
    }
}
