//! Every order of polls, time, ends and departures, in virtual time.

#![expect(clippy::disallowed_methods, reason = "virtual time starts at the present moment")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use proptest::prelude::*;

use super::*;

/// Says whether a task was woken since it was polled last.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Flag {
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn pacing(starting_max: usize, spacing_ms: u64) -> StartPacing {
    StartPacing {
        spacing: Duration::from_millis(spacing_ms),
        starting_max: NonZeroUsize::new(starting_max),
    }
}

fn poll(place: &mut StartPlace, now: Instant) -> StartPoll {
    place.poll_start(&mut Context::from_waker(Waker::noop()), now)
}

fn permit(poll: StartPoll) -> StartPermit {
    match poll {
        StartPoll::Go(permit) => permit,
        StartPoll::Wait { until } => panic!("waits until {until:?}"),
    }
}

fn until(poll: StartPoll) -> Option<Instant> {
    match poll {
        StartPoll::Go(_) => panic!("goes"),
        StartPoll::Wait { until } => until,
    }
}

#[test]
fn without_limits_everybody_goes_at_once() {
    let now = Instant::now();
    let starts = Starts::new(StartPacing::default());
    let permits: Vec<StartPermit> =
        (0..100).map(|_| permit(poll(&mut starts.queue(None), now))).collect();
    assert_eq!(permits.len(), 100);
}

#[test]
fn keeps_the_spacing() {
    let now = Instant::now();
    let later = now + Duration::from_millis(300);
    let starts = Starts::new(pacing(0, 300));
    let _first = permit(poll(&mut starts.queue(None), now));

    let mut second = starts.queue(None);
    assert_eq!(until(poll(&mut second, now)), Some(later));
    let almost = later - Duration::from_nanos(1);
    assert_eq!(until(poll(&mut second, almost)), Some(later));
    let _second = permit(poll(&mut second, later));
}

#[test]
fn an_endless_spacing_is_no_overflow() {
    let now = Instant::now();
    let starts = Starts::new(StartPacing { spacing: Duration::MAX, ..StartPacing::default() });
    let _first = permit(poll(&mut starts.queue(None), now));
    assert_eq!(until(poll(&mut starts.queue(None), now)), None);
}

#[test]
fn shared_data_homes_start_one_at_a_time_and_hold_up_nobody_else() {
    let now = Instant::now();
    let starts = Starts::new(StartPacing::default());
    let shared = || starts.queue(Some(PathBuf::from("/shared")));
    let first = permit(poll(&mut shared(), now));

    let mut second = shared();
    let mut third = shared();
    assert_eq!(until(poll(&mut second, now)), None);
    let _private = permit(poll(&mut starts.queue(None), now));
    let _other = permit(poll(&mut starts.queue(Some("/other".into())), now));

    drop(first);
    assert_eq!(until(poll(&mut third, now)), None, "the second is first");
    let second = permit(poll(&mut second, now));
    drop(second);
    let _third = permit(poll(&mut third, now));
}

#[test]
fn a_waker_may_come_back_at_once() {
    /// Owns a place, as a task does, and is dropped with it.
    struct Task(Mutex<Option<StartPlace>>, Starts);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            drop(self.1.queue(None));
        }
    }

    let now = Instant::now();
    let starts = Starts::new(pacing(1, 0));
    let first = permit(poll(&mut starts.queue(None), now));

    let task = Arc::new(Task(Mutex::new(Some(starts.queue(None))), starts.clone()));
    let mut place = starts.queue(None);
    let waker = Waker::from(Arc::clone(&task));
    let mut context = Context::from_waker(&waker);
    assert_eq!(until(place.poll_start(&mut context, now)), None);
    // The waker left behind is the last that holds the task, and is replaced by another.
    drop(waker);
    assert!(task.0.lock().expect("whole").is_some());
    drop(task);
    assert_eq!(until(poll(&mut place, now)), None);

    let waker = Waker::from(Arc::new(Task(Mutex::new(None), starts)));
    let mut context = Context::from_waker(&waker);
    assert_eq!(until(place.poll_start(&mut context, now)), None);
    drop(first);
    let _second = permit(poll(&mut place, now));
}

/// What happens next in a simulation; numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A run that is starting gets its first event.
    Finish(usize),
    /// A run comes to the queue.
    Join(Option<u8>),
    /// A run that waits is cancelled.
    Leave(usize),
    /// A task that has a reason to is polled.
    Poll(usize),
    /// A task is polled without one.
    PollSpuriously(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..usize::MAX).prop_map(Step::Finish),
        4 => prop::option::of(0..3_u8).prop_map(Step::Join),
        1 => (0..usize::MAX).prop_map(Step::Leave),
        6 => (0..usize::MAX).prop_map(Step::Poll),
        1 => (0..usize::MAX).prop_map(Step::PollSpuriously),
        2 => (0..40_u64).prop_map(Step::Wait),
    ]
}

struct Task {
    place: StartPlace,
    data_home: Option<u8>,
    flag: Arc<Flag>,
    until: Option<Instant>,
    /// A task is polled once when it is made.
    is_new: bool,
}

struct Simulation {
    starts: Starts,
    pacing: StartPacing,
    now: Instant,
    waiting: Vec<Task>,
    starting: Vec<(Option<u8>, StartPermit)>,
    last_start: Option<Instant>,
}

impl Simulation {
    fn new(pacing: StartPacing) -> Self {
        Self {
            starts: Starts::new(pacing),
            pacing,
            now: Instant::now(),
            waiting: Vec::new(),
            starting: Vec::new(),
            last_start: None,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Finish(index) if !self.starting.is_empty() => {
                drop(self.starting.remove(index % self.starting.len()));
            }
            Step::Join(data_home) => self.waiting.push(Task {
                place: self.starts.queue(data_home.map(|home| format!("/{home}").into())),
                data_home,
                flag: Arc::default(),
                until: None,
                is_new: true,
            }),
            Step::Leave(index) if !self.waiting.is_empty() => {
                self.waiting.remove(index % self.waiting.len());
            }
            Step::Poll(index) => {
                let ready = self.ready();
                if !ready.is_empty() {
                    self.poll(ready[index % ready.len()]);
                }
            }
            Step::PollSpuriously(index) if !self.waiting.is_empty() => {
                self.poll(index % self.waiting.len());
            }
            Step::Wait(ms) => self.now += Duration::from_millis(ms),
            Step::Finish(_) | Step::Leave(_) | Step::PollSpuriously(_) => {}
        }
    }

    /// The tasks that an executor would poll now.
    fn ready(&self) -> Vec<usize> {
        let is_ready = |task: &Task| {
            task.is_new
                || task.flag.0.load(Ordering::Relaxed)
                || task.until.is_some_and(|until| until <= self.now)
        };
        (0..self.waiting.len()).filter(|&index| is_ready(&self.waiting[index])).collect()
    }

    fn poll(&mut self, index: usize) {
        let task = &mut self.waiting[index];
        task.is_new = false;
        task.flag.take();
        let waker = Waker::from(Arc::clone(&task.flag));
        let mut context = Context::from_waker(&waker);
        match task.place.poll_start(&mut context, self.now) {
            StartPoll::Wait { until } => {
                assert!(until.is_none_or(|until| until > self.now), "busy loop");
                task.until = until;
            }
            StartPoll::Go(permit) => self.check_start(index, permit),
        }
    }

    fn is_free(&self, task: &Task) -> bool {
        let mut homes = self.starting.iter().map(|(home, _)| *home);
        task.data_home.is_none() || homes.all(|home| home != task.data_home)
    }

    fn check_start(&mut self, index: usize, permit: StartPermit) {
        let task = self.waiting.remove(index);
        assert!(self.is_free(&task), "two start on one data home");
        assert!(
            !self.waiting[..index].iter().any(|task| self.is_free(task)),
            "somebody was overtaken"
        );
        if let Some(last) = self.last_start.replace(self.now) {
            assert!(self.now - last >= self.pacing.spacing, "too close");
        }
        self.starting.push((task.data_home, permit));
        if let Some(starting_max) = self.pacing.starting_max {
            assert!(self.starting.len() <= starting_max.get(), "too many");
        }
    }

    fn somebody_could_start(&self) -> bool {
        let starting_max = self.pacing.starting_max.map_or(usize::MAX, NonZeroUsize::get);
        self.starting.len() < starting_max && self.waiting.iter().any(|task| self.is_free(task))
    }

    /// Goes on until all have started and finished, as an executor would.
    fn drain(&mut self) {
        while !self.waiting.is_empty() {
            if let Some(&index) = self.ready().first() {
                self.poll(index);
            } else if let Some(until) = self.waiting.iter().filter_map(|task| task.until).min() {
                self.now = self.now.max(until);
            } else {
                // Neither woken nor waiting for a time: only the end of a start may change that.
                assert!(!self.somebody_could_start(), "somebody was not woken");
                drop(self.starting.remove(0));
            }
        }
    }
}

proptest! {
    #[test]
    fn keeps_every_promise_in_any_order(
        starting_max in 0..4_usize,
        spacing_ms in prop_oneof![Just(0), 1..30_u64],
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut simulation = Simulation::new(pacing(starting_max, spacing_ms));
        for step in steps {
            simulation.take(step);
        }
        simulation.drain();
    }
}
