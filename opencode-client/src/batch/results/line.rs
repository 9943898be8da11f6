//! Lines of a results file.

use std::borrow::Cow;

use opencode_proto::{SessionId, Spend};
use serde::{Deserialize, Serialize};

use crate::batch::record::JobRecord;

/// A line of a results file.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ResultsLine<'a> {
    /// The prompt of a job is about to be sent.
    Started { job: String, fingerprint: String, attempt: u32, session: SessionId },
    /// The spend of an attempt of a running job so far.
    Spent { job: String, fingerprint: String, attempt: u32, spend: Spend },
    /// A job has ended.
    Ended(Cow<'a, JobRecord>),
    /// Work that went on after the end of a job is over, at this cost.
    Settled { job: String, fingerprint: String, spend: Spend, still_running: Vec<SessionId> },
}

impl<'a> ResultsLine<'a> {
    pub(super) fn ended(record: &'a JobRecord) -> Self {
        Self::Ended(Cow::Borrowed(record))
    }

    /// Returns the line as text, with the line end.
    pub(super) fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec(self).expect("strings, numbers and JSON");
        text.push(b'\n');
        text
    }
}

impl ResultsLine<'static> {
    /// Reads one line.
    ///
    /// serde buffers the fields beside a tag, and would read costs inexactly from the buffer.
    pub(super) fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum LineType {
            Started,
            Spent,
            Ended,
            Settled,
        }
        #[derive(Deserialize)]
        struct TaggedLine {
            #[serde(rename = "type")]
            line_type: LineType,
        }
        #[derive(Deserialize)]
        struct StartedLine {
            job: String,
            fingerprint: String,
            attempt: u32,
            session: SessionId,
        }
        #[derive(Deserialize)]
        struct SpentLine {
            job: String,
            fingerprint: String,
            attempt: u32,
            spend: Spend,
        }
        #[derive(Deserialize)]
        struct SettledLine {
            job: String,
            fingerprint: String,
            spend: Spend,
            still_running: Vec<SessionId>,
        }
        match serde_json::from_slice::<TaggedLine>(text)?.line_type {
            LineType::Ended => Ok(Self::Ended(Cow::Owned(serde_json::from_slice(text)?))),
            LineType::Settled => {
                let SettledLine { job, fingerprint, spend, still_running } =
                    serde_json::from_slice(text)?;
                Ok(Self::Settled { job, fingerprint, spend, still_running })
            }
            LineType::Spent => {
                let SpentLine { job, fingerprint, attempt, spend } = serde_json::from_slice(text)?;
                Ok(Self::Spent { job, fingerprint, attempt, spend })
            }
            LineType::Started => {
                let StartedLine { job, fingerprint, attempt, session } =
                    serde_json::from_slice(text)?;
                Ok(Self::Started { job, fingerprint, attempt, session })
            }
        }
    }
}
