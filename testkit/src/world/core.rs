//! Tasks, time and chance of a world: one thread, and the seed makes every choice.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::activity::Activity;
use super::random::Random;
use super::trace::Trace;
use super::weather::Weather;

/// Clocks of two machines differ by no more than this.
const CLIENT_SKEW_MAX_MS: u64 = 90_000;

pub(super) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Owner of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The client, through `Runtime::spawn`.
    Client,
    /// A simulated program, by the process id.
    Host(u32),
    /// The test.
    Scenario,
}

/// Scheduler, clock, random numbers, trace and weather of a world.
pub(super) struct Core {
    start: Instant,
    ready: Arc<ReadyQueue>,
    tasks: Mutex<TaskTable>,
    clock: Mutex<Clock>,
    random: Mutex<Random>,
    /// Source of ids and passwords. They have a source of their own, so that their number changes
    /// nothing else in a world.
    secrets: Mutex<Random>,
    /// Difference between the time of day of the client's machine and that of the servers.
    client_skew_ms: i64,
    trace: Mutex<Trace>,
    weather: Mutex<Weather>,
    activity: Mutex<Activity>,
    /// Number of occurrences, by kind.
    occurrences: Mutex<BTreeMap<&'static str, u64>>,
    pub(super) counts: Counts,
}

/// Resources that the client holds at the moment, and counters.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) timers: AtomicUsize,
    pub(super) connections: AtomicUsize,
    pub(super) open_connections_max: AtomicUsize,
    pub(super) steps: AtomicUsize,
}

#[derive(Default)]
struct ReadyQueue(Mutex<Vec<u64>>);

#[derive(Default)]
struct TaskTable {
    next: u64,
    tasks: BTreeMap<u64, WorldTask>,
}

struct WorldTask {
    owner: Owner,
    waker: Arc<TaskWaker>,
    /// `None` while the task is polled.
    future: Option<BoxFuture<()>>,
}

struct TaskWaker {
    id: u64,
    is_ready: AtomicBool,
    ready: Arc<ReadyQueue>,
}

#[derive(Default)]
struct Clock {
    now: Duration,
    timers: BTreeMap<TimerKey, Waker>,
    next: u64,
    jumped: Duration,
}

/// A registered timer: the moment at which it is due, and a number that tells timers of one moment
/// apart.
pub(super) type TimerKey = (Duration, u64);

pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.is_ready.swap(true, Ordering::Relaxed) {
            lock(&self.ready.0).push(self.id);
        }
    }
}

impl Core {
    pub(super) fn new(seed: u64, weather: Weather) -> Self {
        let mut secrets = Random::new(!seed);
        let skew_ms = secrets.below(2 * CLIENT_SKEW_MAX_MS + 1).cast_signed();
        Self {
            start: Instant::now(),
            ready: Arc::default(),
            tasks: Mutex::default(),
            clock: Mutex::default(),
            random: Mutex::new(Random::new(seed)),
            secrets: Mutex::new(secrets),
            client_skew_ms: skew_ms - CLIENT_SKEW_MAX_MS.cast_signed(),
            trace: Mutex::default(),
            weather: Mutex::new(weather),
            activity: Mutex::default(),
            occurrences: Mutex::default(),
            counts: Counts::default(),
        }
    }

    pub(super) fn weather(&self) -> Weather {
        *lock(&self.weather)
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        *lock(&self.weather) = weather;
    }

    pub(super) fn activity(&self) -> Activity {
        *lock(&self.activity)
    }

    pub(super) fn set_activity(&self, activity: Activity) {
        *lock(&self.activity) = activity;
    }

    pub(super) fn random<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut lock(&self.random))
    }

    /// Returns unpredictable bits to the client, though not to those who know the seed.
    pub(super) fn secret(&self) -> u128 {
        let mut secrets = lock(&self.secrets);
        u128::from(secrets.bits()) << 64 | u128::from(secrets.bits())
    }

    pub(super) fn client_skew_ms(&self) -> i64 {
        self.client_skew_ms
    }

    pub(super) fn trace(&self, line: fmt::Arguments<'_>) {
        let now = self.now();
        lock(&self.trace).add(now, line);
    }

    /// Counts an occurrence of this kind.
    pub(super) fn count(&self, kind: &'static str) {
        *lock(&self.occurrences).entry(kind).or_default() += 1;
    }

    pub(super) fn occurrences(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.occurrences).clone()
    }

    pub(super) fn fingerprint(&self) -> u64 {
        lock(&self.trace).fingerprint()
    }

    pub(super) fn trace_tail(&self, lines_max: usize) -> String {
        lock(&self.trace).tail(lines_max)
    }

    /// Time since the world began.
    pub(super) fn now(&self) -> Duration {
        lock(&self.clock).now
    }

    /// Sum of all jumps of the clock.
    pub(super) fn jumped(&self) -> Duration {
        lock(&self.clock).jumped
    }

    pub(super) fn instant(&self, at: Duration) -> Instant {
        self.start + at
    }

    pub(super) fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    pub(super) fn register(&self, at: Duration, waker: &Waker) -> TimerKey {
        let mut clock = lock(&self.clock);
        let key = (at, clock.next);
        clock.next += 1;
        clock.timers.insert(key, waker.clone());
        key
    }

    pub(super) fn cancel(&self, key: TimerKey) {
        let waker = lock(&self.clock).timers.remove(&key);
        drop(waker);
    }

    pub(super) fn spawn(&self, owner: Owner, future: BoxFuture<()>) {
        let mut tasks = lock(&self.tasks);
        let id = tasks.next;
        tasks.next += 1;
        let ready = Arc::clone(&self.ready);
        let waker = Arc::new(TaskWaker { id, is_ready: AtomicBool::new(false), ready });
        Arc::clone(&waker).wake();
        tasks.tasks.insert(id, WorldTask { owner, waker, future: Some(future) });
    }

    /// Drops the tasks of the owners that `of` selects.
    pub(super) fn end_tasks(&self, of: impl Fn(Owner) -> bool) {
        let mut tasks = lock(&self.tasks);
        let ended: Vec<_> = remove_if(&mut tasks.tasks, |task| of(task.owner));
        drop(tasks);
        // Without the lock, because dropping a task may end other tasks.
        drop(ended);
    }

    pub(super) fn count_tasks(&self, of: impl Fn(Owner) -> bool) -> usize {
        lock(&self.tasks).tasks.values().filter(|task| of(task.owner)).count()
    }

    /// Polls one task or moves the clock. Returns `false` when no task and no timer is left to do
    /// so.
    pub(super) fn step(&self) -> bool {
        self.counts.steps.fetch_add(1, Ordering::Relaxed);
        match self.pick() {
            Some(id) => {
                self.poll(id);
                true
            }
            None => self.advance(),
        }
    }

    fn pick(&self) -> Option<u64> {
        // Now and then a task that was not woken: runtimes poll spuriously.
        if self.random(|random| random.happens(8)) {
            let tasks = lock(&self.tasks);
            let ids: Vec<u64> = tasks.tasks.keys().copied().collect();
            drop(tasks);
            if !ids.is_empty() {
                return Some(self.random(|random| *random.choose(&ids)));
            }
        }
        let mut ready = lock(&self.ready.0);
        if ready.is_empty() {
            return None;
        }
        let index = match ready.len() {
            1 => 0,
            length => self.random(|random| random.index(length)),
        };
        Some(ready.swap_remove(index))
    }

    fn poll(&self, id: u64) {
        let Some((mut future, waker)) = self.take(id) else { return };
        waker.is_ready.store(false, Ordering::Relaxed);
        let is_done = {
            let waker = Waker::from(waker);
            future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        };
        let mut tasks = lock(&self.tasks);
        if is_done {
            tasks.tasks.remove(&id);
        } else if let Some(task) = tasks.tasks.get_mut(&id) {
            task.future = Some(future);
            return;
        }
        drop(tasks);
        drop(future);
    }

    fn take(&self, id: u64) -> Option<(BoxFuture<()>, Arc<TaskWaker>)> {
        let mut tasks = lock(&self.tasks);
        let task = tasks.tasks.get_mut(&id)?;
        let future = task.future.take()?;
        Some((future, Arc::clone(&task.waker)))
    }

    /// Moves the clock to the next timer that is due.
    fn advance(&self) -> bool {
        let jumps = self.weather().jumps;
        let mut clock = lock(&self.clock);
        let Some(((at, _), _)) = clock.timers.first_key_value() else { return false };
        let at = *at;
        clock.now = clock.now.max(at);
        let jump = self.random(|random| match random.below(1_000_000) < jumps {
            true => random.milliseconds(5_000, 900_000),
            false => Duration::ZERO,
        });
        clock.now += jump;
        clock.jumped += jump;
        let now = clock.now;
        let later = clock.timers.split_off(&(now + Duration::from_nanos(1), 0));
        let due = mem::replace(&mut clock.timers, later);
        drop(clock);
        if !jump.is_zero() {
            self.count("clock: jump");
            self.trace(format_args!("the clock jumps by {jump:?}"));
        }
        due.into_values().for_each(Waker::wake);
        true
    }

    /// Returns a future that is ready after `time`.
    pub(super) fn sleep(self: &Arc<Self>, time: Duration) -> Sleep {
        Sleep::new(self, self.now() + time)
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("now", &self.now()).finish_non_exhaustive()
    }
}

fn remove_if(
    tasks: &mut BTreeMap<u64, WorldTask>,
    which: impl Fn(&WorldTask) -> bool,
) -> Vec<WorldTask> {
    let ids: Vec<u64> = tasks.iter().filter(|(_, task)| which(task)).map(|(id, _)| *id).collect();
    ids.iter().filter_map(|id| tasks.remove(id)).collect()
}

/// A future that is ready at a moment of the world's clock.
pub(super) struct Sleep {
    core: Arc<Core>,
    at: Duration,
    key: Option<TimerKey>,
}

impl Sleep {
    pub(super) fn new(core: &Arc<Core>, at: Duration) -> Self {
        Self { core: Arc::clone(core), at, key: None }
    }

    fn cancel(&mut self) {
        if let Some(key) = self.key.take() {
            self.core.cancel(key);
        }
    }

    pub(super) fn set(&mut self, at: Duration) {
        if self.at != at {
            self.cancel();
            self.at = at;
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.cancel();
        if self.core.now() >= self.at {
            return Poll::Ready(());
        }
        self.key = Some(self.core.register(self.at, cx.waker()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}
