//! The servers of a batch.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Instant;

use super::action::BatchAction;
use super::number::{GroupNo, ServerNo};
use super::settings::{BatchSettings, Fleet};
use super::steps::Steps;
use super::trouble::{Trouble, TroubleKey};

/// Servers of a batch, with the failures that are counted for them.
#[derive(Debug)]
pub(super) struct Servers {
    all: BTreeMap<ServerNo, ServerState>,
    /// Failures of started servers by group, and of given servers by server.
    trouble: BTreeMap<TroubleKey, Trouble>,
    pauses: BTreeSet<(Instant, TroubleKey)>,
    origin: ServerOrigin,
    next: usize,
}

/// Origin of all servers of a batch.
#[derive(Debug)]
enum ServerOrigin {
    /// The servers run already. Each takes jobs of every group.
    Given,
    /// Each server is started for one group.
    Started { jobs_max: usize, servers_max: usize, settings: Box<BatchSettings> },
}

#[derive(Debug)]
struct ServerState {
    /// `None` for a server that takes jobs of every group.
    group: Option<GroupNo>,
    jobs_max: usize,
    running: usize,
    /// Jobs that have ended and whose work goes on.
    left: usize,
    phase: ServerPhase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerPhase {
    /// Given, and not in use.
    Down,
    Draining,
    Ready,
    Starting,
    Stopping,
}

/// Follow-up of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The driver has to stop the server.
    Stop,
    /// Nothing is to be done.
    None,
}

impl Servers {
    pub(super) fn new(settings: &BatchSettings, fleet: Fleet) -> Self {
        let (given, origin) = match fleet {
            Fleet::Given(given) => (given, ServerOrigin::Given),
            Fleet::Started => {
                let (jobs_max, servers_max) =
                    (settings.server_jobs_max.get(), settings.servers_max.get());
                let settings = Box::new(settings.clone());
                (Vec::new(), ServerOrigin::Started { jobs_max, servers_max, settings })
            }
        };
        let trouble = (0..given.len()).map(|no| {
            let key = TroubleKey::Server(ServerNo(no));
            (key, Trouble::new(settings, key))
        });
        let server = |(no, jobs_max): (usize, &NonZeroUsize)| {
            let (phase, jobs_max) = (ServerPhase::Down, jobs_max.get());
            (ServerNo(no), ServerState { group: None, jobs_max, running: 0, left: 0, phase })
        };
        Self {
            trouble: trouble.collect(),
            next: given.len(),
            all: given.iter().enumerate().map(server).collect(),
            pauses: BTreeSet::new(),
            origin,
        }
    }

    pub(super) fn ready(&mut self, no: ServerNo) {
        if let Some(server @ ServerState { phase: ServerPhase::Starting, .. }) =
            self.all.get_mut(&no)
        {
            server.phase = ServerPhase::Ready;
        }
    }

    /// The server did not start. Returns the group for which no server will be started any more.
    pub(super) fn failed(&mut self, no: ServerNo, now: Instant) -> Option<GroupNo> {
        self.not_started(no, |trouble| trouble.add(now))
    }

    /// The server did not start, and another try would not help.
    pub(super) fn refused(&mut self, no: ServerNo) -> Option<GroupNo> {
        self.not_started(no, Trouble::give_up)
    }

    fn not_started(&mut self, no: ServerNo, change: impl FnOnce(&mut Trouble)) -> Option<GroupNo> {
        let is_starting =
            self.all.get(&no).is_some_and(|server| server.phase == ServerPhase::Starting);
        let lost = if is_starting { self.change_trouble(no, change) } else { None };
        self.stopped(no);
        lost
    }

    /// The server died, or answers no more.
    pub(super) fn lost(&mut self, no: ServerNo, now: Instant) -> (Loss, Option<GroupNo>) {
        let Some(server) = self.all.get_mut(&no) else { return (Loss::None, None) };
        match server.phase {
            ServerPhase::Down | ServerPhase::Stopping => (Loss::None, None),
            ServerPhase::Draining | ServerPhase::Ready | ServerPhase::Starting => {
                server.phase = ServerPhase::Stopping;
                (Loss::Stop, self.change_trouble(no, |trouble| trouble.add(now)))
            }
        }
    }

    /// The server is gone. Returns the group of the server.
    pub(super) fn stopped(&mut self, no: ServerNo) -> Option<GroupNo> {
        match (&self.origin, self.all.get_mut(&no)) {
            (ServerOrigin::Given, Some(server)) => {
                server.phase = ServerPhase::Down;
                None
            }
            (ServerOrigin::Started { .. }, Some(_)) => self.all.remove(&no)?.group,
            (_, None) => None,
        }
    }

    /// The server gets no more jobs, and is stopped when it has none.
    pub(super) fn drain(&mut self, no: ServerNo) {
        if let (ServerOrigin::Started { .. }, Some(server)) = (&self.origin, self.all.get_mut(&no))
            && server.phase == ServerPhase::Ready
        {
            server.phase = ServerPhase::Draining;
        }
    }

    /// A job begins on the server.
    pub(super) fn take(&mut self, no: ServerNo) {
        if let Some(server) = self.all.get_mut(&no) {
            server.running += 1;
        }
    }

    /// A job ended on the server.
    pub(super) fn give_back(&mut self, no: ServerNo) {
        if let Some(server) = self.all.get_mut(&no) {
            server.running = server.running.saturating_sub(1);
        }
    }

    /// Work goes on at the server after the end of a job.
    pub(super) fn hold(&mut self, no: ServerNo) {
        if let Some(server) = self.all.get_mut(&no) {
            server.left += 1;
        }
    }

    /// Work that went on after the end of a job is over.
    pub(super) fn release(&mut self, no: ServerNo) {
        if let Some(server) = self.all.get_mut(&no) {
            server.left = server.left.saturating_sub(1);
        }
    }

    /// A job ended properly on the server, which clears the failures.
    pub(super) fn worked(&mut self, no: ServerNo) {
        self.change_trouble(no, Trouble::clear);
    }

    /// Returns the groups that have a server with room; `None` for all groups.
    pub(super) fn groups_with_room(&self, steps: &mut Steps) -> BTreeSet<Option<GroupNo>> {
        steps.add(self.all.len());
        self.all.values().filter(|server| server.has_room()).map(|server| server.group).collect()
    }

    /// Returns the server on which a job of the group should begin: of those with room, the one
    /// with the least load. While a given server is being reached, a share of the `jobs` that could
    /// run at once is left to that server.
    pub(super) fn roomiest(
        &self,
        group: GroupNo,
        jobs: usize,
        steps: &mut Steps,
    ) -> Option<ServerNo> {
        steps.add(self.all.len());
        let is_coming = matches!(self.origin, ServerOrigin::Given)
            && self.all.values().any(|server| server.phase == ServerPhase::Starting);
        let on_hand = |server: &&ServerState| {
            matches!(server.phase, ServerPhase::Ready | ServerPhase::Starting)
        };
        let room: usize = self.all.values().filter(on_hand).map(|server| server.jobs_max).sum();
        let share = |server: &ServerState| match is_coming {
            true => (jobs * server.jobs_max).div_ceil(room),
            false => server.jobs_max,
        };
        self.of(group)
            .filter(|(_, server)| server.has_room() && server.running < share(server))
            .min_by(|(_, one), (_, other)| {
                (one.running * other.jobs_max).cmp(&(other.running * one.jobs_max))
            })
            .map(|(no, _)| no)
    }

    /// Starts the servers that this many jobs of the group need besides those that exist.
    pub(super) fn start_for(
        &mut self,
        group: GroupNo,
        jobs: usize,
        steps: &mut Steps,
    ) -> Vec<BatchAction> {
        let ServerOrigin::Started { jobs_max, servers_max, .. } = self.origin else {
            return Vec::new();
        };
        steps.add(self.all.len());
        let mut starts = Vec::new();
        let room = |(_, server): (_, &ServerState)| match server.phase {
            ServerPhase::Ready | ServerPhase::Starting => {
                server.jobs_max.saturating_sub(server.running)
            }
            ServerPhase::Down | ServerPhase::Draining | ServerPhase::Stopping => 0,
        };
        let mut room: usize = self.of(group).map(room).sum();
        if self.trouble.get(&TroubleKey::Group(group)).is_some_and(Trouble::is_active) {
            return starts;
        }
        while room < jobs && self.all.len() < servers_max {
            let no = ServerNo(self.next);
            self.next += 1;
            let (group, phase) = (Some(group), ServerPhase::Starting);
            self.all.insert(no, ServerState { group, jobs_max, running: 0, left: 0, phase });
            room += jobs_max;
            starts.push(BatchAction::StartServer { server: no, group });
        }
        starts
    }

    /// Starts to use all given servers that are down.
    pub(super) fn use_given(&mut self, steps: &mut Steps) -> Vec<BatchAction> {
        steps.add(self.all.len());
        let mut starts = Vec::new();
        for (no, server) in &mut self.all {
            let trouble = self.trouble.get(&TroubleKey::Server(*no));
            if server.phase == ServerPhase::Down && !trouble.is_some_and(Trouble::is_active) {
                server.phase = ServerPhase::Starting;
                starts.push(BatchAction::StartServer { server: *no, group: None });
            }
        }
        starts
    }

    /// Stops the servers that have drained, and idle ones of groups that are not needed.
    pub(super) fn stop_idle(
        &mut self,
        steps: &mut Steps,
        is_needed: impl Fn(Option<GroupNo>) -> bool,
    ) -> Vec<ServerNo> {
        steps.add(self.all.len());
        let mut stops = Vec::new();
        for (no, server) in &mut self.all {
            let is_over = match server.phase {
                ServerPhase::Draining => server.is_idle(),
                ServerPhase::Ready | ServerPhase::Starting => {
                    server.is_idle() && !is_needed(server.group)
                }
                ServerPhase::Down | ServerPhase::Stopping => false,
            };
            if is_over {
                server.phase = ServerPhase::Stopping;
                stops.push(*no);
            }
        }
        stops
    }

    pub(super) fn is_given(&self) -> bool {
        matches!(self.origin, ServerOrigin::Given)
    }

    /// Returns whether no server can be started before another stops.
    pub(super) fn is_full(&self) -> bool {
        match self.origin {
            ServerOrigin::Given => false,
            ServerOrigin::Started { servers_max, .. } => self.all.len() >= servers_max,
        }
    }

    /// Returns the groups that have a server, or will soon.
    pub(super) fn served(&self, steps: &mut Steps) -> BTreeSet<GroupNo> {
        steps.add(self.all.len());
        let is_served = |server: &&ServerState| {
            matches!(server.phase, ServerPhase::Ready | ServerPhase::Starting)
        };
        self.all.values().filter(is_served).filter_map(|server| server.group).collect()
    }

    /// Returns whether the group has no server and will not get one.
    pub(super) fn is_hopeless(&self, group: GroupNo, steps: &mut Steps) -> bool {
        self.is_given_up(group) && !self.served(steps).contains(&group)
    }

    /// Returns whether no further server is started for the group.
    pub(super) fn is_given_up(&self, group: GroupNo) -> bool {
        self.trouble.get(&TroubleKey::Group(group)).is_some_and(Trouble::is_final)
    }

    /// Returns whether no given server can be used any more.
    pub(super) fn are_all_refused(&self, steps: &mut Steps) -> bool {
        steps.add(self.all.len());
        self.is_given()
            && self.all.iter().all(|(no, server)| {
                let trouble = self.trouble.get(&TroubleKey::Server(*no));
                server.phase == ServerPhase::Down && trouble.is_some_and(Trouble::is_final)
            })
    }

    /// Ends the pauses that are over.
    pub(super) fn end_pauses(&mut self, now: Instant, steps: &mut Steps) {
        while let Some((at, key)) = self.pauses.first().copied().filter(|(at, _)| *at <= now) {
            steps.add(1);
            self.pauses.remove(&(at, key));
            if let Some(trouble) = self.trouble.get_mut(&key) {
                trouble.end_pause();
            }
        }
    }

    /// Returns when the next pause ends of a server that is needed.
    pub(super) fn next_start_at(&self, is_waiting: impl Fn(GroupNo) -> bool) -> Option<Instant> {
        let is_needed = |key: &TroubleKey| match key {
            TroubleKey::Group(group) => is_waiting(*group),
            TroubleKey::Server(no) => {
                self.all.get(no).is_some_and(|server| server.phase == ServerPhase::Down)
            }
        };
        self.pauses.iter().find(|(_, key)| is_needed(key)).map(|(at, _)| *at)
    }

    pub(super) fn all_gone(&self) -> bool {
        self.all.values().all(|server| server.phase == ServerPhase::Down)
    }

    fn of(&self, group: GroupNo) -> impl Iterator<Item = (ServerNo, &ServerState)> {
        let fits = move |server: &ServerState| server.group.is_none_or(|its| its == group);
        self.all.iter().filter(move |(_, server)| fits(server)).map(|(no, server)| (*no, server))
    }

    /// Changes the failures that are counted for a server. Returns the group when the change gave
    /// the group up.
    fn change_trouble(
        &mut self,
        no: ServerNo,
        change: impl FnOnce(&mut Trouble),
    ) -> Option<GroupNo> {
        let group = self.all.get(&no)?.group;
        let key = group.map_or(TroubleKey::Server(no), TroubleKey::Group);
        let trouble = match (self.trouble.get_mut(&key), &self.origin) {
            (Some(trouble), _) => trouble,
            (None, ServerOrigin::Started { settings, .. }) => {
                self.trouble.entry(key).or_insert_with(|| Trouble::new(settings, key))
            }
            (None, ServerOrigin::Given) => return None,
        };
        if let Some(at) = trouble.pause() {
            self.pauses.remove(&(at, key));
        }
        change(trouble);
        if let Some(at) = trouble.pause() {
            self.pauses.insert((at, key));
        }
        group.filter(|_| trouble.is_final())
    }
}

impl ServerState {
    fn is_idle(&self) -> bool {
        self.running == 0 && self.left == 0
    }

    fn has_room(&self) -> bool {
        self.phase == ServerPhase::Ready && self.running < self.jobs_max
    }
}
