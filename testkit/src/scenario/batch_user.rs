//! A user of a batch.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use opencode_client::batch::{BatchSettings, GivenServer, JobReport};
use opencode_client::{BatchEvent, BatchRequest, Deadlines, Job, OpenCode, ServeRequest};

use super::check::Ledger;
use super::plan::Interference;
use crate::world::{Inhabitant, PromptEnd, Weather};

pub(super) struct BatchUser {
    pub(super) world: Inhabitant,
    pub(super) opencode: OpenCode,
    pub(super) ledger: Ledger,
    pub(super) weather: Weather,
    /// Ports of running servers. When empty, the batch starts a server on `own_port`.
    pub(super) ports: Vec<u16>,
    pub(super) own_port: u16,
    pub(super) directory: std::path::PathBuf,
}

/// Overall deadline of every job.
const OVERALL: Duration = Duration::from_secs(900);

impl BatchUser {
    pub(super) async fn run(self) {
        let (jobs, concurrency, interference) = self.world.random(|random| {
            let kind = if random.happens(500) { Interference::Cancel } else { Interference::Drop };
            let when = (kind, random.milliseconds(0, 60_000));
            let interference = random.happens(300).then_some(when);
            (random.range(1, 6), random.range(1, 4), interference)
        });
        let prompt = |number| format!("batch {} job {number}", self.own_port);
        let prompts: Vec<String> = (0..jobs).map(prompt).collect();
        let mut batch = self.opencode.batch(self.request(&prompts, concurrency));
        let mut ended = BTreeMap::<usize, u64>::new();
        let mut is_cancelled = false;
        if let Some((kind, time)) = interference {
            let reading = async {
                while let Some(event) = batch.next_event().await {
                    count(&event, &mut ended);
                }
            };
            if self.world.within(time, reading).await.is_none() {
                if kind == Interference::Drop {
                    drop(batch);
                    return self.ledger.count("batch: dropped");
                }
                is_cancelled = true;
                batch.cancel();
            }
        }
        // Every job may run three times, and every server may have to be waited for.
        let limit = (OVERALL * 4) * u32::try_from(jobs).expect("a few") + self.world.jumped();
        let reading = async {
            while let Some(event) = batch.next_event().await {
                count(&event, &mut ended);
            }
            batch.outcome().await
        };
        let report = self.world.within(limit, reading).await;
        let report = report.expect("the batch ends").expect("a batch without a results file");
        assert_eq!(ended, (0..prompts.len()).map(|no| (no, 1)).collect(), "each job ends once");
        assert_eq!(report.jobs.len(), prompts.len());
        for (job, prompt) in report.jobs.iter().zip(&prompts) {
            self.check(job, prompt, is_cancelled);
        }
        assert!(report.leftovers.is_empty(), "{:?}", report.leftovers);
    }

    fn has_long_pauses(&self) -> bool {
        let activity = self.world.activity();
        activity.retries > 0 || activity.broken_attempts > 0
    }

    fn request(&self, prompts: &[String], concurrency: u64) -> BatchRequest {
        let concurrency = usize::try_from(concurrency).expect("a few");
        // Servers of a batch use one port, so there is one at a time.
        let settings = BatchSettings::default()
            .with_concurrency(NonZeroUsize::new(concurrency).expect("some"))
            .with_servers_max(NonZeroUsize::MIN);
        let limit = Deadlines::default().with_overall(OVERALL);
        let jobs = prompts.iter().map(|prompt| Job::new(&**prompt).with_deadlines(limit));
        let request = BatchRequest::new(jobs).with_settings(settings);
        if self.ports.is_empty() {
            let serve = ServeRequest::new().with_port(self.own_port);
            return request.with_directory(&self.directory).with_serve(serve);
        }
        let server = |port: &u16| GivenServer::new(format!("http://127.0.0.1:{port}"));
        request.with_servers(self.ports.iter().map(server))
    }

    /// Compares the report of a job with the records of the servers.
    fn check(&self, job: &JobReport, prompt: &str, is_cancelled: bool) {
        let end = &*job.record.end;
        self.ledger.count(format!("batch: {end}"));
        self.world.note(format_args!("{prompt} ends: {end}"));
        let ports: Vec<u16> =
            if self.ports.is_empty() { vec![self.own_port] } else { self.ports.clone() };
        let mut posted = Vec::new();
        // A server that was lost has a successor at the same port.
        for model in ports.into_iter().flat_map(|port| self.world.servers_at(port)) {
            for (message, truth) in model.prompts() {
                if truth.text == prompt {
                    posted.push((model.clone(), message, truth));
                }
            }
        }
        assert!(posted.len() <= 1, "{prompt} was accepted {} times", posted.len());
        let is_calm = self.weather == Weather::CALM;
        match end {
            "completed" => {
                let (model, message, truth) =
                    posted.first().expect("a completed job has a posted prompt");
                assert_eq!(truth.end, PromptEnd::Completed, "{prompt}");
                assert_eq!(job.text(), model.answer(message).text, "{prompt}");
                let cost = format!("{:.0}", job.outcome().expect("its turn").cost() * 1e6);
                assert_eq!(cost, model.answer(message).cost.to_string(), "{prompt}");
            }
            "agent_error" => assert_eq!(posted[0].2.end, PromptEnd::Failed, "{prompt}"),
            "rejected" => assert_eq!(posted[0].2.end, PromptEnd::Rejected, "{prompt}"),
            "aborted" | "cancelled" => assert!(is_cancelled, "{prompt}: {end} without a cancel"),
            // The provider asked for a longer pause than the job had time.
            "timed_out" | "retry_too_late" if self.has_long_pauses() => {}
            _ => assert!(!is_calm, "{prompt}: {end} in calm weather"),
        }
    }
}

fn count(event: &BatchEvent, ended: &mut BTreeMap<usize, u64>) {
    if let BatchEvent::JobEnded(report) = event {
        *ended.entry(report.no.0).or_default() += 1;
    }
}
