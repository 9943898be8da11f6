use std::time::Duration;

use opencode_proto::{RawJson, ResumeStatus, SessionId, Spend, Version};
use serde::{Deserialize, Serialize};

/// Result of a job without nested types: one line of JSON in the results file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobRecord {
    /// Id of the job.
    pub job: String,
    /// Fingerprint of the work, by which a batch that resumes recognises the job:
    /// [`Job::with_key`](super::Job::with_key) names the parts.
    pub fingerprint: String,
    /// Meaning of the end for a batch that resumes.
    pub status: ResumeStatus,
    /// Kind of the end: `completed`, or the kind of the failure in snake case.
    pub end: String,
    /// Message of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Text of the answer, complete or not.
    #[serde(default)]
    pub text: String,
    /// Answer of the schema, as the model wrote the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<RawJson>,
    /// Version of OpenCode in the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// Session of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// Sessions that work on after the end of the job: see
    /// [`BackgroundWork::Leave`](crate::turn::BackgroundWork::Leave).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub still_running: Vec<SessionId>,
    /// Number of attempts.
    pub attempts: u32,
    /// Calls of a model in the last attempt.
    pub steps: usize,
    /// Tool calls in the last attempt.
    pub tools: usize,
    /// Spend of all attempts, subagents included, and of work that went on after the end.
    pub spend: Spend,
    /// Duration of the last attempt, in milliseconds.
    pub elapsed_ms: u64,
}

impl JobRecord {
    /// Creates the record of a job that has not begun.
    pub(super) fn new(job: String, fingerprint: String) -> Self {
        Self {
            job,
            fingerprint,
            status: ResumeStatus::NotBegun,
            end: String::new(),
            error: None,
            text: String::new(),
            structured: None,
            version: None,
            session: None,
            still_running: Vec::new(),
            attempts: 0,
            steps: 0,
            tools: 0,
            spend: Spend::default(),
            elapsed_ms: 0,
        }
    }

    /// Takes the end of work that the job had left, and the spend since the end of the job.
    pub(super) fn settle(&mut self, spend: Spend, still_running: Vec<SessionId>) {
        self.spend += spend;
        self.still_running = still_running;
    }

    /// Returns whether the answer is complete.
    pub fn is_completed(&self) -> bool {
        self.status == ResumeStatus::Completed
    }

    /// Returns the duration of the last attempt.
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms)
    }
}
