//! Putting a session under a policy.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use opencode_proto::api::{
    ListAgents, ListToolIds, ReadPaths, ReadSession, ServerRule, UpdateSession,
};

use super::footprint::Base;
use super::order::Open;
use super::place::Confinement;
use super::server::Unasked;
use super::tree::{Limits, Tree};
use super::{Memory, Policy, PolicyError, Subagents};
use crate::runtime::blocking::unblock;
use crate::session::Session;

impl Session {
    /// Puts the turns of this handle and its clones under a policy: each permission that they ask for, subagents' too, is
    /// decided by it. What the policy counts and remembers is of this handle and its clones. Other handles of the session,
    /// and [forks](Self::fork), are not under it.
    ///
    /// Reads the rules of all agents first (`GET /agent`, `GET /experimental/tool/ids`), since a policy can decide only what
    /// the server asks. For a server that was started with [`Policy::server_config`] they are right, unless the project's
    /// agents have other rules. A policy [without subagents](Policy::without_subagents) adds rules to the session first
    /// (`PATCH /session/{sessionID}`), and they stay.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Unasked`] when the server would allow something without asking; the others when that, or where the
    /// directories of the policy are, cannot be found out.
    ///
    /// # Cancel safety
    ///
    /// The session may have got its rules.
    pub async fn with_policy(self, policy: Policy) -> Result<Self, PolicyError> {
        let tree = Arc::new(self.tree(policy).await?);
        let handler = move |ask| {
            let tree = Arc::clone(&tree);
            async move { tree.decide(ask).await }
        };
        Ok(self.with_decider(handler))
    }

    async fn tree(&self, policy: Policy) -> Result<Tree, PolicyError> {
        let core = &self.core;
        let (http, directory) = (core.server.http.clone(), core.state.directory.clone());
        let at = directory.as_deref();
        if policy.subagents == Subagents::Off {
            let update = UpdateSession::new(self.id().clone());
            http.call(&update.with_permission(policy.server_permissions()), at).await?;
        }
        let agents = http.call(&ListAgents::new(), at).await?;
        let tools = http.call(&ListToolIds::new(), at).await?;
        let info = http.call(&ReadSession::new(self.id().clone()), at).await?;
        let rules = ServerRule::of_session(&info).ok_or(PolicyError::Unreadable)?;
        let of_session = policy.unasked(&agents, &rules, &tools);
        let of_subagents = match policy.subagents {
            Subagents::As => policy.unasked(&agents, &[], &tools),
            // Whatever the session is denied, OpenCode denies its subagents: here, everything.
            Subagents::Off => None,
        };
        if let Some(Unasked { agent, permission, pattern }) = of_session.or(of_subagents) {
            return Err(PolicyError::Unasked { agent, permission, pattern });
        }
        let paths = http.call(&ReadPaths::new(), at).await?;
        let base = Base {
            directory: paths.directory.into(),
            worktree: paths.worktree.into(),
            home: paths.home.map(PathBuf::from),
        };
        let runtime = Arc::clone(&core.server.host.runtime);
        let (reads, writes) = (policy.reads.clone(), policy.writes.clone());
        let place = base.clone();
        let limits = unblock(&runtime, move || limits(reads, writes, &place)).await?;
        Ok(Tree {
            policy,
            root: self.id().clone(),
            http,
            directory,
            runtime,
            base,
            limits,
            memory: Memory::default(),
            calls: Mutex::default(),
            open: Open::default(),
        })
    }
}

/// Blocks.
fn limits(
    reads: Option<Vec<PathBuf>>,
    writes: Option<Vec<PathBuf>>,
    base: &Base,
) -> Result<Limits, PolicyError> {
    if reads.is_none() && writes.is_none() {
        return Ok(Limits::default());
    }
    let directory = &base.directory;
    directory
        .canonicalize()
        .map_err(|source| PolicyError::Elsewhere { directory: directory.clone(), source })?;
    let confinement = |directories: Option<Vec<PathBuf>>| {
        directories.map(|directories| Confinement::new(&directories, directory)).transpose()
    };
    let fault = |(path, source)| PolicyError::Directory { path, source };
    let (reads, writes) = (confinement(reads).map_err(fault)?, confinement(writes).map_err(fault)?);
    Ok(Limits { reads, writes })
}
