//! Batches with any order of inputs.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Knowledge of a driver about a batch.
struct SimulatedDriver {
    batch: Batch,
    now: Instant,
    starting: Vec<ServerNo>,
    ready: BTreeMap<ServerNo, Option<GroupNo>>,
    stopping: Vec<ServerNo>,
    groups: BTreeMap<ServerNo, Option<GroupNo>>,
    running: BTreeMap<JobNo, ServerNo>,
    /// Running jobs whose server was lost, which take no slot.
    stranded: BTreeSet<JobNo>,
    begun: BTreeMap<JobNo, u32>,
    accepted: BTreeSet<JobNo>,
    ended: BTreeSet<JobNo>,
    list: Vec<BatchJob>,
    limits: (usize, usize, Option<usize>),
    is_halted: bool,
    is_finished: bool,
}

impl SimulatedDriver {
    fn known_server(&self, choice: u16) -> Option<ServerNo> {
        self.groups.keys().nth(usize::from(choice) % 4).copied()
    }

    fn obey(&mut self) {
        for action in drain(&mut self.batch) {
            assert!(!self.is_finished, "{action:?} after the end");
            match action {
                BatchAction::StartServer { server, group } => {
                    self.starting.push(server);
                    self.groups.insert(server, group);
                }
                BatchAction::StopServer(server) => {
                    self.starting.retain(|other| *other != server);
                    self.ready.remove(&server);
                    self.stopping.push(server);
                }
                BatchAction::StartJob { job, server, attempt } => {
                    assert!(!self.is_halted, "{job:?} begins after the halt");
                    let group = self.ready.get(&server).expect("it is ready");
                    assert!(group.is_none_or(|group| group == self.list[job.0].group()));
                    assert!(!self.ended.contains(&job) && !self.running.contains_key(&job));
                    assert!(
                        !self.accepted.contains(&job)
                            || self.list[job.0].retry().again == RetryScope::Accepted,
                        "{job:?} is run twice"
                    );
                    self.running.insert(job, server);
                    *self.begun.entry(job).or_default() += 1;
                    assert_eq!(self.begun[&job], attempt);
                    assert!(attempt <= 3);
                }
                BatchAction::AbortJob(job) => assert!(self.running.contains_key(&job)),
                BatchAction::EndJob { job, skipped } => {
                    assert!(self.ended.insert(job), "{job:?} ends twice");
                    assert_eq!(skipped.is_some(), !self.begun.contains_key(&job));
                    assert!(!self.running.contains_key(&job));
                }
                BatchAction::Repeat { job, .. } => assert!(!self.running.contains_key(&job)),
                BatchAction::BudgetSpent(_) => self.is_halted = true,
                BatchAction::Finished => self.is_finished = true,
                BatchAction::Wait(_) => unreachable!("it is not drained"),
            }
            let (concurrency, per_server, servers) = self.limits;
            let slots = self.running.keys().filter(|job| !self.stranded.contains(job)).count();
            assert!(slots <= concurrency);
            let alive = self.starting.len() + self.ready.len() + self.stopping.len();
            assert!(servers.is_none_or(|max| alive <= max), "{alive} servers");
            for server in self.ready.keys() {
                let its = self.running.values().filter(|other| *other == server).count();
                assert!(its <= per_server);
            }
        }
    }

    /// Gives the batch one of the inputs that are possible. Returns whether there was any.
    fn step(&mut self, choice: usize, bad: bool) -> bool {
        let at = wait(&mut self.batch);
        let (a, b, c) = (self.starting.len(), self.stopping.len(), self.running.len());
        let things = a + b + c + usize::from(at.is_some());
        if things == 0 {
            return false;
        }
        let mut pick = choice % things;
        let now = self.now;
        if pick < a {
            let server = self.starting.remove(pick);
            if bad {
                self.batch.handle_server_failed(server, now);
            } else {
                self.ready.insert(server, self.groups[&server]);
                self.batch.handle_server_ready(server, now);
            }
            return true;
        }
        pick -= a;
        if pick < b {
            let server = self.stopping.remove(pick);
            self.batch.handle_server_stopped(server, now);
            return true;
        }
        pick -= b;
        if pick < c {
            let job = *self.running.keys().nth(pick).expect("it was counted");
            let server = self.running.remove(&job).expect("it runs");
            let stop = match (choice / things) % 4 {
                0 if bad => JobStop::NotAccepted,
                1 if bad => JobStop::Broken,
                2 if bad => JobStop::Failed,
                _ => JobStop::Done,
            };
            if matches!(stop, JobStop::Broken | JobStop::Failed | JobStop::Done) {
                self.accepted.insert(job);
            }
            self.batch.handle_spend(job, spend(0.1), now);
            // The spend may have halted it.
            self.running.insert(job, server);
            self.obey();
            self.running.remove(&job);
            self.stranded.remove(&job);
            self.batch.handle_job_ended(job, stop, now);
            return true;
        }
        self.now = at.expect("it was counted").max(now);
        self.batch.handle_timeout(self.now);
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// With any inputs in any order, every job ends once, no limit is exceeded, and the batch
    /// finishes.
    #[test]
    fn any_batch_comes_to_its_end(
        groups in prop::collection::vec((0usize..3, any::<bool>()), 0..12),
        given in prop::option::of(prop::collection::vec(1usize..4, 0..4)),
        (concurrency, per_server, servers) in (1usize..5, 1usize..4, 1usize..4),
        budget in prop::option::of(0.0f64..2.0),
        abort in any::<bool>(),
        choices in prop::collection::vec((any::<u16>(), 0u8..10), 0..60),
    ) {
        let again = |told: bool| if told { RetryScope::Accepted } else { RetryScope::NotAccepted };
        let list: Vec<_> = groups
            .iter()
            .map(|(group, told)| {
                BatchJob::new(GroupNo(*group), JobRetry::default().with_again(again(*told)))
            })
            .collect();
        let over = if abort { OverBudget::Abort } else { OverBudget::StopStarting };
        let settings = BatchSettings {
            concurrency: n(concurrency),
            server_jobs_max: n(per_server),
            servers_max: n(servers),
            budget: Budget { cost_max: budget, tokens_max: None, over },
            ..BatchSettings::default()
        };
        let (fleet, limits) = match given {
            Some(given) => {
                let most = given.iter().copied().max().unwrap_or(1);
                let fleet = Fleet::Given(given.into_iter().map(n).collect());
                (fleet, (concurrency, most, None))
            }
            None => (Fleet::Started, (concurrency, per_server, Some(servers))),
        };
        let now = Instant::now();
        let mut world = SimulatedDriver {
            batch: Batch::new(settings, fleet, list.clone(), now),
            now,
            starting: Vec::new(),
            ready: BTreeMap::new(),
            stopping: Vec::new(),
            groups: BTreeMap::new(),
            running: BTreeMap::new(),
            stranded: BTreeSet::new(),
            begun: BTreeMap::new(),
            accepted: BTreeSet::new(),
            ended: BTreeSet::new(),
            list,
            limits,
            is_halted: false,
            is_finished: false,
        };
        world.obey();
        for (choice, what) in choices {
            match what {
                0 => {
                    world.now += Duration::from_millis(u64::from(choice));
                    world.batch.handle_timeout(world.now);
                }
                1 => {
                    if let Some(server) = world.known_server(choice) {
                        if world.ready.contains_key(&server) {
                            let on_server = world.running.iter().filter(|(_, of)| **of == server);
                            world.stranded.extend(on_server.map(|(job, _)| *job));
                        }
                        world.batch.handle_server_lost(server, world.now);
                    }
                }
                2 => {
                    if let Some(server) = world.known_server(choice) {
                        world.batch.handle_server_memory(server, u64::MAX, world.now);
                    }
                }
                3 if choice % 16 == 0 => {
                    world.is_halted = true;
                    world.batch.cancel(world.now);
                }
                bad => drop(world.step(usize::from(choice), bad % 2 == 0)),
            }
            world.obey();
        }
        let mut steps = 0;
        while world.step(steps, false) {
            world.obey();
            steps += 1;
            prop_assert!(steps < 1000, "no end");
        }
        prop_assert!(world.is_finished, "stuck: {:?}", world.batch);
        prop_assert_eq!(world.ended.len(), world.list.len());
        prop_assert!(world.ready.is_empty() && world.starting.is_empty());
    }
}
