use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::core::{Owner, lock};
use super::{ModelServer, Random, RunTruth, Shared, Weather};

/// A world as its inhabitants see it. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Inhabitant {
    pub(super) shared: Arc<Shared>,
}

impl Inhabitant {
    /// Since the world began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.core.now()
    }

    /// By how much the clock has jumped ahead of what happens.
    #[must_use]
    pub fn jumped(&self) -> Duration {
        self.shared.core.jumped()
    }

    /// Waits for so long.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + use<> {
        self.shared.core.sleep(time)
    }

    /// Lets the seed decide.
    pub fn random<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        self.shared.core.random(draw)
    }

    /// Starts a task. What is returned waits for it.
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

    /// Waits for something, but no longer than that; `None` when it took longer.
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut late = pin!(self.sleep(limit));
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(value) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(value));
            }
            late.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// Changes the weather, for what begins from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.shared.core.set_weather(weather);
    }

    /// The weather.
    #[must_use]
    pub fn weather(&self) -> Weather {
        self.shared.core.weather()
    }

    /// Says something in the trace.
    pub fn note(&self, what: fmt::Arguments<'_>) {
        self.shared.core.trace(what);
    }

    /// All servers that ever listened on this port.
    #[must_use]
    pub fn servers_at(&self, port: u16) -> Vec<ModelServer> {
        let servers = lock(&self.shared.servers);
        servers.iter().filter(|server| server.port() == port).cloned().collect()
    }

    /// The server that listened on this port last.
    #[must_use]
    pub fn server_at(&self, port: u16) -> Option<ModelServer> {
        lock(&self.shared.servers).iter().rfind(|server| server.port() == port).cloned()
    }

    /// What the processes `opencode run` did that read this prompt.
    #[must_use]
    pub fn runs(&self, prompt: &str) -> Vec<RunTruth> {
        lock(&self.shared.runs).iter().filter(|run| run.prompt == prompt).cloned().collect()
    }

    /// Whether a process runs.
    #[must_use]
    pub fn is_process_running(&self, id: u32) -> bool {
        self.shared.processes.find(id).is_some()
    }

    /// How many connections the client had at most.
    #[must_use]
    pub fn connections_most(&self) -> usize {
        self.shared.core.counts.connections_most.load(Ordering::Relaxed)
    }
}
