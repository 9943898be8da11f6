//! Budgets of a batch.

use super::*;

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
