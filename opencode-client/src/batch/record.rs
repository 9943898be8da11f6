use std::time::Duration;

use opencode_proto::{SessionId, Spend};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a job came to, flat, as it is written to the results: one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobRecord {
    /// What the job is called.
    pub job: String,
    /// What was to be done, as a number: a job with another prompt, directory or configuration has another.
    pub fingerprint: String,
    /// What the end means for another batch with the same job.
    pub standing: Standing,
    /// How it ended: `completed`, or the kind of failure in snake case.
    pub end: String,
    /// Why, when it did not complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The answer, as far as it came.
    #[serde(default)]
    pub text: String,
    /// The answer in the form that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// Its session, the last one if it was tried more than once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// How often it was begun.
    pub attempts: u32,
    /// How many calls of a model its last try took.
    pub steps: usize,
    /// How many calls of tools.
    pub tools: usize,
    /// What it used, subagents included, all tries together.
    pub spend: Spend,
    /// How long its last try took, in milliseconds.
    pub elapsed_ms: u64,
}

impl JobRecord {
    /// Whether its answer is complete.
    pub fn is_completed(&self) -> bool {
        self.end == "completed"
    }

    /// How long its last try took.
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms)
    }
}

/// What the end of a job means for another batch with the same job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Standing {
    /// It was broken off after its prompt was accepted, or may have been: by the end of its server or of the batch.
    Broken,
    /// The answer is complete.
    Completed,
    /// It failed by itself.
    Failed,
    /// It was not begun, or its prompt was not accepted.
    NotBegun,
}

/// A line of a results file.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Line {
    /// The prompt of a job is about to be sent.
    Started {
        job: String,
        fingerprint: String,
        attempt: u32,
        session: SessionId,
    },
    Ended(Box<JobRecord>),
}

impl Line {
    /// Reads one line.
    ///
    /// serde buffers the fields beside a tag, and would read costs inexactly from the buffer.
    pub(super) fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum LineType {
            Started,
            Ended,
        }
        #[derive(Deserialize)]
        struct Tagged {
            #[serde(rename = "type")]
            line_type: LineType,
        }
        #[derive(Deserialize)]
        struct Started {
            job: String,
            fingerprint: String,
            attempt: u32,
            session: SessionId,
        }
        match serde_json::from_slice::<Tagged>(text)?.line_type {
            LineType::Ended => Ok(Self::Ended(serde_json::from_slice(text)?)),
            LineType::Started => {
                let Started { job, fingerprint, attempt, session } = serde_json::from_slice(text)?;
                Ok(Self::Started { job, fingerprint, attempt, session })
            }
        }
    }
}
