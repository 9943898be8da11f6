//! Servers of a batch: starts, failures, replacement and stops.

use super::*;

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
fn without_servers_nothing_runs() {
    let now = Instant::now();
    let mut batch = Batch::new(settings(1), Fleet::Given(Vec::new()), jobs(&[0]), now);
    assert_eq!(drain(&mut batch), [skipped(0, SkipReason::NoServer), BatchAction::Finished]);
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

#[test]
fn no_server_of_a_refused_group_is_started_again() {
    let now = Instant::now();
    let settings = BatchSettings { server_jobs_max: n(1), ..settings(2) };
    let mut batch = Batch::new(settings, Fleet::Started, jobs(&[0, 0, 0]), now);
    assert_eq!(drain(&mut batch), [start(0, 0), start(1, 0)]);
    batch.handle_server_ready(ServerNo(0), now);
    batch.handle_server_refused(ServerNo(1), now);
    assert_eq!(drain(&mut batch), [begin(0, 0)]);
    batch.handle_job_ended(JobNo(0), JobStop::Done, now);
    assert_eq!(drain(&mut batch), [end(0), begin(1, 0)], "the other server goes on alone");
    batch.handle_server_lost(ServerNo(0), now);
    let stop = BatchAction::StopServer(ServerNo(0));
    assert_eq!(drain(&mut batch), [stop, skipped(2, SkipReason::NoServer)]);
    batch.handle_job_ended(JobNo(1), JobStop::Broken, now);
    batch.handle_server_stopped(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [end(1), BatchAction::Finished]);
}

#[test]
fn the_slots_of_a_lost_server_are_free_at_once() {
    let now = Instant::now();
    let fleet = Fleet::Given(vec![n(8), n(8)]);
    let mut batch = Batch::new(settings(4), fleet, jobs(&[0; 6]), now);
    drain(&mut batch);
    batch.handle_server_ready(ServerNo(0), now);
    batch.handle_server_ready(ServerNo(1), now);
    assert_eq!(drain(&mut batch), [begin(0, 0), begin(1, 0), begin(2, 1), begin(3, 1)]);
    batch.handle_server_lost(ServerNo(0), now);
    let stop = BatchAction::StopServer(ServerNo(0));
    assert_eq!(drain(&mut batch), [stop, begin(4, 1), begin(5, 1)]);
    assert_eq!(batch.counts(), BatchCounts { waiting: 0, running: 6, ended: 0 });
    batch.handle_spend(JobNo(0), spend(0.5), now);
    assert_eq!(batch.spend(), spend(0.5), "a job without a slot still counts its spend");
    batch.cancel(now);
    let mut aborted = drain(&mut batch);
    aborted.retain(|action| matches!(action, BatchAction::AbortJob(_)));
    assert_eq!(aborted.len(), 6);
    for job in 0..6 {
        batch.handle_job_ended(JobNo(job), JobStop::Failed, now);
    }
    assert_eq!(batch.counts(), BatchCounts { waiting: 0, running: 0, ended: 6 });
}
