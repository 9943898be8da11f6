//! The servers of a batch.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Instant;

use super::action::BatchAction;
use super::number::{GroupNo, ServerNo};
use super::settings::{BatchSettings, Fleet};
use crate::retry::{Retry, RetryCause, RetryPolicy};

#[derive(Debug)]
pub(super) struct Servers {
    all: BTreeMap<ServerNo, Server>,
    /// What failed with servers that were started, by group.
    trouble: Vec<Trouble>,
    is_given: bool,
    jobs_max: usize,
    servers_max: usize,
    next: usize,
}

#[derive(Debug)]
struct Server {
    origin: Origin,
    jobs_max: usize,
    running: usize,
    state: State,
}

#[derive(Debug)]
enum Origin {
    /// It takes any job. What failed with it is its own.
    Given(Trouble),
    /// It was started for this group.
    Started(GroupNo),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Given, and not used.
    Down,
    Draining,
    Ready,
    Starting,
    Stopping,
}

/// Failures in a row.
#[derive(Debug)]
struct Trouble {
    policy: RetryPolicy,
    seed: u64,
    retry: Retry,
    not_before: Option<Instant>,
    is_final: bool,
}

impl Servers {
    pub(super) fn new(settings: &BatchSettings, fleet: Fleet, groups: usize) -> Self {
        let trouble = |no: usize| Trouble::new(settings, no);
        let (given, is_given) = match fleet {
            Fleet::Given(given) => (given, true),
            Fleet::Started => (Vec::new(), false),
        };
        let server = |(no, jobs_max): (usize, NonZeroUsize)| {
            let (origin, jobs_max) = (Origin::Given(trouble(no)), jobs_max.get());
            (ServerNo(no), Server { origin, jobs_max, running: 0, state: State::Down })
        };
        Self {
            next: given.len(),
            all: given.into_iter().enumerate().map(server).collect(),
            trouble: (0..groups).map(trouble).collect(),
            is_given,
            jobs_max: settings.server_jobs_max.get(),
            servers_max: settings.servers_max.get(),
        }
    }

    pub(super) fn ready(&mut self, no: ServerNo) {
        if let Some(server @ Server { state: State::Starting, .. }) = self.all.get_mut(&no) {
            server.state = State::Ready;
        }
    }

    pub(super) fn failed(&mut self, no: ServerNo, now: Instant) {
        self.not_started(no, |trouble| trouble.add(now));
    }

    /// It is not tried again.
    pub(super) fn refused(&mut self, no: ServerNo) {
        self.not_started(no, |trouble| trouble.is_final = true);
    }

    fn not_started(&mut self, no: ServerNo, trouble: impl FnOnce(&mut Trouble)) {
        if self.all.get(&no).is_some_and(|server| server.state == State::Starting) {
            self.trouble_of(no, trouble);
        }
        self.stopped(no);
    }

    /// Says whether it has to be stopped.
    pub(super) fn lost(&mut self, no: ServerNo, now: Instant) -> bool {
        let Some(server) = self.all.get_mut(&no) else { return false };
        match server.state {
            State::Down | State::Stopping => false,
            State::Draining | State::Ready | State::Starting => {
                server.state = State::Stopping;
                self.trouble_of(no, |trouble| trouble.add(now));
                true
            }
        }
    }

    pub(super) fn stopped(&mut self, no: ServerNo) {
        match self.all.get_mut(&no) {
            Some(server) if self.is_given => server.state = State::Down,
            Some(_) => drop(self.all.remove(&no)),
            None => {}
        }
    }

    /// It gets no more jobs, and is stopped when it has none.
    pub(super) fn drain(&mut self, no: ServerNo) {
        match self.all.get_mut(&no) {
            Some(server) if !self.is_given && server.state == State::Ready => {
                server.state = State::Draining;
            }
            Some(_) | None => {}
        }
    }

    /// A job begins there.
    pub(super) fn take(&mut self, no: ServerNo) {
        if let Some(server) = self.all.get_mut(&no) {
            server.running += 1;
        }
    }

    /// A job ended there.
    pub(super) fn give_back(&mut self, no: ServerNo) {
        if let Some(server) = self.all.get_mut(&no) {
            server.running = server.running.saturating_sub(1);
        }
    }

    /// It works: a job ended there as it should.
    pub(super) fn worked(&mut self, no: ServerNo) {
        self.trouble_of(no, Trouble::clear);
    }

    /// The server that a job of the group should begin on: of those that have room, the one with the least to do. While
    /// one that is given is still on its way, its share of the `jobs` that could run at once is left to it.
    pub(super) fn roomiest(&self, group: GroupNo, jobs: usize) -> Option<ServerNo> {
        let is_coming = self.is_given && self.is_any(State::Starting);
        let on_hand = |it: &&Server| matches!(it.state, State::Ready | State::Starting);
        let room: usize = self.all.values().filter(on_hand).map(|it| it.jobs_max).sum();
        let share = |server: &Server| match is_coming {
            true => (jobs * server.jobs_max).div_ceil(room),
            false => server.jobs_max,
        };
        let has_room = |server: &Server| {
            server.state == State::Ready && server.running < server.jobs_max.min(share(server))
        };
        self.of(group)
            .filter(|(_, server)| has_room(server))
            .min_by(|(_, one), (_, other)| {
                (one.running * other.jobs_max).cmp(&(other.running * one.jobs_max))
            })
            .map(|(no, _)| no)
    }

    /// Starts what this many jobs of the group need besides what there is.
    pub(super) fn start_for(&mut self, group: GroupNo, jobs: usize) -> Vec<BatchAction> {
        if self.is_given {
            return self.use_all();
        }
        let mut starts = Vec::new();
        let room = |(_, server): (_, &Server)| match server.state {
            State::Ready | State::Starting => server.jobs_max.saturating_sub(server.running),
            State::Down | State::Draining | State::Stopping => 0,
        };
        let mut room: usize = self.of(group).map(room).sum();
        if !self.trouble[group.0].is_over() {
            return starts;
        }
        while room < jobs && self.all.len() < self.servers_max {
            let no = ServerNo(self.next);
            self.next += 1;
            let (origin, jobs_max) = (Origin::Started(group), self.jobs_max);
            self.all.insert(no, Server { origin, jobs_max, running: 0, state: State::Starting });
            room += self.jobs_max;
            starts.push(BatchAction::StartServer { server: no, group: Some(group) });
        }
        starts
    }

    /// All that are given take part.
    fn use_all(&mut self) -> Vec<BatchAction> {
        let mut starts = Vec::new();
        for (no, server) in &mut self.all {
            let may_start = server.origin.trouble().is_none_or(Trouble::is_over);
            if server.state == State::Down && may_start {
                server.state = State::Starting;
                starts.push(BatchAction::StartServer { server: *no, group: None });
            }
        }
        starts
    }

    /// Which servers are to be stopped: those that have drained, and idle ones of groups that are not needed.
    pub(super) fn stop_idle(
        &mut self,
        is_needed: impl Fn(Option<GroupNo>) -> bool,
    ) -> Vec<ServerNo> {
        let mut stops = Vec::new();
        for (no, server) in &mut self.all {
            let is_over = match server.state {
                State::Draining => server.running == 0,
                State::Ready | State::Starting => {
                    server.running == 0 && !is_needed(server.origin.group())
                }
                State::Down | State::Stopping => false,
            };
            if is_over {
                server.state = State::Stopping;
                stops.push(*no);
            }
        }
        stops
    }

    fn is_any(&self, state: State) -> bool {
        self.all.values().any(|server| server.state == state)
    }

    /// Whether no more servers can be started before others stop.
    pub(super) fn is_full(&self) -> bool {
        !self.is_given && self.all.len() >= self.servers_max
    }

    /// Whether the group has a server, or will soon.
    pub(super) fn is_served(&self, group: GroupNo) -> bool {
        self.of(group).any(|(_, server)| matches!(server.state, State::Ready | State::Starting))
    }

    /// Whether the group has no server and will not get one.
    pub(super) fn is_hopeless(&self, group: GroupNo) -> bool {
        if self.is_given {
            let is_final = |server: &Server| server.origin.trouble().is_some_and(|it| it.is_final);
            return self.all.values().all(|it| it.state == State::Down && is_final(it));
        }
        self.trouble[group.0].is_final && !self.is_served(group)
    }

    /// Pauses that are over are over.
    pub(super) fn end_pauses(&mut self, now: Instant) {
        let servers = self.all.values_mut().filter_map(|server| server.origin.trouble_mut());
        for trouble in self.trouble.iter_mut().chain(servers) {
            trouble.not_before = trouble.not_before.filter(|at| *at > now);
        }
    }

    /// When the next pause ends that somebody waits for.
    pub(super) fn next_start_at(&self, waits: impl Fn(GroupNo) -> bool) -> Option<Instant> {
        if self.is_given {
            let down = self.all.values().filter(|server| server.state == State::Down);
            return down.filter_map(|server| server.origin.trouble()?.not_before).min();
        }
        let groups = self.trouble.iter().enumerate();
        groups.filter(|(no, _)| waits(GroupNo(*no))).filter_map(|(_, it)| it.not_before).min()
    }

    pub(super) fn all_gone(&self) -> bool {
        self.all.values().all(|server| server.state == State::Down)
    }

    fn of(&self, group: GroupNo) -> impl Iterator<Item = (ServerNo, &Server)> {
        let fits = move |server: &Server| server.origin.group().is_none_or(|its| its == group);
        self.all.iter().filter(move |(_, server)| fits(server)).map(|(no, server)| (*no, server))
    }

    /// Where failures of a server are counted.
    fn trouble_of(&mut self, no: ServerNo, change: impl FnOnce(&mut Trouble)) {
        match self.all.get_mut(&no).map(|server| &mut server.origin) {
            Some(Origin::Given(trouble)) => change(trouble),
            Some(Origin::Started(group)) => change(&mut self.trouble[group.0]),
            None => {}
        }
    }
}

impl Origin {
    fn group(&self) -> Option<GroupNo> {
        match self {
            Self::Given(_) => None,
            Self::Started(group) => Some(*group),
        }
    }

    fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Given(trouble) => Some(trouble),
            Self::Started(_) => None,
        }
    }

    fn trouble_mut(&mut self) -> Option<&mut Trouble> {
        match self {
            Self::Given(trouble) => Some(trouble),
            Self::Started(_) => None,
        }
    }
}

impl Trouble {
    fn new(settings: &BatchSettings, no: usize) -> Self {
        let (policy, seed) = (settings.server_retry, settings.seed.rotate_left(32) ^ no as u64);
        let retry = Retry::new(policy, seed);
        Self { policy, seed, retry, not_before: None, is_final: false }
    }

    /// Whether another try may be made now.
    fn is_over(&self) -> bool {
        !self.is_final && self.not_before.is_none()
    }

    fn add(&mut self, now: Instant) {
        match self.retry.handle_failure(&RetryCause::Connection, now) {
            Some(at) => self.not_before = Some(at),
            None => self.is_final = true,
        }
    }

    fn clear(&mut self) {
        self.retry = Retry::new(self.policy, self.seed);
        (self.not_before, self.is_final) = (None, false);
    }
}
