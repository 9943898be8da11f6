use super::*;
use crate::part::Tokens;

const AGAIN: ResumeRules =
    ResumeRules { failed: ResumePolicy::RunAgain, broken: ResumePolicy::RunAgain };
const KEEP: ResumeRules = ResumeRules { failed: ResumePolicy::Keep, broken: ResumePolicy::Keep };

fn spend(tokens: u64) -> Spend {
    let tokens = Tokens { total: tokens, ..Tokens::default() };
    Spend::new(tokens, 0.0)
}

fn index(status: ResumeStatus) -> ResumeIndex<&'static str> {
    let mut index = ResumeIndex::new();
    index.add_started("a", "f", 1);
    index.add_ended("a", "f", status, spend(3), "record");
    index
}

#[test]
fn rules_hold_for_failed_and_broken_jobs_only() {
    for (status, kept, again) in [
        (ResumeStatus::Completed, ResumeDecision::Keep, ResumeDecision::Keep),
        (ResumeStatus::Failed, ResumeDecision::Keep, ResumeDecision::RunAgain),
        (ResumeStatus::Broken, ResumeDecision::Keep, ResumeDecision::RunAgain),
        (ResumeStatus::NotBegun, ResumeDecision::RunAgain, ResumeDecision::RunAgain),
    ] {
        let index = index(status);
        for (rules, decision) in [(KEEP, kept), (AGAIN, again)] {
            let record = (decision == ResumeDecision::Keep).then_some(&"record");
            assert_eq!(index.decide("a", "f", rules), (decision, record), "{status:?}");
        }
    }
    assert_eq!(KEEP, ResumeRules::default());
}

#[test]
fn the_last_line_of_a_job_counts() {
    let mut index = index(ResumeStatus::Completed);
    index.add_started("a", "f", 1);
    assert_eq!(index.decide("a", "f", KEEP), (ResumeDecision::Keep, None), "interrupted");
    assert_eq!(index.decide("a", "f", AGAIN), (ResumeDecision::RunAgain, None));
    index.add_ended("a", "f", ResumeStatus::Failed, spend(1), "second");
    assert_eq!(index.decide("a", "f", KEEP), (ResumeDecision::Keep, Some(&"second")));
}

#[test]
fn work_that_went_on_counts_and_changes_the_record() {
    let mut index = index(ResumeStatus::Completed);
    index.add_settled("a", "f", spend(4), |record| *record = "settled");
    index.add_settled("b", "f", spend(5), |_| unreachable!("the job is unknown"));
    assert_eq!(index.spend(), spend(12));
    assert_eq!(index.decide("a", "f", KEEP), (ResumeDecision::Keep, Some(&"settled")));
}

#[test]
fn another_fingerprint_is_another_job_of_the_same_name() {
    let mut index = index(ResumeStatus::Completed);
    assert_eq!(index.decide("a", "g", KEEP), (ResumeDecision::RunChanged, None));
    assert_eq!(index.decide("b", "f", KEEP), (ResumeDecision::Run, None));
    index.add_ended("a", "g", ResumeStatus::Failed, spend(1), "other");
    assert_eq!(index.decide("a", "f", KEEP), (ResumeDecision::Keep, Some(&"record")));
    assert_eq!((index.len(), index.is_empty()), (2, false));
    assert!(ResumeIndex::<()>::new().is_empty());
}

#[test]
fn the_spend_of_interrupted_attempts_counts_once() {
    let mut index = ResumeIndex::new();
    index.add_started("a", "f", 1);
    index.add_spent("a", "f", 1, spend(5));
    index.add_spent("a", "f", 1, spend(3));
    assert_eq!(index.spend(), spend(5), "lines may come in another order");
    index.add_started("a", "f", 2);
    index.add_spent("a", "f", 2, spend(2));
    assert_eq!(index.spend(), spend(7));
    assert_eq!(index.interrupted_spend("a", "f"), spend(7));

    // The program was killed, and the next batch runs the job again.
    index.add_started("a", "f", 1);
    assert_eq!((index.spend(), index.interrupted_spend("a", "f")), (spend(7), spend(0)));
    index.add_spent("a", "f", 1, spend(4));
    index.add_ended("a", "f", ResumeStatus::Completed, spend(6), "record");
    assert_eq!(index.spend(), spend(13), "the record includes the spend of its attempts");
    index.add_spent("a", "f", 1, spend(9));
    assert_eq!(index.spend(), spend(13), "a line after the end");
    assert_eq!(index.interrupted_spend("a", "f"), spend(0));
}

#[test]
fn a_job_that_did_not_begin_again_keeps_the_spend_of_the_interrupted_batch() {
    let mut index = ResumeIndex::new();
    index.add_started("a", "f", 1);
    index.add_spent("a", "f", 1, spend(5));
    index.add_ended("a", "f", ResumeStatus::NotBegun, spend(0), "no server");
    assert_eq!(index.spend(), spend(5));
    index.add_spent("b", "f", 1, spend(5));
    assert_eq!(index.spend(), spend(5), "a spend without a start");
}

#[test]
fn every_decision_has_a_count() {
    let mut counts = ResumeCounts::default();
    for decision in [
        ResumeDecision::Keep,
        ResumeDecision::Run,
        ResumeDecision::RunAgain,
        ResumeDecision::RunChanged,
        ResumeDecision::RunChanged,
    ] {
        counts.add(decision);
    }
    assert_eq!(counts, ResumeCounts { kept: 1, new: 1, again: 1, changed: 2 });
}
