//! Work that goes on after the end of jobs.

use super::*;

/// A batch of these jobs, one at a time, whose first job has ended and left work.
fn left(settings: BatchSettings, list: usize) -> (Batch, Instant) {
    let now = Instant::now();
    let mut batch = Batch::new(settings, Fleet::Started, jobs(&vec![0; list]), now);
    batch.handle_server_ready(ServerNo(0), now);
    drain(&mut batch);
    batch.handle_spend(JobNo(0), spend(0.25), now);
    batch.handle_left_begun(JobNo(0), ServerNo(0));
    batch.handle_job_ended(JobNo(0), JobStop::Done, now);
    (batch, now)
}

#[test]
fn left_work_keeps_its_server_and_takes_no_slot() {
    let (mut batch, now) = left(settings(1), 2);
    assert_eq!(drain(&mut batch), [end(0), begin(1, 0)]);
    batch.handle_job_ended(JobNo(1), JobStop::Done, now);
    assert_eq!(drain(&mut batch), [end(1)], "the server is needed");
    batch.handle_left_ended(JobNo(0), now);
    assert_eq!(drain(&mut batch), [BatchAction::StopServer(ServerNo(0))]);
    batch.handle_server_stopped(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [BatchAction::Finished]);
}

#[test]
fn left_work_counts_in_the_spend_once() {
    let (mut batch, now) = left(settings(1), 1);
    batch.handle_left_spend(JobNo(0), spend(0.5), now);
    batch.handle_left_spend(JobNo(0), spend(0.75), now);
    assert_eq!(batch.spend(), spend(1.0));
    batch.handle_left_ended(JobNo(0), now);
    batch.handle_left_spend(JobNo(0), spend(5.0), now);
    assert_eq!(batch.spend(), spend(1.0), "the work is over");
    batch.handle_left_begun(JobNo(0), ServerNo(0));
    batch.handle_left_spend(JobNo(0), spend(0.5), now);
    batch.handle_left_ended(JobNo(0), now);
    assert_eq!(batch.spend(), spend(1.5), "a plugin has prompted the session again");
}

#[test]
fn left_work_spends_the_budget_and_is_aborted_with_the_rest() {
    for over in [OverBudget::StopStarting, OverBudget::Abort] {
        let budget = Budget::cost(1.0).with_over(over);
        let (mut batch, now) = left(BatchSettings { budget, ..settings(1) }, 3);
        assert_eq!(drain(&mut batch), [end(0), begin(1, 0)]);
        batch.handle_left_spend(JobNo(0), spend(0.75), now);
        let mut expected = vec![BatchAction::BudgetSpent(spend(1.0))];
        if over == OverBudget::Abort {
            expected.extend([JobNo(1), JobNo(0)].map(BatchAction::AbortJob));
        }
        expected.push(skipped(2, SkipReason::BudgetSpent));
        assert_eq!(drain(&mut batch), expected);
        // Work that begins now is aborted as well.
        batch.handle_left_begun(JobNo(1), ServerNo(0));
        let aborts = vec![BatchAction::AbortJob(JobNo(1))];
        assert_eq!(drain(&mut batch), if over == OverBudget::Abort { aborts } else { vec![] });
    }
}

#[test]
fn a_cancelled_batch_aborts_left_work() {
    let (mut batch, now) = left(settings(1), 1);
    drain(&mut batch);
    batch.cancel(now);
    assert_eq!(drain(&mut batch), [BatchAction::AbortJob(JobNo(0))]);
    batch.handle_left_ended(JobNo(0), now);
    assert_eq!(drain(&mut batch), [BatchAction::StopServer(ServerNo(0))]);
}

#[test]
fn a_lost_server_does_not_wait_for_left_work() {
    let (mut batch, now) = left(settings(1), 1);
    drain(&mut batch);
    batch.handle_server_lost(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [BatchAction::StopServer(ServerNo(0))]);
    batch.handle_server_stopped(ServerNo(0), now);
    assert_eq!(drain(&mut batch), [BatchAction::Finished]);
    batch.handle_left_ended(JobNo(0), now);
    assert_eq!(drain(&mut batch), []);
}
