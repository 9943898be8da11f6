//! The runtime through which the client sees a world.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opencode_client::runtime::{Connecting, Process, ProcessControl, Runtime, Timer};

use super::WorldState;
use super::core::{BoxFuture, Core, Owner, Sleep};
use super::network::connect;
use super::process;
use super::server::EPOCH_MS;

/// [`Runtime`] of a [`World`](super::World). Clones share the world.
#[derive(Clone)]
pub struct WorldRuntime {
    pub(super) shared: Arc<WorldState>,
}

impl Runtime for WorldRuntime {
    fn now(&self) -> Instant {
        self.shared.core.instant(self.shared.core.now())
    }

    fn timer(&self, at: Instant) -> Pin<Box<dyn Timer>> {
        let core = Arc::clone(&self.shared.core);
        core.counts.timers.fetch_add(1, Ordering::Relaxed);
        let late = lateness(&core);
        let set = core.since_start(at);
        let sleep = Sleep::new(&core, set + late);
        Box::pin(WorldTimer { core, set, sleep })
    }

    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        let core = Arc::clone(&self.shared.core);
        self.shared.core.spawn(
            Owner::Client,
            Box::pin(async move {
                let time = core.random(|random| match random.below(4) {
                    0 => Duration::from_micros(random.below(3_000)),
                    _ => Duration::ZERO,
                });
                core.sleep(time).await;
                work();
            }),
        );
    }

    fn process(&self, command: Command) -> io::Result<Process> {
        process::start(&self.shared, &command)
    }

    fn connect(&self, _host: &str, port: u16) -> Connecting {
        connect(&self.shared.core, &self.shared.network, port)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.shared.core.spawn(Owner::Client, task);
    }

    fn system_time(&self) -> SystemTime {
        let core = &self.shared.core;
        let time_ms = EPOCH_MS.saturating_add_signed(core.client_skew_ms());
        UNIX_EPOCH + Duration::from_millis(time_ms) + core.now()
    }

    fn secret(&self) -> u128 {
        self.shared.core.secret()
    }

    fn random(&self) -> u64 {
        self.shared.core.random(|random| random.bits())
    }

    fn process_control(&self) -> Option<Arc<dyn ProcessControl>> {
        Some(Arc::new(self.clone()))
    }
}

impl ProcessControl for WorldRuntime {
    fn terminate(&self, id: u32) {
        if let Some(process) = self.shared.processes.find(id) {
            process.terminate();
        }
    }

    fn kill(&self, id: u32) {
        if let Some(process) = self.shared.processes.find(id) {
            process.kill();
        }
    }
}

impl fmt::Debug for WorldRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorldRuntime").field(&self.shared.core).finish()
    }
}

/// Delay of a timer beyond the moment that it was set to.
fn lateness(core: &Core) -> Duration {
    let late = core.weather().late;
    core.random(|random| match random.happens(late) {
        true if random.happens(50) => random.milliseconds(100, 5_000),
        true => random.milliseconds(1, 50),
        false => Duration::ZERO,
    })
}

struct WorldTimer {
    core: Arc<Core>,
    set: Duration,
    sleep: Sleep,
}

impl Future for WorldTimer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.sleep).poll(cx)
    }
}

impl Timer for WorldTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        let at = self.core.since_start(at);
        if self.set != at {
            self.set = at;
            let late = lateness(&self.core);
            self.sleep.set(at + late);
        }
    }
}

impl Drop for WorldTimer {
    fn drop(&mut self) {
        self.core.counts.timers.fetch_sub(1, Ordering::Relaxed);
    }
}
