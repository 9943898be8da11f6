use std::borrow::Cow;

use opencode_proto::{Answer, RunOutcome, Version};
use serde::{Serialize, Serializer};

use crate::process::warning::Warning;

/// Report of a run: the outcome, and facts about the process or the server.
///
/// `Serialize` writes the fields of the outcome, and `{command, version, warnings, attempts}` beside them.
///
/// ```no_run
/// # async fn example(opencode: opencode_tokio::OpenCode) -> Result<(), opencode_tokio::RunError> {
/// let report = opencode.run("Which licence does this project have?").await?;
/// println!("{} ({})", report.text(), report.answer().tokens());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct RunReport {
    /// End of the run, and everything gathered until then.
    #[serde(flatten)]
    pub outcome: RunOutcome,
    /// Command of the process in the form of a shell, without the prompt and without secrets. Over
    /// a server: the command that started the server, or that would run the same there.
    pub command: String,
    /// Version of OpenCode. `None` for a build without a number, and for a run that ended before the
    /// version was known.
    pub version: Option<Version>,
    /// Problems that did not stop the run.
    #[serde(serialize_with = "warnings_as_text")]
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

    /// Adds warnings, except for those that are known.
    pub(super) fn add_warnings(&mut self, warnings: Vec<Warning>) {
        for warning in warnings {
            let text = warning.to_string();
            if self.warnings.iter().all(|known| known.to_string() != text) {
                self.warnings.push(warning);
            }
        }
    }

    /// Returns the text of the answer: see [`Answer::text`].
    pub fn text(&self) -> Cow<'_, str> {
        self.outcome.answer.text()
    }
}

fn warnings_as_text<S: Serializer>(warnings: &[Warning], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(warnings.iter().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    use opencode_proto::{Exit, RunAction, RunSettings};

    use super::*;

    #[test]
    fn a_report_serializes_with_the_fields_of_its_outcome() {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let now = std::time::Instant::now();
        let mut run = opencode_proto::Run::new(RunSettings::new(), now);
        run.cancel(now);
        run.handle_exit(Some(Exit::Signal(15)), now);
        run.handle_stdout_end(now);
        run.handle_stderr_end(now);
        let outcome = loop {
            if let RunAction::Finished(outcome) = run.poll_action() {
                break *outcome;
            }
        };
        let report = RunReport {
            outcome,
            command: "opencode run".to_owned(),
            version: Some(Version::new(1, 18, 33)),
            warnings: Vec::new(),
            attempts: 1,
        };
        let json = serde_json::to_string(&report).unwrap();
        let end = r#"{"end":{"type":"cancelled","message":"cancelled"},"answer":{"#;
        assert!(json.starts_with(end), "{json}");
        let rest = concat!(
            r#""elapsed_ms":0,"command":"opencode run","version":"1.18.33","warnings":[],"#,
            r#""attempts":1}"#
        );
        assert!(json.ends_with(rest), "{json}");
    }
}
