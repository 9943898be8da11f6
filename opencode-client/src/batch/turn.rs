//! The turn of a job: checks before anything starts, and the requests to the server.

use opencode_config::{Approval, Resume, RunConfig, Sharing};
use opencode_proto::{
    BackgroundWork, CommandRequest, LeftAsks, MessageId, PermissionKind, PermissionReply, Prompt,
    PromptFile, PromptPart, ServedFile, TurnPost,
};

use super::job::Job;
use super::job_error::JobError;
use super::request::BatchServers;
use crate::server::request::{extra_flag, fixed_at_start, needs_its_own};
use crate::session::CreateSession;
use crate::session::structured::{StructuredError, is_suitable};
use crate::session::turn::handler::AskHandlers;
use crate::session::turn::{FollowRequest, TurnRequest};

/// Checks everything about a job that is known before a server starts.
pub(super) fn check(job: &Job, servers: &BatchServers) -> Result<(), JobError> {
    let flags = job.config.flags();
    RunConfig::new().with_flags(flags.clone()).check()?;
    if let Some(flag) = refused_flag(job) {
        return Err(JobError::Flag { flag });
    }
    if let Some((setting, other)) = conflict(job) {
        return Err(JobError::Conflict { setting, other });
    }
    let is_answerable = flags.command().is_none() && is_suitable(&job.prompt);
    if job.answer.is_some() && !is_answerable {
        return Err(StructuredError::Unsuitable.into());
    }
    match servers {
        BatchServers::Given(_) => {
            // Whether the server suits a policy is asked when the server is reached.
            if let Some(setting) = needs_its_own(&job.config).or_else(|| fixed_at_start(flags)) {
                return Err(JobError::Setting { setting });
            }
        }
        BatchServers::Started(_) => job.config.check_for_serve()?,
    }
    Ok(())
}

/// Returns the first setting that another setting would leave without effect, and the other
/// setting.
fn conflict(job: &Job) -> Option<(&'static str, &'static str)> {
    let is_auto = job.config.flags().approval() == Approval::Auto;
    let has_handler = job.handlers.has_permission_handler();
    let conflicts = [
        (job.config.permission().is_some(), "permissions in the configuration"),
        (has_handler, "a permission handler"),
        (is_auto, "`--auto`"),
        (!job.prompt.tools().is_empty(), "tool switches of the prompt"),
    ];
    match &job.policy {
        Some(_) => {
            let (_, setting) = conflicts.into_iter().find(|(is_set, _)| *is_set)?;
            Some((setting, "a policy"))
        }
        None => (is_auto && has_handler).then_some(("`--auto`", "a permission handler")),
    }
}

/// Returns the first flag that a job cannot honour.
fn refused_flag(job: &Job) -> Option<String> {
    let flags = job.config.flags();
    let refused = [
        ("--attach", flags.attach().is_some()),
        ("--session", flags.resume().and_then(Resume::session_id).is_some()),
        ("--continue", flags.resume().is_some()),
        ("--share", flags.sharing() == Sharing::Share),
        ("--command", flags.command().is_some() && arguments(&job.prompt).is_none()),
    ];
    let refused = refused.into_iter().find(|(_, is_set)| *is_set);
    refused.map(|(flag, _)| flag.to_owned()).or_else(|| extra_flag(&job.config))
}

/// Returns the prompt as arguments of a command; `None` for a prompt with anything that a command
/// has no place for.
fn arguments(prompt: &Prompt) -> Option<&str> {
    let text = match prompt.parts() {
        [] => "",
        [PromptPart::Text(text)] => text,
        _ => return None,
    };
    let mut plain = Prompt::new();
    plain = prompt.parts().iter().cloned().fold(plain, Prompt::with_part);
    plain = prompt.agent().into_iter().fold(plain, Prompt::with_agent);
    plain = prompt.model().cloned().into_iter().fold(plain, Prompt::with_model);
    plain = prompt.variant().into_iter().fold(plain, Prompt::with_variant);
    (plain == *prompt).then_some(text)
}

/// Returns the session of a job. Each attempt has a new session.
pub(super) fn session(job: &Job, id: &str) -> CreateSession {
    let text = job
        .prompt
        .parts()
        .iter()
        .find_map(|part| if let PromptPart::Text(text) = part { Some(&**text) } else { None });
    let flags = job.config.flags();
    let title = job.title.clone().or_else(|| flags.session_title(text.unwrap_or_default()));
    CreateSession::new().with_title(title.unwrap_or_else(|| format!("job {id}")))
}

/// Returns the request of a job's turn. The files are those of the flags.
pub(super) fn request(job: &Job, files: &[ServedFile]) -> TurnRequest {
    let mut request = TurnRequest::new(post(job, files)).with_settings(job.settings.clone());
    request.log.clone_from(&job.log);
    request.handlers = handlers(job);
    request
}

/// Returns the request to follow work that goes on after the end of a job.
pub(super) fn left_request(job: &Job, target: Option<MessageId>) -> FollowRequest {
    let settings = job.settings.clone().with_background(BackgroundWork::AwaitSubagents);
    let request = match target {
        Some(prompt) => FollowRequest::from(prompt),
        None => FollowRequest::latest(),
    };
    let mut request = request.with_settings(settings);
    request.handlers = handlers(job);
    if job.settings.left_asks() == LeftAsks::Reject {
        request.handlers = AskHandlers::default();
    }
    if job.settings.left_asks() == LeftAsks::OtherClients {
        request = request.on_permission(|_| std::future::pending());
        request = request.on_question(|_| std::future::pending());
    }
    request
}

fn handlers(job: &Job) -> AskHandlers {
    let mut handlers = job.handlers.clone();
    if job.config.flags().approval() == Approval::Auto {
        handlers.set::<PermissionKind, _>(|_| async { PermissionReply::Once });
    }
    // The server would apply `always` to all jobs.
    handlers.remember_always();
    handlers
}

fn post(job: &Job, files: &[ServedFile]) -> TurnPost {
    let (prompt, config, flags) = (&job.prompt, &job.config, job.config.flags());
    let agent = prompt.agent().or_else(|| config.agent()).into_iter();
    let model = job.model().cloned().into_iter();
    let variant = prompt.variant().or_else(|| flags.variant()).into_iter();
    if let Some(command) = flags.command() {
        let command =
            CommandRequest::new(command).with_arguments(arguments(prompt).unwrap_or_default());
        let command = agent.fold(command, CommandRequest::with_agent);
        let command = model.fold(command, CommandRequest::with_model);
        return variant.fold(command, CommandRequest::with_variant).into();
    }
    // As in a run, files come first.
    let files = files.iter().map(PromptFile::from);
    let parts = prompt.parts().iter().cloned();
    let prompt = files.fold(prompt.clone().without_parts(), Prompt::with_part);
    let prompt = parts.fold(prompt, Prompt::with_part);
    let prompt = agent.fold(prompt, Prompt::with_agent);
    let prompt = model.fold(prompt, Prompt::with_model);
    variant.fold(prompt, Prompt::with_variant).into()
}

#[cfg(test)]
mod tests;
