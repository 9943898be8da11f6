//! Groups of jobs that can share a server.

use std::collections::BTreeMap;
use std::path::PathBuf;

use opencode_config::{RunConfig, RunFlags};
use opencode_proto::{Fingerprint, GroupNo};

use super::job::Job;
use crate::server::ServeRequest;

/// Configurations of the servers of a batch.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// Groups by the fingerprint of their configuration. Equal fingerprints are compared.
    by_fingerprint: BTreeMap<String, Vec<GroupNo>>,
    /// Comparisons of two configurations so far.
    #[cfg(test)]
    comparisons: usize,
}

/// Jobs that can share a server.
#[derive(Debug)]
struct Group {
    /// Settings that the server takes at the start.
    config: RunConfig,
    place: GroupPlace,
}

/// Directory in which the server of a group starts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum GroupPlace {
    /// The directory that all jobs of the group work in.
    Directory(Option<PathBuf>),
    /// No project: an error in the project of one job must not prevent the start.
    Nowhere,
}

impl Groups {
    /// Adds a job, and returns the group of the job.
    pub(super) fn add(&mut self, job: &Job) -> GroupNo {
        let config = server_config(job);
        let directory = GroupPlace::Directory(job.directory.clone());
        let fingerprint = Fingerprint::new().with_server_config(&config).finish();
        let candidates = self.by_fingerprint.entry(fingerprint).or_default();
        for no in &*candidates {
            #[cfg(test)]
            {
                self.comparisons += 1;
            }
            let group = &mut self.groups[no.0];
            if group.config == config {
                if group.place != directory {
                    group.place = GroupPlace::Nowhere;
                }
                return *no;
            }
        }
        let no = GroupNo(self.groups.len());
        candidates.push(no);
        self.groups.push(Group { config, place: directory });
        no
    }

    /// Returns the request of a group's server.
    pub(super) fn serve_request(&self, no: GroupNo, base: &ServeRequest) -> ServeRequest {
        let group = &self.groups[no.0];
        let mut request = base.clone().with_config(group.config.clone());
        let (flags, default) = (group.config.flags(), RunFlags::default());
        if flags.log_level() != default.log_level() {
            request.flags = request.flags.with_log_level(flags.log_level());
        }
        if flags.logs() != default.logs() {
            request.flags = request.flags.with_logs(flags.logs());
        }
        if flags.plugins() != default.plugins() {
            request.flags = request.flags.with_plugins(flags.plugins());
        }
        match &group.place {
            GroupPlace::Directory(directory) => request.directory.clone_from(directory),
            GroupPlace::Nowhere => request.place = crate::server::WorkingDirectory::Nowhere,
        }
        request
    }
}

/// Returns the part of a job's configuration that goes to the server and not with the prompt.
fn server_config(job: &Job) -> RunConfig {
    let flags = server_flags(job.config.flags());
    let config = job.config.clone().without_prompt_settings().with_flags(flags);
    match &job.policy {
        Some(policy) => policy.server_config(config),
        None => config,
    }
}

/// Returns the flags that jobs have to share for a server.
fn server_flags(flags: &RunFlags) -> RunFlags {
    RunFlags::new()
        .with_log_level(flags.log_level())
        .with_logs(flags.logs())
        .with_plugins(flags.plugins())
}

#[cfg(test)]
mod tests {
    use opencode_config::{LogLevel, Permissions, Plugins};

    use super::*;
    use crate::policy::Policy;
    use crate::server::WorkingDirectory;

    #[test]
    fn jobs_share_a_group_when_their_servers_are_alike() {
        let mut groups = Groups::default();
        let config = || RunConfig::new().with_permission(Permissions::new().deny("bash"));
        let flags = |flags: RunFlags| RunConfig::new().with_flags(flags);
        let pure = RunFlags::new().with_plugins(Plugins::BuiltIn);
        let jobs = [
            (Job::new("A"), 0),
            (Job::new("B").with_config(config()), 1),
            (Job::new("C").with_config(config()).with_agent("plan"), 1),
            (Job::new("D").with_config(RunConfig::new().with_agent("plan")), 0),
            (Job::new("E").with_policy(Policy::new().allow("read")), 2),
            (Job::new("F").with_config(flags(pure.clone())), 3),
            (Job::new("G").with_config(flags(pure.with_title("t"))), 3),
            (Job::new("H").with_config(flags(RunFlags::new().with_title("t"))), 0),
            (Job::new("I").with_config(RunConfig::new().with_env("A", "b")), 4),
        ];
        for (job, group) in jobs {
            assert_eq!(groups.add(&job), GroupNo(group), "{job:?}");
        }
    }

    #[test]
    fn the_comparisons_do_not_grow_with_the_number_of_groups() {
        let mut groups = Groups::default();
        let job = |no: usize| {
            Job::new("A").with_config(RunConfig::new().with_env("NO", (no % 500).to_string()))
        };
        for no in 0..1_000 {
            assert_eq!(groups.add(&job(no)), GroupNo(no % 500));
        }
        assert_eq!(groups.comparisons, 500, "one for each job whose group exists");
    }

    #[test]
    fn jobs_of_different_directories_start_their_server_in_none() {
        let mut groups = Groups::default();
        let base = ServeRequest::new().with_directory("/elsewhere");
        let one = groups.add(&Job::new("A").with_directory("/one"));
        let request = groups.serve_request(one, &base);
        assert_eq!(request.directory.as_deref(), Some("/one".as_ref()));
        assert_eq!(request.place, WorkingDirectory::Directory);
        groups.add(&Job::new("A").with_directory("/two"));
        assert_eq!(groups.serve_request(one, &base).place, WorkingDirectory::Nowhere);
    }

    #[test]
    fn flags_of_the_jobs_come_before_those_of_the_servers() {
        let mut groups = Groups::default();
        let base = || {
            let flags = ServeRequest::default().flags.with_log_level(LogLevel::Warn);
            ServeRequest::new().with_flags(flags)
        };
        let plain = groups.add(&Job::new("A"));
        let flags = RunFlags::new().with_plugins(Plugins::BuiltIn).with_log_level(LogLevel::Debug);
        let pure = groups.add(&Job::new("A").with_config(RunConfig::new().with_flags(flags)));
        assert_eq!(groups.serve_request(plain, &base()).flags, base().flags);
        let request = groups.serve_request(pure, &base());
        assert_eq!(request.flags.log_level(), Some(LogLevel::Debug));
        assert_eq!(request.flags.plugins(), Plugins::BuiltIn);
        assert_eq!(request.flags.logs(), base().flags.logs());
    }
}
