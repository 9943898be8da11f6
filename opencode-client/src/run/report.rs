use std::borrow::Cow;

use opencode_proto::{Answer, RunOutcome};

use crate::process::warning::Warning;

/// Report of a run: the outcome, and facts about the process or the server.
///
/// ```no_run
/// # async fn example(opencode: opencode_tokio::OpenCode) -> Result<(), opencode_tokio::RunError> {
/// let report = opencode.run("Which licence does this project have?").await?;
/// println!("{} ({})", report.text(), report.answer().tokens());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct RunReport {
    /// End of the run, and everything gathered until then.
    pub outcome: RunOutcome,
    /// Command of the process in the form of a shell, without the prompt and without secrets. Over
    /// a server: the command that started the server, or that would run the same there.
    pub command: String,
    /// Problems that did not stop the run.
    pub warnings: Vec<Warning>,
    /// Number of processes that were started: more than one only after
    /// [`RunEnd::StartupDatabase`](opencode_proto::RunEnd::StartupDatabase), and none for a run
    /// that was cancelled before.
    ///
    /// Over a server of the run's own, 1, or the number of failed starts when none succeeded.
    pub attempts: u32,
}

impl RunReport {
    /// Returns the answer of the run.
    pub fn answer(&self) -> &Answer {
        &self.outcome.answer
    }

    /// Returns the text of the answer: see [`Answer::text`].
    pub fn text(&self) -> Cow<'_, str> {
        self.outcome.answer.text()
    }
}
