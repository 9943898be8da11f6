//! Rules of a server, compared with a policy: a policy decides only about requests of the server.

use opencode_config::{
    CommandGate, PermissionAction, PermissionRule, Permissions, RunConfig, wildcard_matches,
};
use serde_json::json;

use super::command;
use super::rules::{allow_all, can_allow, covers};
use super::settings::{PolicySettings, Unruled};
use crate::api::{AgentInfo, ServerRule};

#[cfg(test)]
mod tests;

/// Permissions that OpenCode 1.18.33 asks for.
const ASKED: [&str; 15] = [
    "bash",
    "codesearch",
    "doom_loop",
    "edit",
    "external_directory",
    "glob",
    "grep",
    "list",
    "lsp",
    "read",
    "skill",
    "task",
    "todowrite",
    "webfetch",
    "websearch",
];
/// Tools that question the user and ask for no permission. OpenCode offers them where a rule allows
/// them.
const QUESTIONING: [&str; 3] = ["plan_enter", "plan_exit", "question"];
/// Tools that OpenCode cannot do without, and that do nothing.
const INNER: [&str; 2] = ["StructuredOutput", "invalid"];
/// Tools that ask for a permission of another name.
const TOOLS: [&str; 7] = [
    "apply_patch",
    "list_mcp_resource_templates",
    "list_mcp_resources",
    "multiedit",
    "patch",
    "read_mcp_resource",
    "write",
];
/// Permissions that have to be asked for where reads are confined.
const READING: [&str; 6] = ["glob", "grep", "list", "lsp", "read", "task"];
/// Permissions that have to be asked for where writes are confined.
const WRITING: [&str; 1] = ["edit"];

/// Rules and tools of a server, as far as one session is concerned.
///
/// ```
/// use opencode_proto::api::{ListAgents, Operation};
/// use opencode_proto::policy::{PolicySettings, ServerRights};
///
/// // The reply to `GET /agent` of a server that nobody configured for a policy.
/// let reply = r#"[{"name":"build","mode":"primary","permission":[
///     {"permission":"*","pattern":"*","action":"allow"}]}]"#;
/// let agents = ListAgents::new().decode(http::Response::new(reply.into()))?;
/// let rights = ServerRights::new(&agents);
///
/// let unasked = PolicySettings::new().within("/src").unasked(&rights).expect("all is allowed");
/// assert_eq!((&*unasked.agent, &*unasked.permission, &*unasked.pattern), ("build", "*", "*"));
/// # Ok::<(), opencode_proto::ApiError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ServerRights<'a> {
    agents: &'a [AgentInfo],
    session_rules: &'a [ServerRule],
    tools: &'a [String],
}

/// Use of a tool that a server allows without a permission request, and that a policy does not
/// allow as it is.
///
/// ```
/// use opencode_proto::policy::Unasked;
///
/// fn describe(Unasked { agent, permission, pattern, .. }: &Unasked) -> String {
///     format!("agent `{agent}` may use `{permission}` on `{pattern}` unasked")
/// }
/// # let _ = describe;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unasked {
    /// Name of the agent whose rules allow the use.
    pub agent: String,
    /// Permission key, perhaps a pattern; or the name of a tool that asks for no permission.
    pub permission: String,
    /// Pattern of the subjects.
    pub pattern: String,
}

impl<'a> ServerRights<'a> {
    /// Creates the rights of the agents of the session's directory. `GET /agent`.
    pub fn new(agents: &'a [AgentInfo]) -> Self {
        Self { agents, session_rules: &[], tools: &[] }
    }

    /// Sets the rules of the session, which come after those of the agent.
    #[must_use]
    pub fn with_session_rules(self, session_rules: &'a [ServerRule]) -> Self {
        Self { session_rules, ..self }
    }

    /// Sets the names of all tools but those of MCP servers. `GET /experimental/tool/ids`.
    #[must_use]
    pub fn with_tools(self, tools: &'a [String]) -> Self {
        Self { tools, ..self }
    }
}

impl PolicySettings {
    /// Adds the configuration of a server that asks for everything the policy is about.
    ///
    /// Besides [`server_permissions`](Self::server_permissions), the configuration makes a turn go
    /// on when several calls are refused at once, which keeps the messages of all refusals but one
    /// from the model (`experimental.continue_loop_on_deny`). For a policy that allows some
    /// commands, the shell of the server runs approved command lines only
    /// ([`CommandGate::Approved`]).
    #[must_use]
    pub fn server_config(&self, config: RunConfig) -> RunConfig {
        let go_on = json!({ "experimental": { "continue_loop_on_deny": true } });
        let config = config.with_overrides(go_on).with_permission(self.server_permissions());
        if self.needs_command_gate() {
            config.with_command_gate(CommandGate::Approved)
        } else {
            config
        }
    }

    /// Returns the rules for a server that is started for the policy.
    ///
    /// The server asks for everything that the policy can allow, and hides everything else from the
    /// model. Tools that OpenCode does not come with are hidden too, since those of a project ask
    /// for no permission, unless a rule of the policy names them or allows `*`.
    ///
    /// These rules replace those of OpenCode's own agents: `plan` can edit where the policy allows
    /// `edit`. Agents of a project may have rules of their own that win; [`unasked`](Self::unasked)
    /// finds them. Keys that the project's configuration has as well may end up denied, since the
    /// project decides the order of the keys.
    #[must_use]
    pub fn server_permissions(&self) -> Permissions {
        // Only rules for everything match an empty name.
        let can_rest = self.may_have_subagents() && can_allow(self.rules(), "", Unruled::Refuse);
        let mut permissions = Permissions::new().rule("*", ask_or_deny(can_rest));
        for (key, _) in self.rules().iter().filter(|(key, _)| !is_known(key)) {
            permissions = permissions.rule(key, ask_or_deny(self.can_use(key)));
        }
        for key in ASKED {
            permissions = permissions.rule(key, ask_or_deny(self.can_use(key)));
        }
        for key in QUESTIONING {
            let is_allowed = self.rules().decide(key, "*") == Some(PermissionAction::Allow);
            permissions = if is_allowed { permissions.allow(key) } else { permissions.deny(key) };
        }
        INNER.into_iter().fold(permissions, Permissions::allow)
    }

    /// Returns whether the session may run commands.
    pub fn may_run_commands(&self) -> bool {
        self.can_use("bash")
    }

    /// Returns whether the policy needs a server with a command gate: it allows some commands, and
    /// not all.
    pub fn needs_command_gate(&self) -> bool {
        !self.accepts_unasked_commands()
            && self.may_run_commands()
            && !command::allows_everything(self.rules())
    }

    fn can_use(&self, key: &str) -> bool {
        match key {
            "task" if !self.may_have_subagents() => false,
            // A denial would end the turn.
            "doom_loop" => true,
            "external_directory" if self.is_confined() => true,
            "bash" if self.is_confined() => self.has_rule_for_commands(),
            _ => can_allow(self.rules(), key, self.unruled()),
        }
    }

    /// Returns whether a confined session can run commands, which takes a rule.
    fn has_rule_for_commands(&self) -> bool {
        let rules = self.rules().to_ruleset();
        rules.iter().any(|rule| wildcard_matches("bash", rule.permission))
            && can_allow(self.rules(), "bash", self.unruled())
    }

    /// Returns the first use of a tool that the server would allow, to the session or to a
    /// subagent, without asking the policy.
    pub fn unasked(&self, rights: &ServerRights<'_>) -> Option<Unasked> {
        let of_session = self.unasked_by(rights, rights.session_rules);
        if self.may_have_subagents() {
            of_session.or_else(|| self.unasked_by(rights, &[]))
        } else {
            // OpenCode denies subagents all that the session is denied: here, everything.
            of_session
        }
    }

    fn unasked_by(&self, rights: &ServerRights<'_>, after: &[ServerRule]) -> Option<Unasked> {
        rights.agents.iter().find_map(|agent| {
            let rules: Vec<&ServerRule> = agent.permission.iter().chain(after).collect();
            let by_rules = self.unasked_by_rules(&rules);
            let (permission, pattern) =
                by_rules.or_else(|| self.unasked_tool(&rules, rights.tools))?;
            Some(Unasked { agent: agent.name.clone(), permission, pattern })
        })
    }

    fn unasked_by_rules(&self, rules: &[&ServerRule]) -> Option<(String, String)> {
        let found = rules.iter().enumerate().find(|(index, rule)| {
            let is_overruled = || {
                rules[index + 1..].iter().any(|later| {
                    later.action != PermissionAction::Allow
                        && covers(&later.permission, &rule.permission)
                        && covers(&later.pattern, &rule.pattern)
                })
            };
            rule.action == PermissionAction::Allow
                && !is_harmless(rule)
                && !self.allows_as_is(&rule.permission, &rule.pattern)
                && !is_overruled()
        });
        found.map(|(_, rule)| (rule.permission.clone(), rule.pattern.clone()))
    }

    /// Tools of a project or a plugin ask for no permission, whatever the rules are: only hiding
    /// them keeps the model from using them.
    fn unasked_tool(&self, rules: &[&ServerRule], tools: &[String]) -> Option<(String, String)> {
        let offered = tools.iter().filter(|tool| !is_known(tool)).find(|tool| {
            let last = rules.iter().rev().find(|rule| wildcard_matches(tool, &rule.permission));
            let is_hidden = last
                .is_some_and(|rule| rule.action == PermissionAction::Deny && rule.pattern == "*");
            !is_hidden && !self.allows_as_is(tool, "*")
        });
        offered.map(|tool| (tool.clone(), "*".to_owned()))
    }

    /// Returns whether the policy allows a use without confining, counting or reading it.
    fn allows_as_is(&self, permission: &str, pattern: &str) -> bool {
        let reads = self.reads().is_some() && matches_one_of(permission, &READING);
        let writes = self.writes().is_some() && matches_one_of(permission, &WRITING);
        // A rule of the server for some commands allows lines that do more than run them.
        let commands =
            matches_one_of(permission, &["bash"]) && !command::allows_everything(self.rules());
        let starts = !self.may_have_subagents() && matches_one_of(permission, &["task"]);
        !reads
            && !writes
            && !commands
            && !starts
            && self.tool_calls_max().is_none()
            && allow_all(self.rules(), permission, pattern)
    }
}

fn ask_or_deny(can_be_allowed: bool) -> PermissionRule {
    let action = if can_be_allowed { PermissionAction::Ask } else { PermissionAction::Deny };
    PermissionRule::Action(action)
}

fn is_known(name: &str) -> bool {
    let known = [&ASKED[..], &QUESTIONING, &INNER, &TOOLS];
    name == "*" || known.iter().any(|names| names.contains(&name))
}

fn matches_one_of(permission: &str, names: &[&str]) -> bool {
    names.iter().any(|name| wildcard_matches(name, permission))
}

/// Returns whether an allowed use does nothing: it questions the user, tries the same again, or
/// reads the long results that OpenCode puts aside. (OpenCode allows the latter after all other
/// rules, and asks for `read` all the same.)
fn is_harmless(rule: &ServerRule) -> bool {
    let names = [&QUESTIONING[..], &INNER, &["doom_loop"]];
    names.iter().any(|names| names.contains(&rule.permission.as_str()))
        || (rule.permission == "external_directory" && rule.pattern.ends_with("/tool-output/*"))
}
