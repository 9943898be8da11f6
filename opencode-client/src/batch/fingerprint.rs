//! Fingerprints of jobs, with the files that they attach.

use std::fs;
use std::path::Path;

use opencode_proto::{Fingerprint, PromptPart};

use super::job::Job;

/// Returns the fingerprint of a job. Blocks: attached files are read where this machine has them.
pub(super) fn of_job(job: &Job) -> String {
    if let Some(key) = &job.key {
        return Fingerprint::of_key(key);
    }
    let directory = job.directory.as_deref().unwrap_or_else(|| Path::new(""));
    let mut all = Fingerprint::new()
        .with_prompt(&job.prompt)
        .with("directory", directory.as_os_str().as_encoded_bytes())
        .with_config(&job.config);
    if let Some(policy) = &job.policy {
        all = all.with_policy(policy.settings());
    }
    if let Some(Ok(schema)) = job.answer.as_ref().map(|answer| answer.schema()) {
        all = all.with("answer", schema.as_str());
    }
    let attached = job.prompt.parts().iter().filter_map(|part| {
        if let PromptPart::File(file) = part { file.server_path() } else { None }
    });
    let flags = job.config.flags().files().iter().map(|path| &**path);
    flags
        .chain(attached)
        .fold(all, |all, path| all.with_some("content", fs::read(directory.join(path)).ok()))
        .finish()
}

#[cfg(test)]
mod tests {
    use opencode_config::{ModelRef, RunConfig, RunFlags};
    use opencode_proto::{Prompt, PromptFile, RawJson};
    use serde::Deserialize;
    use tempfile::TempDir;

    use super::*;
    use crate::policy::Policy;
    use crate::session::structured::AnswerSchema;

    #[derive(Deserialize)]
    struct Stars {
        #[expect(dead_code, reason = "the type of an answer")]
        stars: u32,
    }

    fn schema(text: &str) -> AnswerSchema {
        AnswerSchema::of::<Stars>(RawJson::parse(text.to_owned()).expect("a schema"))
    }

    #[test]
    fn every_part_of_a_job_that_makes_another_answer_counts() {
        let job = || Job::new("Rate it.");
        let stars = r#"{"type":"object","properties":{"stars":{"type":"integer"}}}"#;
        let marks = r#"{"type":"object","properties":{"marks":{"type":"integer"}}}"#;
        let model = || "anthropic/claude".parse::<ModelRef>().expect("a model");
        let jobs = [
            job(),
            Job::new("Rate it!"),
            Job::new(Prompt::from("Rate it.").with_system("Be kind.")),
            job().with_agent("plan"),
            job().with_answer(schema(stars)),
            job().with_answer(schema(marks)),
            job().with_config(RunConfig::new().with_agent("plan")),
            job().with_config(RunConfig::new().with_env("NAME", "value")),
            job().with_directory("/src"),
            job().with_key("a"),
            job().with_key("b"),
            job().with_model(model()),
            job().with_policy(Policy::new()),
            job().with_policy(Policy::new().allow("read")),
        ];
        let mut all: Vec<_> = jobs.iter().map(of_job).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), jobs.len());
    }

    #[test]
    fn names_limits_and_handlers_of_a_job_do_not_count() {
        let job = Job::new("Rate it.");
        let same = job
            .clone()
            .with_id("x")
            .with_title("y")
            .with_retry(opencode_proto::JobRetry::NONE)
            .with_deadlines(opencode_proto::Deadlines::NONE)
            .on_permission(|_| async { opencode_proto::PermissionReply::Once });
        assert_eq!(of_job(&job), of_job(&same));
        let keyed = same.with_key("k");
        assert_eq!(of_job(&keyed), of_job(&Job::new("Anything.").with_key("k")));
    }

    #[test]
    fn the_contents_of_attached_files_count() {
        let directory = TempDir::new().expect("a directory");
        let path = directory.path().join("a.txt");
        let by_flag = Job::new("Read.")
            .with_directory(directory.path())
            .with_config(RunConfig::new().with_flags(RunFlags::new().with_file("a.txt")));
        let in_prompt = Job::new(Prompt::from("Read.").with_part(PromptFile::path(&path)));
        for job in [by_flag, in_prompt] {
            let missing = of_job(&job);
            fs::write(&path, "one").expect("a file");
            let one = of_job(&job);
            fs::write(&path, "two").expect("a file");
            let two = of_job(&job);
            fs::write(&path, "one").expect("a file");
            assert_eq!(of_job(&job), one);
            assert!(missing != one && one != two && missing != two);
            fs::remove_file(&path).expect("a file");
        }
    }
}
