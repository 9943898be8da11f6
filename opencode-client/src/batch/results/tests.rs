use opencode_proto::{RawJson, ResumeDecision, ResumeStatus};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn record(job: &str, status: ResumeStatus) -> JobRecord {
    let mut record = JobRecord::new(job.to_owned(), "f".to_owned());
    record.status = status;
    "completed".clone_into(&mut record.end);
    "two\nlines".clone_into(&mut record.text);
    record.structured = RawJson::parse(r#"{"b":1.50,"a":[null]}"#).ok();
    record.session = Some("ses_1".into());
    (record.attempts, record.steps, record.tools, record.elapsed_ms) = (1, 2, 3, 4);
    record.spend.cost = 0.25;
    record
}

fn started(job: &str) -> ResultsLine<'static> {
    ResultsLine::Started {
        job: job.to_owned(),
        fingerprint: "f".to_owned(),
        attempt: 1,
        session: "ses_1".into(),
    }
}

fn ended(record: JobRecord) -> ResultsLine<'static> {
    ResultsLine::Ended(std::borrow::Cow::Owned(record))
}

fn text(lines: &[ResultsLine<'_>]) -> Vec<u8> {
    lines.iter().flat_map(ResultsLine::text).collect()
}

/// Returns the record of a job that has ended in any way.
fn known(content: &ResumeIndex<JobRecord>, job: &str, fingerprint: &str) -> Option<JobRecord> {
    content.decide(job, fingerprint, ResumeRules::default()).1.cloned()
}

#[test]
fn costs_are_read_as_they_were_written() {
    // serde_json alone reads some of these one bit off.
    for cost in [0.000_263_999_999_999_999_97, 1.234_567_890_123_456_7e-5, f64::MIN_POSITIVE] {
        let mut paid = record("a", ResumeStatus::Completed);
        paid.spend.cost = cost;
        let (content, _) = read(&text(&[ended(paid)]), Path::new("x")).expect("a line");
        let known = known(&content, "a", "f").expect("a record");
        assert_eq!(known.spend.cost.to_bits(), cost.to_bits());
        assert_eq!(content.spend().cost.to_bits(), cost.to_bits());
    }
}

#[test]
fn the_last_line_of_a_job_counts() {
    let broken = record("a", ResumeStatus::Broken);
    let done = record("a", ResumeStatus::Completed);
    let lines = [started("a"), ended(broken), started("a"), ended(done.clone())];
    let content =
        |lines: &[ResultsLine<'_>]| read(&text(lines), Path::new("x")).expect("complete lines").0;
    assert_eq!(known(&content(&lines), "a", "f"), Some(done));
    let (decision, record) = {
        let content = content(&lines[..3]);
        let (decision, record) = content.decide("a", "f", ResumeRules::default());
        (decision, record.cloned())
    };
    assert_eq!((decision, record), (ResumeDecision::Keep, None), "interrupted");
    assert!(content(&[]).is_empty());
}

#[test]
fn every_end_of_a_job_was_paid() {
    let failed = record("a", ResumeStatus::Failed);
    let lines = [
        started("a"),
        ended(failed),
        started("a"),
        ended(record("a", ResumeStatus::Completed)),
        started("b"),
        ResultsLine::Spent {
            job: "b".to_owned(),
            fingerprint: "f".to_owned(),
            attempt: 1,
            spend: Spend::new(opencode_proto::Tokens::default(), 0.125),
        },
    ];
    let (content, _) = read(&text(&lines), Path::new("x")).expect("complete lines");
    assert!((content.spend().cost - 0.625).abs() < 1e-9, "{:?}", content.spend());
}

#[test]
fn only_one_batch_at_a_time_writes_to_a_file() {
    let directory = TempDir::new().expect("a directory");
    let results = BatchResults::resume(directory.path().join("results.jsonl"));
    let (first, _) = ResultsFile::open(&results).expect("a new file");
    let error = ResultsFile::open(&results).expect_err("a file in use");
    assert!(matches!(error, ResultsError::InUse { .. }), "{error:?}");
    drop(first);
    ResultsFile::open(&results).expect("a free file");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_a_new_file() {
    use std::os::unix::fs::PermissionsExt;

    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("results.jsonl");
    drop(ResultsFile::open(&BatchResults::new(&path)).expect("a new file"));
    let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_that_a_process_has_inherited_can_be_opened_again() {
    let directory = TempDir::new().expect("a directory");
    let results = BatchResults::resume(directory.path().join("results.jsonl"));
    let (file, _) = ResultsFile::open(&results).expect("a new file");
    let inherited = file.file.lock().expect("the file").as_ref().map(|file| file.0.try_clone());
    let again = ResultsFile::open(&results);
    assert!(matches!(again, Err(ResultsError::InUse { .. })), "{again:?}");
    drop(file);
    ResultsFile::open(&results).expect("a free file");
    drop(inherited);
}

proptest! {
    /// A file that is cut off anywhere keeps the complete lines, and the next line follows these.
    #[test]
    fn an_incomplete_file_is_continued(jobs in 1usize..5, cut in any::<prop::sample::Index>()) {
        let lines: Vec<_> = (0..jobs)
            .flat_map(|job| {
                let job = job.to_string();
                [started(&job), ended(record(&job, ResumeStatus::Completed))]
            })
            .collect();
        let complete = text(&lines);
        let torn = &complete[..cut.index(complete.len() + 1)];
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("results.jsonl");
        std::fs::write(&path, torn).expect("a file");
        let (file, content) = ResultsFile::open(&BatchResults::resume(&path)).expect("a file");
        let count = torn.iter().filter(|byte| **byte == b'\n').count();
        prop_assert_eq!(content.len(), count.div_ceil(2));
        let records = (0..jobs).filter_map(|job| known(&content, &job.to_string(), "f"));
        prop_assert_eq!(records.count(), count / 2);
        file.write_now(&text(&[started("next")])).expect("a line");
        drop(file);
        let (_, content) = ResultsFile::open(&BatchResults::resume(&path)).expect("a file");
        let next = content.decide("next", "f", ResumeRules::default());
        prop_assert_eq!(next, (ResumeDecision::Keep, None));
        prop_assert_eq!(content.len(), count.div_ceil(2) + 1);
    }
}
