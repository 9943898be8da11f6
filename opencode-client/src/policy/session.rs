//! A session under a policy.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use opencode_proto::api::{
    ListAgents, ListToolIds, ReadPaths, ReadSession, ServerPaths, ServerRule, UpdateSession,
};
use opencode_proto::policy::{
    Confinement, PolicyJudge, PolicyScope, PolicySettings, ServerRights, Unasked,
};

use super::driver::PolicyDriver;
use super::gate::Gate;
use super::{Policy, PolicyError, files};
use crate::runtime::blocking::unblock;
use crate::session::Session;

impl Session {
    /// Puts the turns of this handle and all clones under a policy, which decides each of their
    /// permission requests and those of their subagents.
    ///
    /// Counted calls and remembered confirmations belong to this handle and all clones. Other
    /// handles of the session, and [forks](Self::fork), are not under the policy.
    ///
    /// A policy decides only about requests of the server, so the rules of all agents are read
    /// first (`GET /agent`, `GET /experimental/tool/ids`). They are right for a server that was
    /// started with [`Policy::server_config`], unless agents of the project have other rules. A
    /// policy [without subagents](Policy::without_subagents) adds rules to the session first
    /// (`PATCH /session/{sessionID}`), and the rules stay.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Unasked`] when the server would allow a use without asking, and
    /// [`PolicyError::UnaskedCommands`] when it would run some command lines so. Other errors when
    /// the rights of the agents or the directories of the policy cannot be determined.
    ///
    /// # Cancel safety
    ///
    /// The session may have got the rules.
    pub async fn with_policy(self, policy: Policy) -> Result<Self, PolicyError> {
        let driver = Arc::new(self.policy_driver(policy).await?);
        let decider = move |ask| {
            let driver = Arc::clone(&driver);
            async move { driver.decide(ask).await }
        };
        self.core.state.with(|machine| machine.keep_rules());
        Ok(self.with_decider(decider))
    }

    async fn policy_driver(&self, policy: Policy) -> Result<PolicyDriver, PolicyError> {
        let core = &self.core;
        let (http, directory) = (core.http.clone(), core.state.directory.clone());
        let at = directory.as_deref();
        let settings = &policy.settings;
        if !settings.may_have_subagents() {
            let update = UpdateSession::new(self.id().clone());
            http.call(&update.with_permission(settings.server_permissions()), at).await?;
        }
        let agents = http.call(&ListAgents::new(), at).await?;
        let tools = http.call(&ListToolIds::new(), at).await?;
        let info = http.call(&ReadSession::new(self.id().clone()), at).await?;
        let rules = ServerRule::of_session(&info).ok_or(PolicyError::Unreadable)?;
        let rights = ServerRights::new(&agents).with_session_rules(&rules).with_tools(&tools);
        if let Some(Unasked { agent, permission, pattern, .. }) = settings.unasked(&rights) {
            return Err(PolicyError::Unasked { agent, permission, pattern });
        }
        let gate = if settings.may_run_commands() { Gate::find(&http, at).await? } else { None };
        if gate.is_none() && settings.needs_command_gate() {
            return Err(PolicyError::UnaskedCommands);
        }
        let paths = http.call(&ReadPaths::new(), at).await?;
        let runtime = Arc::clone(http.runtime());
        let (session, of) = (self.id().clone(), settings.clone());
        let scope = unblock(&runtime, move || {
            resolve(&of, &paths, PolicyScope::new(session, paths.clone()))
        });
        let judge = PolicyJudge::new(settings.clone(), scope.await?);
        Ok(PolicyDriver::new(policy, judge, gate, http, directory))
    }
}

/// Adds the real directories of the policy to the scope. Blocks.
fn resolve(
    settings: &PolicySettings,
    paths: &ServerPaths,
    mut scope: PolicyScope,
) -> Result<PolicyScope, PolicyError> {
    if settings.reads().is_none() && settings.writes().is_none() {
        return Ok(scope);
    }
    let directory = Path::new(&paths.directory);
    directory
        .canonicalize()
        .map_err(|source| PolicyError::Elsewhere { directory: directory.into(), source })?;
    let confinement =
        |directories: Option<&[PathBuf]>| -> Result<Option<Confinement>, PolicyError> {
            let Some(directories) = directories else { return Ok(None) };
            let found = files::confinement(directories, directory);
            found.map(Some).map_err(|(path, source)| PolicyError::Directory { path, source })
        };
    if let Some(reads) = confinement(settings.reads())? {
        scope = scope.with_reads(reads);
    }
    if let Some(writes) = confinement(settings.writes())? {
        scope = scope.with_writes(writes);
    }
    Ok(scope)
}
