//! A user of `opencode run`.

use std::time::Duration;

use opencode_client::{OpenCode, RunEnd, RunError, RunRequest};

use super::check::Ledger;
use super::plan::Interference;
use crate::world::{Inhabitant, Weather};

pub(super) struct RunUser {
    pub(super) world: Inhabitant,
    pub(super) opencode: OpenCode,
    pub(super) ledger: Ledger,
    pub(super) weather: Weather,
    pub(super) number: usize,
    pub(super) directory: std::path::PathBuf,
}

impl RunUser {
    pub(super) async fn run(self) {
        let prompt = format!("run {}", self.number);
        let interference = self.world.random(|random| {
            let kind = if random.happens(500) { Interference::Cancel } else { Interference::Drop };
            random.happens(300).then(|| (kind, random.milliseconds(0, 4_000)))
        });
        let request = RunRequest::new(&*prompt).with_directory(&self.directory);
        let mut stream = self.opencode.stream(request);
        let mut is_cancelled = false;
        match interference {
            None => {}
            Some((kind, time)) => {
                let read = async { while stream.next_event().await.is_some() {} };
                if self.world.within(time, read).await.is_none() {
                    if kind == Interference::Drop {
                        drop(stream);
                        return self.ledger.count("run: dropped");
                    }
                    is_cancelled = true;
                    stream.cancel();
                }
            }
        }
        let limit = Duration::from_secs(3 * 60 * 60) + self.world.jumped();
        let result = self.world.within(limit, stream.outcome()).await;
        let result = result.unwrap_or_else(|| panic!("{prompt}: the run does not end"));
        self.check(&prompt, is_cancelled, &result);
    }

    fn check(
        &self,
        prompt: &str,
        is_cancelled: bool,
        result: &Result<opencode_client::RunReport, RunError>,
    ) {
        let is_calm = self.weather == Weather::CALM;
        let report = match result {
            Ok(report) => report,
            Err(error) => match error.report() {
                Some(report) => report,
                None => {
                    assert!(
                        matches!(error, RunError::Spawn { .. }) && !is_calm,
                        "{prompt}: {error}"
                    );
                    return self.ledger.count("run: not started");
                }
            },
        };
        let end = &report.outcome.end;
        self.ledger.count(format!("run: {}", end.name()));
        let runs = self.world.runs(prompt);
        assert!(runs.len() <= 1, "{prompt}: started {} times", runs.len());
        let truth = runs.into_iter().next().unwrap_or_default();
        match end {
            RunEnd::Completed => {
                assert!(truth.is_complete, "{prompt}: completed, but the process was not");
                assert_eq!(report.answer().full_text(), truth.text, "{prompt}");
                assert_eq!(report.answer().tools().len(), truth.tools, "{prompt}");
            }
            RunEnd::Cancelled => assert!(is_cancelled, "{prompt}: cancelled without a cancel"),
            end => assert!(!is_calm, "{prompt}: {end} in calm weather"),
        }
    }
}
