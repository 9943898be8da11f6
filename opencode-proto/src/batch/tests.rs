//! Batches in virtual time.

// A test needs an `Instant` to start from; the test itself lets time pass.
#![allow(clippy::disallowed_methods, clippy::wildcard_enum_match_arm)]

mod budget;
mod left;
mod servers;
mod work;
mod world;

use std::num::NonZeroUsize;

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
fn a_halt_begins_nothing_and_aborts_nothing() {
    let now = Instant::now();
    let mut batch = Batch::new(settings(1), Fleet::Started, jobs(&[0, 0]), now);
    batch.handle_server_ready(ServerNo(0), now);
    drain(&mut batch);
    batch.halt(now);
    assert_eq!(drain(&mut batch), [skipped(1, SkipReason::Halted)]);
    batch.handle_job_ended(JobNo(0), JobStop::Done, now);
    assert_eq!(drain(&mut batch), [end(0), BatchAction::StopServer(ServerNo(0))]);
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
