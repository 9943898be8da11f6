//! Batches in virtual time, with drivers that do what they are told.

// A test needs an `Instant` to start from; no time passes but the one it makes pass.
#![allow(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::part::Tokens;
use crate::retry::RetryPolicy;

fn n(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("tests ask for some")
}

fn jobs(groups: &[usize]) -> Vec<BatchJob> {
    let job = |group: &usize| BatchJob::new(GroupNo(*group), JobRetry::default());
    groups.iter().map(job).collect()
}

fn settings(concurrency: usize) -> BatchSettings {
    BatchSettings { concurrency: n(concurrency), ..BatchSettings::default() }
}

fn spend(cost: f64) -> Spend {
    Spend::new(Tokens { total: (cost * 1000.0) as u64, ..Tokens::default() }, cost)
}

/// Actions until the machine waits.
fn drain(batch: &mut Batch) -> Vec<BatchAction> {
    let mut actions = Vec::new();
    loop {
        match batch.poll_action() {
            BatchAction::Wait(_) => return actions,
            action => actions.push(action),
        }
    }
}

fn wait(batch: &mut Batch) -> Option<Instant> {
    match batch.poll_action() {
        BatchAction::Wait(wake) => wake,
        action => panic!("not drained: {action:?}"),
    }
}

fn start(server: usize, group: usize) -> BatchAction {
    BatchAction::StartServer { server: ServerNo(server), group: Some(GroupNo(group)) }
}

fn begin(job: usize, server: usize) -> BatchAction {
    BatchAction::StartJob { job: JobNo(job), server: ServerNo(server), attempt: 1 }
}

fn end(job: usize) -> BatchAction {
    BatchAction::EndJob { job: JobNo(job), skipped: None }
}

fn skipped(job: usize, why: SkipReason) -> BatchAction {
    BatchAction::EndJob { job: JobNo(job), skipped: Some(why) }
}

#[test]
fn jobs_of_one_group_share_a_server_and_begin_in_order() {
    let now = Instant::now();
    let mut batch = Batch::new(settings(2), Fleet::Started, jobs(&[0, 0, 0]), now);
    assert_eq!(drain(&mut batch), [start(0, 0)]);
    batch.handle_server_ready(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [begin(0, 0), begin(1, 0)]);
    batch.handle_job_ended(JobNo(1), JobStop::Done, now);
    assert_eq!(drain(&mut batch), [end(1), begin(2, 0)]);
    assert_eq!(batch.counts(), BatchCounts { waiting: 0, running: 2, ended: 1 });
    batch.handle_job_ended(JobNo(0), JobStop::Failed, now);
    batch.handle_job_ended(JobNo(2), JobStop::Done, now);
    assert_eq!(drain(&mut batch), [end(0), end(2), BatchAction::StopServer(ServerNo(0))]);
    batch.handle_server_stopped(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [BatchAction::Finished]);
    assert_eq!(wait(&mut batch), None);
}

#[test]
fn groups_have_servers_of_their_own_and_take_turns_when_there_is_room_for_one_only() {
    let now = Instant::now();
    let settings = BatchSettings { servers_max: n(1), ..settings(8) };
    let mut batch = Batch::new(settings, Fleet::Started, jobs(&[0, 1, 0]), now);
    assert_eq!(drain(&mut batch), [start(0, 0)]);
    batch.handle_server_ready(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [begin(0, 0), begin(2, 0)]);
    batch.handle_job_ended(JobNo(0), JobStop::Done, now);
    batch.handle_job_ended(JobNo(2), JobStop::Done, now);
    assert_eq!(drain(&mut batch), [end(0), end(2), BatchAction::StopServer(ServerNo(0))]);
    batch.handle_server_stopped(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [start(1, 1)]);
}

#[test]
fn a_second_server_is_started_when_one_is_full() {
    let now = Instant::now();
    let settings = BatchSettings { server_jobs_max: n(2), ..settings(3) };
    let mut batch = Batch::new(settings, Fleet::Started, jobs(&[0; 6]), now);
    assert_eq!(drain(&mut batch), [start(0, 0), start(1, 0)]);
    batch.handle_server_ready(ServerNo(1), now);
    assert_eq!(drain(&mut batch), [begin(0, 1), begin(1, 1)]);
    batch.handle_server_ready(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [begin(2, 0)]);
}

#[test]
fn given_servers_share_by_load_and_one_that_dies_is_left_out() {
    let now = Instant::now();
    let settings = BatchSettings { server_retry: RetryPolicy::NONE, ..settings(4) };
    let fleet = Fleet::Given(vec![n(1), n(8)]);
    let mut batch = Batch::new(settings, fleet, jobs(&[0; 8]), now);
    let connect = |no| BatchAction::StartServer { server: ServerNo(no), group: None };
    assert_eq!(drain(&mut batch), [connect(0), connect(1)]);
    batch.handle_server_ready(ServerNo(0), now);
    batch.handle_server_ready(ServerNo(1), now);
    assert_eq!(drain(&mut batch), [begin(0, 0), begin(1, 1), begin(2, 1), begin(3, 1)]);
    batch.handle_server_lost(ServerNo(1), now);
    batch.handle_server_stopped(ServerNo(1), now);
    assert_eq!(drain(&mut batch), [BatchAction::StopServer(ServerNo(1))]);
    for job in [1, 2, 3] {
        batch.handle_job_ended(JobNo(job), JobStop::Broken, now);
    }
    assert_eq!(drain(&mut batch), [end(1), end(2), end(3)], "what was accepted is not run again");
    batch.handle_job_ended(JobNo(0), JobStop::Done, now);
    assert_eq!(drain(&mut batch), [end(0), begin(4, 0)], "what had not begun goes elsewhere");
    batch.handle_server_lost(ServerNo(0), now);
    batch.handle_server_stopped(ServerNo(0), now);
    batch.handle_job_ended(JobNo(4), JobStop::Broken, now);
    let nobody = |job| skipped(job, SkipReason::NoServer);
    let stop = BatchAction::StopServer(ServerNo(0));
    let rest = [stop, nobody(5), nobody(6), nobody(7), end(4), BatchAction::Finished];
    assert_eq!(drain(&mut batch), rest);
}

#[test]
fn a_given_server_that_is_on_its_way_keeps_its_share() {
    let now = Instant::now();
    let fleet = || Fleet::Given(vec![n(8), n(8), n(8)]);
    let mut batch = Batch::new(settings(8), fleet(), jobs(&[0; 5]), now);
    drain(&mut batch);
    batch.handle_server_ready(ServerNo(1), now);
    assert_eq!(drain(&mut batch), [begin(0, 1), begin(1, 1)]);
    batch.handle_server_failed(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [begin(2, 1)], "half of it is now its share");
    batch.handle_server_ready(ServerNo(2), now);
    assert_eq!(drain(&mut batch), [begin(3, 2), begin(4, 2)]);
}

#[test]
fn what_was_not_accepted_is_repeated_and_what_was_only_when_told() {
    let now = Instant::now();
    let mut list = jobs(&[0, 0]);
    let retry = JobRetry::default().with_again(RetryScope::Accepted);
    list[1] = BatchJob::new(GroupNo(0), retry);
    let mut batch = Batch::new(settings(8), Fleet::Started, list, now);
    batch.handle_server_ready(ServerNo(0), now);
    drain(&mut batch);
    batch.handle_job_ended(JobNo(0), JobStop::NotAccepted, now);
    batch.handle_job_ended(JobNo(1), JobStop::Broken, now);
    let repeats = drain(&mut batch);
    let [BatchAction::Repeat { job: JobNo(0), .. }, BatchAction::Repeat { job: JobNo(1), .. }] =
        repeats[..]
    else {
        panic!("{repeats:?}")
    };
    let mut now = now;
    while let Some(at) = wait(&mut batch) {
        assert!(at > now);
        now = at;
        batch.handle_timeout(now);
        for action in drain(&mut batch) {
            let BatchAction::StartJob { attempt: 2, .. } = action else { panic!("{action:?}") };
        }
    }
    assert_eq!([batch.attempts(JobNo(0)), batch.attempts(JobNo(1))], [2, 2]);
    batch.handle_job_ended(JobNo(0), JobStop::Broken, now);
    assert_eq!(drain(&mut batch), [end(0)]);
}

#[test]
fn a_server_that_never_starts_takes_its_group_with_it_and_no_other() {
    let mut now = Instant::now();
    let mut batch = Batch::new(settings(8), Fleet::Started, jobs(&[0, 1]), now);
    assert_eq!(drain(&mut batch), [start(0, 0), start(1, 1)]);
    batch.handle_server_ready(ServerNo(1), now);
    assert_eq!(drain(&mut batch), [begin(1, 1)]);
    let mut failing = 0;
    for next in [2, 3, 4] {
        batch.handle_server_failed(ServerNo(failing), now);
        assert_eq!(drain(&mut batch), []);
        now = wait(&mut batch).expect("it will be tried again");
        batch.handle_timeout(now);
        assert_eq!(drain(&mut batch), [start(next, 0)]);
        failing = next;
    }
    batch.handle_server_failed(ServerNo(failing), now);
    assert_eq!(drain(&mut batch), [skipped(0, SkipReason::NoServer)]);
    batch.handle_job_ended(JobNo(1), JobStop::Done, now);
    assert_eq!(drain(&mut batch), [end(1), BatchAction::StopServer(ServerNo(1))]);
}

#[test]
fn a_server_that_cannot_be_had_is_not_tried_again() {
    let now = Instant::now();
    let mut batch = Batch::new(settings(8), Fleet::Started, jobs(&[0, 1]), now);
    assert_eq!(drain(&mut batch), [start(0, 0), start(1, 1)]);
    batch.handle_server_refused(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [skipped(0, SkipReason::NoServer)]);
    batch.handle_server_ready(ServerNo(1), now);
    assert_eq!(drain(&mut batch), [begin(1, 1)]);

    let mut batch = Batch::new(settings(8), Fleet::Given(vec![n(8), n(8)]), jobs(&[0]), now);
    drain(&mut batch);
    batch.handle_server_refused(ServerNo(0), now);
    assert_eq!((drain(&mut batch), wait(&mut batch)), (vec![], None), "the other is on its way");
    batch.handle_server_refused(ServerNo(1), now);
    assert_eq!(drain(&mut batch), [skipped(0, SkipReason::NoServer), BatchAction::Finished]);
}

#[test]
fn a_server_that_has_grown_is_replaced_when_its_jobs_are_done() {
    let now = Instant::now();
    let mut batch = Batch::new(settings(1), Fleet::Started, jobs(&[0, 0, 0]), now);
    batch.handle_server_ready(ServerNo(0), now);
    drain(&mut batch);
    batch.handle_server_memory(ServerNo(0), 2 << 30, now);
    assert_eq!(drain(&mut batch), [], "it may take as much");
    batch.handle_server_memory(ServerNo(0), (2 << 30) + 1, now);
    batch.handle_job_ended(JobNo(0), JobStop::Done, now);
    let stop = BatchAction::StopServer(ServerNo(0));
    assert_eq!(drain(&mut batch), [end(0), start(1, 0), stop]);
    batch.handle_server_ready(ServerNo(1), now);
    assert_eq!(drain(&mut batch), [begin(1, 1)]);
}

#[test]
fn a_budget_ends_the_starting_or_everything() {
    for over in [OverBudget::StopStarting, OverBudget::Abort] {
        let now = Instant::now();
        let budget = Budget::cost(1.0).with_over(over);
        let settings = BatchSettings { budget, ..settings(2) };
        let mut batch = Batch::new(settings, Fleet::Started, jobs(&[0, 0, 0]), now);
        batch.handle_server_ready(ServerNo(0), now);
        drain(&mut batch);
        batch.handle_spend(JobNo(0), spend(0.5), now);
        batch.handle_spend(JobNo(0), spend(0.75), now);
        assert_eq!(drain(&mut batch), [], "the last word of a job counts, not the sum");
        batch.handle_spend(JobNo(1), spend(0.25), now);
        let mut expected = vec![BatchAction::BudgetSpent(spend(1.0))];
        if over == OverBudget::Abort {
            expected.extend([JobNo(0), JobNo(1)].map(BatchAction::AbortJob));
        }
        expected.push(skipped(2, SkipReason::BudgetSpent));
        assert_eq!(drain(&mut batch), expected);
        batch.handle_spend(JobNo(1), spend(0.5), now);
        assert_eq!(batch.spend(), spend(1.25));
    }
}

#[test]
fn tokens_are_a_budget_too_and_repeated_jobs_count_again() {
    let mut now = Instant::now();
    let budget = Budget::tokens(1000);
    let retry = JobRetry::default().with_again(RetryScope::Accepted);
    let list = vec![BatchJob::new(GroupNo(0), retry)];
    let settings = BatchSettings { budget, ..settings(1) };
    let mut batch = Batch::new(settings, Fleet::Started, list, now);
    batch.handle_server_ready(ServerNo(0), now);
    batch.handle_spend(JobNo(0), spend(0.6), now);
    batch.handle_job_ended(JobNo(0), JobStop::Broken, now);
    drain(&mut batch);
    now = wait(&mut batch).expect("it is repeated");
    batch.handle_timeout(now);
    drain(&mut batch);
    batch.handle_spend(JobNo(0), spend(0.4), now);
    assert_eq!(drain(&mut batch), [BatchAction::BudgetSpent(spend(1.0))]);
}

#[test]
fn cancelling_aborts_what_runs_and_begins_nothing() {
    let now = Instant::now();
    let mut batch = Batch::new(settings(1), Fleet::Started, jobs(&[0, 0]), now);
    batch.handle_server_ready(ServerNo(0), now);
    drain(&mut batch);
    batch.cancel(now);
    let abort = BatchAction::AbortJob(JobNo(0));
    assert_eq!(drain(&mut batch), [abort, skipped(1, SkipReason::Cancelled)]);
    batch.handle_job_ended(JobNo(0), JobStop::NotAccepted, now);
    assert_eq!(drain(&mut batch), [end(0), BatchAction::StopServer(ServerNo(0))]);
}

#[test]
fn a_server_that_is_still_starting_is_stopped_when_it_is_not_needed_any_more() {
    let now = Instant::now();
    let mut batch = Batch::new(settings(1), Fleet::Started, jobs(&[0]), now);
    drain(&mut batch);
    batch.cancel(now);
    let stop = BatchAction::StopServer(ServerNo(0));
    assert_eq!(drain(&mut batch), [skipped(0, SkipReason::Cancelled), stop]);
    batch.handle_server_ready(ServerNo(0), now);
    assert_eq!(drain(&mut batch), []);
    batch.handle_server_stopped(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [BatchAction::Finished]);
}

#[test]
fn a_batch_of_nothing_is_finished_at_once() {
    let now = Instant::now();
    for fleet in [Fleet::Started, Fleet::Given(vec![n(1)]), Fleet::Given(Vec::new())] {
        let mut batch = Batch::new(settings(1), fleet, Vec::new(), now);
        assert_eq!(drain(&mut batch), [BatchAction::Finished]);
    }
}

#[test]
fn a_job_that_is_over_before_is_not_begun() {
    let now = Instant::now();
    let mut list = jobs(&[0, 0]);
    list[0] = BatchJob::ended();
    let mut batch = Batch::new(settings(8), Fleet::Started, list, now);
    batch.handle_server_ready(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [start(0, 0), begin(1, 0)]);
    assert_eq!(batch.counts(), BatchCounts { waiting: 0, running: 1, ended: 1 });
}

#[test]
fn without_servers_nothing_runs() {
    let now = Instant::now();
    let mut batch = Batch::new(settings(1), Fleet::Given(Vec::new()), jobs(&[0]), now);
    assert_eq!(drain(&mut batch), [skipped(0, SkipReason::NoServer), BatchAction::Finished]);
}

#[test]
fn the_spend_of_earlier_batches_counts_for_the_budget() {
    let now = Instant::now();
    let of = |spent| {
        let settings = BatchSettings { budget: Budget::cost(1.0), spent, ..settings(1) };
        Batch::new(settings, Fleet::Started, jobs(&[0, 0]), now)
    };
    let mut batch = of(spend(0.75));
    batch.handle_server_ready(ServerNo(0), now);
    drain(&mut batch);
    batch.handle_spend(JobNo(0), spend(0.125), now);
    assert_eq!(drain(&mut batch), []);
    batch.handle_spend(JobNo(0), spend(0.25), now);
    let spent = BatchAction::BudgetSpent(spend(1.0));
    assert_eq!(drain(&mut batch), [spent, skipped(1, SkipReason::BudgetSpent)]);
    assert_eq!(batch.spend(), spend(0.25), "the spend is that of this batch");

    let mut batch = of(spend(1.5));
    let spent = BatchAction::BudgetSpent(spend(1.5));
    let skipped = |job| skipped(job, SkipReason::BudgetSpent);
    assert_eq!(drain(&mut batch), [spent, skipped(0), skipped(1), BatchAction::Finished]);
}

#[test]
fn jobs_of_a_group_whose_servers_are_refused_end_when_its_last_server_is_gone() {
    let mut now = Instant::now();
    let settings = BatchSettings { server_jobs_max: n(1), ..settings(2) };
    let mut batch = Batch::new(settings, Fleet::Started, jobs(&[0, 0, 0, 1]), now);
    assert_eq!(drain(&mut batch), [start(0, 0), start(1, 0)]);
    batch.handle_server_ready(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [begin(0, 0)]);
    batch.handle_server_refused(ServerNo(1), now);
    assert_eq!(drain(&mut batch), [], "a server of the group works");
    batch.handle_job_ended(JobNo(0), JobStop::NotAccepted, now);
    let actions = drain(&mut batch);
    let BatchAction::Repeat { at, .. } = actions[0] else { panic!("{actions:?}") };
    assert_eq!(actions[1..], [begin(1, 0)], "the server still has room");
    batch.handle_server_lost(ServerNo(0), now);
    let (stop, skipped) = (BatchAction::StopServer(ServerNo(0)), skipped(2, SkipReason::NoServer));
    assert_eq!(drain(&mut batch), [stop, skipped, start(2, 1)]);
    batch.handle_job_ended(JobNo(1), JobStop::Broken, now);
    assert_eq!(drain(&mut batch), [end(1)]);
    batch.handle_server_stopped(ServerNo(0), now);
    now = at;
    batch.handle_timeout(now);
    assert_eq!(drain(&mut batch), [end(0)], "a job that comes back later ends as well");
}

/// Runs a batch to its end. Returns the largest number of steps of one input, and the sum.
fn steps_of(
    groups: &[usize],
    mut answer: impl FnMut(&mut Batch, ServerNo, Instant),
) -> (usize, usize) {
    let now = Instant::now();
    let mut batch = Batch::new(settings(4), Fleet::Started, jobs(groups), now);
    let start = batch.steps.count();
    let (mut largest, mut before) = (0, start);
    loop {
        match batch.poll_action() {
            BatchAction::Finished => break,
            BatchAction::StartJob { job, .. } => {
                batch.handle_job_ended(job, JobStop::Done, now);
            }
            BatchAction::StartServer { server, .. } => answer(&mut batch, server, now),
            BatchAction::StopServer(server) => batch.handle_server_stopped(server, now),
            BatchAction::Wait(wake) => panic!("stuck until {wake:?}"),
            _ => {}
        }
        largest = largest.max(batch.steps.count() - before);
        before = batch.steps.count();
    }
    (largest, batch.steps.count() - start)
}

#[test]
fn the_work_of_an_input_does_not_grow_with_the_jobs_that_wait() {
    let ready = |batch: &mut Batch, server, now| batch.handle_server_ready(server, now);
    let refused = |batch: &mut Batch, server, now| batch.handle_server_refused(server, now);
    type Groups = fn(usize) -> Vec<usize>;
    let shapes: [Groups; 3] = [
        |jobs| (0..jobs).collect(),
        |jobs| vec![0; jobs],
        |jobs| (0..jobs).map(|job| job % 10).collect(),
    ];
    for groups in shapes {
        let (few, _) = steps_of(&groups(100), ready);
        let (many, sum) = steps_of(&groups(3000), ready);
        assert!(many <= few && many < 200, "{many} steps of one input, {few} with fewer jobs");
        assert!(sum < 3000 * 200, "{sum} steps");
        let (_, sum) = steps_of(&groups(3000), refused);
        assert!(sum < 3000 * 200, "{sum} steps without servers");
    }
}

/// What a driver in the tests knows.
struct World {
    batch: Batch,
    now: Instant,
    starting: Vec<ServerNo>,
    ready: BTreeMap<ServerNo, Option<GroupNo>>,
    stopping: Vec<ServerNo>,
    groups: BTreeMap<ServerNo, Option<GroupNo>>,
    running: BTreeMap<JobNo, ServerNo>,
    begun: BTreeMap<JobNo, u32>,
    accepted: BTreeSet<JobNo>,
    ended: BTreeSet<JobNo>,
    list: Vec<BatchJob>,
    limits: (usize, usize, Option<usize>),
    is_halted: bool,
    is_finished: bool,
}

impl World {
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
            assert!(self.running.len() <= concurrency);
            let alive = self.starting.len() + self.ready.len() + self.stopping.len();
            assert!(servers.is_none_or(|max| alive <= max), "{alive} servers");
            for server in self.ready.keys() {
                let its = self.running.values().filter(|other| *other == server).count();
                assert!(its <= per_server);
            }
        }
    }

    /// Does the `choice`th thing that can happen. Says whether anything could.
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

    /// Whatever happens in whatever order, every job ends once, no limit is passed, and the batch
    /// comes to its end.
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
        let mut world = World {
            batch: Batch::new(settings, fleet, list.clone(), now),
            now,
            starting: Vec::new(),
            ready: BTreeMap::new(),
            stopping: Vec::new(),
            groups: BTreeMap::new(),
            running: BTreeMap::new(),
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
                    if let Some(server) = world.groups.keys().nth(usize::from(choice) % 4).copied() {
                        world.batch.handle_server_lost(server, world.now);
                    }
                }
                2 => {
                    if let Some(server) = world.groups.keys().nth(usize::from(choice) % 4).copied() {
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
