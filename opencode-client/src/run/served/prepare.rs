//! What `opencode run` does before it sends the prompt.

use opencode_config::{Approval, Permissions, Resume, RunFlags, Sharing};
use opencode_proto::api::{
    ApiErrorKind, CreateSession, ListAgents, ListSessions, PermissionReply, Prompt, PromptFile,
};
use opencode_proto::{AgentFallback, CommandRequest, Notice, RunEnd, ServedRun, SessionId};

use crate::http::CallError;
use crate::log::describe;
use crate::run::request::RunRequest;
use crate::server::Server;
use crate::session::Session;
use crate::session::turn::TurnRequest;

use super::begin::{FileKind, Place};

/// How much of a prompt makes a title.
const TITLE_SIZE_MAX: usize = 50;

/// Finds agent and session, and puts together what is sent; or says what the run comes to.
pub(super) async fn prepare(
    server: &Server,
    request: &RunRequest,
    place: &Place,
    run: &mut ServedRun,
) -> Result<(Session, TurnRequest), RunEnd> {
    let flags = request.config.flags();
    let files = files(server, place)?;
    let agent = agent(server, request, place, run).await?;
    let session = session(server, request, place).await?;
    if flags.sharing() == Sharing::Share {
        share(&session, run).await;
    }
    let model = request.config.model().cloned();
    let mut turn = match flags.command() {
        Some(command) => {
            let command = CommandRequest::new(command).with_arguments(&*request.prompt);
            let command = agent.into_iter().fold(command, CommandRequest::with_agent);
            let command = model.into_iter().fold(command, CommandRequest::with_model);
            let variant = flags.variant().into_iter();
            TurnRequest::new(variant.fold(command, CommandRequest::with_variant))
        }
        None => {
            let prompt = files.into_iter().fold(Prompt::new(), Prompt::with_part);
            let prompt = agent.into_iter().fold(prompt, Prompt::with_agent);
            let prompt = model.into_iter().fold(prompt, Prompt::with_model);
            let prompt = flags.variant().into_iter().fold(prompt, Prompt::with_variant);
            TurnRequest::new(prompt.with_part(&*request.prompt))
        }
    };
    if flags.approval() == Approval::Auto {
        turn = turn.on_permission(|_| async { PermissionReply::Once });
    }
    Ok((session, turn))
}

fn files(server: &Server, place: &Place) -> Result<Vec<PromptFile>, RunEnd> {
    let is_here = server.process_id().is_some();
    let files = place.files.iter().map(|(given, path, kind)| {
        if is_here && *kind == FileKind::Missing {
            return Err(failed(format!("File not found: {}", given.display())));
        }
        let mime =
            if *kind == FileKind::Directory { "application/x-directory" } else { "text/plain" };
        Ok(PromptFile::path(path).with_mime(mime))
    });
    files.collect()
}

/// The agent to ask for, if that is there and can be asked.
async fn agent(
    server: &Server,
    request: &RunRequest,
    place: &Place,
    run: &mut ServedRun,
) -> Result<Option<String>, RunEnd> {
    let Some(name) = request.config.agent() else { return Ok(None) };
    let agents = server.inner.http.call(&ListAgents::new(), place.directory.as_deref()).await;
    let agents = agents.map_err(|error| call_failed(&error))?;
    let reason = match agents.iter().find(|agent| agent.name == *name) {
        None => format!("agent \"{name}\" not found"),
        Some(agent) if &*agent.mode == "subagent" => {
            format!("agent \"{name}\" is a subagent, not a primary agent")
        }
        Some(_) => return Ok(Some(name.to_owned())),
    };
    run.handle_notice(Notice::agent_replaced(reason.clone()));
    match request.settings.agent_fallback {
        AgentFallback::Accept => Ok(None),
        AgentFallback::Refuse => Err(RunEnd::AgentReplaced { reason }),
    }
}

/// The session to go on with, or a new one.
async fn session(server: &Server, request: &RunRequest, place: &Place) -> Result<Session, RunEnd> {
    let flags = request.config.flags();
    let directory = place.directory.as_deref();
    let resumed = match flags.resume() {
        None => None,
        Some(resume) => match resume.session_id() {
            Some(id) => Some(SessionId::from(id)),
            None => latest(server, directory).await?,
        },
    };
    let Some(id) = resumed else {
        let created = server.create_session_in(create(flags, &request.prompt), directory).await;
        return created.map_err(|error| call_failed(&error));
    };
    let session = server.session(id).await.map_err(|error| not_found(&error))?;
    if flags.resume().is_some_and(Resume::is_forked) {
        return session.fork(None).await.map_err(|error| call_failed(&error));
    }
    Ok(session)
}

async fn latest(server: &Server, directory: Option<&str>) -> Result<Option<SessionId>, RunEnd> {
    let sessions = server.inner.http.call(&ListSessions::new(), directory).await;
    let sessions = sessions.map_err(|error| call_failed(&error))?;
    Ok(sessions.into_iter().find(|session| session.parent.is_none()).map(|session| session.id))
}

/// A session as `opencode run` makes it: nobody is there to answer questions, or to leave a plan.
fn create(flags: &RunFlags, prompt: &str) -> CreateSession {
    let permission = ["question", "plan_enter", "plan_exit"]
        .into_iter()
        .fold(Permissions::new(), Permissions::deny);
    let create = CreateSession::new().with_permission(permission);
    let Some(title) = flags.title() else { return create };
    if !title.is_empty() {
        return create.with_title(title);
    }
    match prompt.char_indices().nth(TITLE_SIZE_MAX) {
        Some((end, _)) => create.with_title(format!("{}...", &prompt[..end])),
        None => create.with_title(prompt),
    }
}

async fn share(session: &Session, run: &mut ServedRun) {
    match session.share().await {
        Ok(info) => {
            if let Some(url) = info.share_url {
                run.handle_notice(Notice::shared(url));
            }
        }
        // As in OpenCode, that is no reason to stop.
        Err(error) => tracing::debug!(%error, "the session is not shared"),
    }
}

fn not_found(error: &CallError) -> RunEnd {
    let kind = error.api().map(|error| &error.kind);
    match kind {
        Some(ApiErrorKind::NotFound { .. }) => failed("Session not found".to_owned()),
        Some(_) | None => call_failed(error),
    }
}

/// What the server refused did not get as far as the model; one that does not answer is lost.
fn call_failed(error: &CallError) -> RunEnd {
    let message = describe(error);
    match error.api() {
        Some(_) => failed(message),
        None => RunEnd::ServerLost { reason: message },
    }
}

fn failed(message: String) -> RunEnd {
    RunEnd::StartupError { message }
}
