//! Session that a process is to continue.
//!
//! `opencode run --session` in another directory than that of the session has the model answer,
//! which is paid, and prints nothing (1.18.33). `--continue` takes the newest session of the whole
//! project, which may be of another directory. So the session is looked up first, by `opencode
//! export` or `opencode session list`. Without an agent or model of the request, the session keeps
//! its own: OpenCode would go on with the default agent, and with the model of the agent.

use std::sync::Arc;

use opencode_config::{Invocation, ModelRef, Resume, RunFlags};
use opencode_proto::{Notice, RequestedDirectory, RunEnd};
use serde::Deserialize;

use crate::process::host::Host;
use crate::process::launch::{LaunchPlan, Prepared};
use crate::process::version::{self, Printed};
use crate::run::end;
use crate::run::error::RunError;
use crate::run::request::RunRequest;
use crate::runtime::blocking::unblock_bound;

/// Maximum size of the printed text that is read, in bytes. An export begins with the session.
const PRINTED_SIZE_MAX: usize = 1 << 20;

/// A session as OpenCode prints it.
#[derive(Deserialize)]
struct PrintedSession {
    id: String,
    directory: String,
    agent: Option<String>,
    model: Option<PrintedModel>,
}

/// The model of the last prompt.
#[derive(Clone, Deserialize)]
struct PrintedModel {
    id: String,
    #[serde(rename = "providerID")]
    provider: String,
    variant: Option<String>,
}

impl PrintedModel {
    fn model(&self) -> Option<ModelRef> {
        ModelRef::new(format!("{}/{}", self.provider, self.id)).ok()
    }

    fn variant(&self) -> Option<&str> {
        self.variant.as_deref().filter(|variant| *variant != "default")
    }
}

/// Checks that the session of the request belongs to the directory, and names the session where the
/// request asks for the newest one. Returns the request to go on with.
///
/// Where the session cannot be found out, the request stays as it is.
///
/// # Cancel safety
///
/// Dropping the future ends the process.
pub(super) async fn check(
    host: &Arc<Host>,
    request: Arc<RunRequest>,
) -> Result<Arc<RunRequest>, RunError> {
    let flags = request.config.flags();
    let Some(resume) = flags.resume().cloned().filter(|_| flags.attach().is_none()) else {
        return Ok(request);
    };
    request.config.check_resume()?;
    // Simulated processes have no program to ask.
    if host.runtime.process_control().is_some() {
        return Ok(request);
    }
    let request = match resume.session_id() {
        Some(_) => request,
        None => {
            let list = ["session", "list", "--format", "json"].map(str::to_owned).to_vec();
            let (printed, requested) = print(host, &request, list).await?;
            match printed.as_ref().and_then(listed) {
                Some(sessions) => Arc::new(newest(&request, &resume, &requested, &sessions)),
                None => return Ok(request),
            }
        }
    };
    let resumed = request.config.flags().resume();
    let Some(id) = resumed.and_then(Resume::session_id).map(str::to_owned) else {
        return Ok(request);
    };
    let (printed, requested) = print(host, &request, vec!["export".to_owned(), id]).await?;
    match printed.as_ref().and_then(exported) {
        Some(session) => {
            belongs(host, &request, &requested, &session)?;
            Ok(with_settings(&request, &session))
        }
        None => Ok(request),
    }
}

/// Returns what a command of OpenCode prints, where the command can be run, and the directory of
/// the run.
async fn print(
    host: &Arc<Host>,
    request: &Arc<RunRequest>,
    args: Vec<String>,
) -> Result<(Option<Printed>, RequestedDirectory), RunError> {
    let (prepared, requested) = {
        let (host, request) = (Arc::clone(host), Arc::clone(request));
        unblock_bound(&host.runtime.clone(), move || prepare(&host, &request, args)).await?
    };
    match version::print(host, prepared, PRINTED_SIZE_MAX).await {
        Ok(printed) => Ok((Some(printed), requested)),
        Err(error) => {
            tracing::debug!(%error, "session to continue was not found out");
            Ok((None, requested))
        }
    }
}

/// Returns the request with agent and model of the session, where the request has none, and with
/// notices where the request has others. A command has its own.
fn with_settings(request: &RunRequest, session: &PrintedSession) -> Arc<RunRequest> {
    let mut request = request.clone();
    let model = session.model.as_ref().and_then(PrintedModel::model);
    let changes = [
        ("model", model.as_ref().map(ToString::to_string), own(request.config.model())),
        ("agent", session.agent.clone(), own(request.config.agent())),
    ];
    for (setting, from, to) in changes {
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            request.notices.push(Notice::setting_changed(setting, from, to));
        }
    }
    let flags = request.config.flags();
    if flags.command().is_some() {
        return Arc::new(request);
    }
    let mut config = request.config.clone();
    if let (None, Some(model)) = (config.model(), model) {
        let variant = session.model.as_ref().and_then(PrintedModel::variant);
        let variant = variant.filter(|_| flags.variant().is_none()).into_iter();
        let flags = variant.fold(flags.clone(), RunFlags::with_variant);
        config = config.with_flags(flags).with_model(model);
    }
    if let (None, Some(agent)) = (config.agent(), &session.agent) {
        config = config.with_agent(agent);
    }
    request.config = config;
    Arc::new(request)
}

fn own(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// Prepares the command that prints the session. Blocks.
fn prepare(
    host: &Arc<Host>,
    request: &RunRequest,
    args: Vec<String>,
) -> Result<(Prepared, RequestedDirectory), RunError> {
    let launch = LaunchPlan::explore(host, None, &request.config, request.directory.as_deref())?;
    let LaunchPlan { program, directory, marker, plan, .. } = launch;
    let invocation = Invocation::subcommand(program, args, directory.path, &plan)?;
    let prepared = Prepared::make(host, invocation, marker, plan, None)?;
    Ok((prepared, directory.requested))
}

/// Returns the session of an export, whose messages may be cut off.
fn exported(printed: &Printed) -> Option<PrintedSession> {
    let (_, info) = printed.text.split_once("\"info\":")?;
    serde_json::Deserializer::from_str(info).into_iter().next()?.ok()
}

fn listed(printed: &Printed) -> Option<Vec<PrintedSession>> {
    let text = printed.text.trim();
    if text.is_empty() && printed.status.success() {
        return Some(Vec::new());
    }
    serde_json::from_str(text).ok()
}

fn belongs(
    host: &Host,
    request: &RunRequest,
    requested: &RequestedDirectory,
    session: &PrintedSession,
) -> Result<(), RunError> {
    requested.check_session(&session.id, &session.directory).map_err(|error| {
        let mut report = end::not_started(&request.settings, host.runtime.now());
        report.outcome.end = RunEnd::Directory(error);
        RunError::Ended(Box::new(report))
    })
}

/// Returns the request with the newest session of the directory; without a session to continue
/// where there is none.
fn newest(
    request: &RunRequest,
    resume: &Resume,
    requested: &RequestedDirectory,
    sessions: &[PrintedSession],
) -> RunRequest {
    let mut request = request.clone();
    let flags = request.config.flags().clone();
    let newest = sessions.iter().find(|session| requested.is_named(&session.directory));
    let flags = match newest.map(|session| Resume::session(&*session.id)) {
        Some(named) if resume.is_forked() => flags.with_resume(named.forked()),
        Some(named) => flags.with_resume(named),
        None => flags.without_resume(),
    };
    request.config = request.config.with_flags(flags);
    request
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use opencode_config::RunConfig;

    use super::*;

    fn printed(text: &str) -> Printed {
        let status = ExitStatus::from_raw(0);
        Printed { command: "opencode".to_owned(), text: text.to_owned(), status }
    }

    fn printed_session() -> PrintedSession {
        let (id, directory) = ("ses_1".to_owned(), "/a".to_owned());
        PrintedSession { id, directory, agent: None, model: None }
    }

    #[test]
    fn an_export_that_is_cut_off_has_the_session() {
        let text = r#"{ "info": { "id": "ses_1", "directory": "/a", "x": {} }, "messages": [ {"#;
        let session = exported(&printed(text)).expect("a session");
        assert_eq!((&*session.id, &*session.directory), ("ses_1", "/a"));
        let request = |config: RunConfig| RunRequest::new("Go.").with_config(config);
        let plan = || PrintedSession { agent: Some("plan".to_owned()), ..printed_session() };
        let agent =
            |config| with_settings(&request(config), &plan()).config.agent().map(str::to_owned);
        assert_eq!(agent(RunConfig::new()).as_deref(), Some("plan"));
        assert_eq!(agent(RunConfig::new().with_agent("build")).as_deref(), Some("build"));
        let command = RunConfig::new().with_flags(RunFlags::new().with_command("review"));
        assert_eq!(agent(command), None);
        for text in ["", "Session not found", r#"{"info": {"id": 1}}"#, r#"{"info": {"id"#] {
            assert!(exported(&printed(text)).is_none(), "{text}");
        }
    }

    #[test]
    fn a_session_keeps_its_model_and_another_one_is_reported() {
        let text = r#"{ "info": { "id": "ses_1", "directory": "/a",
            "model": { "id": "m/2", "providerID": "p", "variant": "high" } } }"#;
        let session = exported(&printed(text)).expect("a session");
        let kept = with_settings(&RunRequest::new("Go."), &session);
        assert_eq!(kept.config.model().map(ToString::to_string).as_deref(), Some("p/m/2"));
        assert_eq!(kept.config.flags().variant(), Some("high"));
        assert!(kept.notices.is_empty());

        let other = RunRequest::new("Go.").with_model("p/m3".parse().expect("a model"));
        let changed = with_settings(&other, &session);
        assert_eq!(changed.notices, [Notice::setting_changed("model", "p/m/2", "p/m3")]);
        assert_eq!(changed.config.model(), other.config.model());
        assert_eq!(changed.config.flags().variant(), None);
    }

    #[test]
    fn the_newest_session_of_the_directory_is_named() {
        let list = r#"[{"id":"ses_2","directory":"/b"},{"id":"ses_1","directory":"/a"}]"#;
        let sessions = listed(&printed(list)).expect("a list");
        let request = |resume: Resume| {
            let flags = RunFlags::new().with_resume(resume);
            RunRequest::new("Go.").with_config(RunConfig::new().with_flags(flags))
        };
        let resumed = |resume: Resume, directory: &str| {
            let requested = RequestedDirectory::new(directory);
            let request = newest(&request(resume.clone()), &resume, &requested, &sessions);
            request.config.flags().resume().cloned()
        };
        assert_eq!(resumed(Resume::latest(), "/a"), Some(Resume::session("ses_1")));
        let forked = Resume::latest().forked();
        assert_eq!(resumed(forked, "/b"), Some(Resume::session("ses_2").forked()));
        assert_eq!(resumed(Resume::latest(), "/c"), None);
        assert!(listed(&printed("No sessions")).is_none());
        assert!(listed(&printed("")).is_some_and(|sessions| sessions.is_empty()));
    }
}
