//! Which jobs can share a server.

use std::path::PathBuf;

use opencode_config::RunConfig;
use opencode_proto::GroupNo;

use super::job::Job;
use super::job_error::JobError;
use super::request::BatchServers;
use crate::server::request::needs_its_own;

/// What the servers of a batch are started with.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Group>);

/// Jobs that one server can have.
#[derive(Debug)]
pub(super) struct Group {
    /// Everything of their configuration that a server has once for all.
    pub(super) config: RunConfig,
    pub(super) place: Place,
}

/// Where the server of a group is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the directory that all its jobs work in.
    Directory(Option<PathBuf>),
    /// In none of theirs: what is wrong with the project of one must not keep the server from starting.
    Nowhere,
}

impl Groups {
    /// Puts a job where it belongs.
    pub(super) fn add(&mut self, job: &Job) -> GroupNo {
        let config = server_config(job);
        let directory = &job.directory;
        if let Some(no) = self.0.iter().position(|group| group.config == config) {
            let place = &mut self.0[no].place;
            if *place != Place::Directory(directory.clone()) {
                *place = Place::Nowhere;
            }
            return GroupNo(no);
        }
        self.0.push(Group { config, place: Place::Directory(directory.clone()) });
        GroupNo(self.0.len() - 1)
    }

    pub(super) fn group(&self, no: GroupNo) -> &Group {
        &self.0[no.0]
    }
}

/// Checks what can be checked before a job begins.
pub(super) fn check(job: &Job, servers: &BatchServers) -> Result<(), JobError> {
    match servers {
        BatchServers::Given(_) => {
            // Whether the server suits a policy is asked when it is there.
            if let Some(setting) = needs_its_own(&job.config) {
                return Err(JobError::Setting { setting });
            }
        }
        BatchServers::Started(_) => job.config.check_for_serve()?,
    }
    Ok(())
}

/// What of a job's configuration goes to the server, and not with the prompt.
fn server_config(job: &Job) -> RunConfig {
    let config = job.config.clone().without_prompt_settings();
    match &job.policy {
        Some(policy) => policy.server_config(config),
        None => config,
    }
}
