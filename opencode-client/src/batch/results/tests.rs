use opencode_proto::Spend;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn record(job: &str, standing: Standing) -> JobRecord {
    JobRecord {
        job: job.to_owned(),
        fingerprint: "f".to_owned(),
        standing,
        end: "completed".to_owned(),
        error: None,
        text: "two\nlines".to_owned(),
        structured: Some(serde_json::json!({ "b": 1, "a": [null] })),
        session: Some("ses_1".into()),
        attempts: 1,
        steps: 2,
        tools: 3,
        spend: Spend::default(),
        elapsed_ms: 4,
    }
}

fn started(job: &str) -> Line {
    Line::Started {
        job: job.to_owned(),
        fingerprint: "f".to_owned(),
        attempt: 1,
        session: "ses_1".into(),
    }
}

fn text(lines: &[Line]) -> Vec<u8> {
    let line = |line| [serde_json::to_vec(line).expect("it is JSON"), b"\n".to_vec()].concat();
    lines.iter().flat_map(line).collect()
}

#[test]
fn costs_are_read_as_they_were_written() {
    // serde_json alone reads some of these one bit off.
    for cost in [0.000_263_999_999_999_999_97, 1.234_567_890_123_456_7e-5, f64::MIN_POSITIVE] {
        let mut paid = record("a", Standing::Completed);
        paid.spend.cost = cost;
        let line = text(&[Line::Ended(Box::new(paid))]);
        let (past, _) = read(&line, Path::new("x")).expect("a line");
        let known = past.of("a", "f").flatten().expect("a record");
        assert_eq!(known.spend.cost.to_bits(), cost.to_bits());
    }
}

#[test]
fn the_last_word_on_a_job_counts() {
    let broken = record("a", Standing::Broken);
    let done = record("a", Standing::Completed);
    let lines = [
        started("a"),
        Line::Ended(Box::new(broken)),
        started("a"),
        Line::Ended(Box::new(done.clone())),
    ];
    let known = |lines: &[Line]| {
        let (past, _) = read(&text(lines), Path::new("x")).expect("whole lines");
        past.of("a", "f").map(|record| record.cloned())
    };
    assert_eq!(known(&lines), Some(Some(done)));
    assert_eq!(known(&lines[..3]), Some(None));
    assert_eq!(known(&[]), None);
    let (past, _) = read(&text(&lines), Path::new("x")).expect("whole lines");
    assert_eq!(past.of("a", "g"), None, "another prompt is another job");
    assert_eq!(past.of("b", "f"), None);
}

#[test]
fn only_one_batch_at_a_time_writes_to_a_file() {
    let directory = TempDir::new().expect("a directory");
    let results = BatchResults::resume(directory.path().join("results.jsonl"));
    let (first, _) = ResultsFile::open(&results).expect("it is made");
    let error = ResultsFile::open(&results).expect_err("it is in use");
    assert!(matches!(error, ResultsError::InUse { .. }), "{error:?}");
    drop(first);
    ResultsFile::open(&results).expect("it is free again");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_a_new_file() {
    use std::os::unix::fs::PermissionsExt;

    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("results.jsonl");
    drop(ResultsFile::open(&BatchResults::new(&path)).expect("it is made"));
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_that_a_process_has_inherited_can_be_opened_again() {
    let directory = TempDir::new().expect("a directory");
    let results = BatchResults::resume(directory.path().join("results.jsonl"));
    let (file, _) = ResultsFile::open(&results).expect("it is made");
    let inherited = file.file.lock().expect("it is whole").as_ref().map(|file| file.0.try_clone());
    let again = ResultsFile::open(&results);
    assert!(matches!(again, Err(ResultsError::InUse { .. })), "{again:?}");
    drop(file);
    ResultsFile::open(&results).expect("it is free");
    drop(inherited);
}

proptest! {
    /// A file that is cut off anywhere reads as what was whole, and what is written next follows that.
    #[test]
    fn a_torn_file_is_whole_again(jobs in 1usize..5, cut in any::<prop::sample::Index>()) {
        let lines: Vec<_> = (0..jobs)
            .flat_map(|job| {
                let job = job.to_string();
                [started(&job), Line::Ended(Box::new(record(&job, Standing::Completed)))]
            })
            .collect();
        let whole = text(&lines);
        let torn = &whole[..cut.index(whole.len() + 1)];
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("results.jsonl");
        std::fs::write(&path, torn).expect("it is written");
        let (file, past) = ResultsFile::open(&BatchResults::resume(&path)).expect("it is read");
        let there = torn.iter().filter(|byte| **byte == b'\n').count();
        prop_assert_eq!(past.jobs.len(), there.div_ceil(2));
        prop_assert_eq!(past.jobs.values().flatten().count(), there / 2);
        file.write_now(&text(&[started("next")])).expect("it is written");
        drop(file);
        let (_, past) = ResultsFile::open(&BatchResults::resume(&path)).expect("it is read");
        prop_assert_eq!(past.of("next", "f"), Some(None));
        prop_assert_eq!(past.jobs.len(), there.div_ceil(2) + 1);
    }
}
