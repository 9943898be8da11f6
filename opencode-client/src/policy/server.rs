//! What a server has to be told, and whether it was.

use opencode_config::{PermissionAction, PermissionRule, Permissions, RunConfig, wildcard_matches};
use opencode_proto::api::{AgentInfo, ServerRule};
use serde_json::json;

use super::rules::{allow_all, can_allow, covers};
use super::{Policy, Subagents};

#[cfg(test)]
mod tests;

/// What OpenCode 1.18.33 asks for.
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
/// Tools that ask people and not for permission: there if a rule allows them.
const PEOPLE: [&str; 3] = ["plan_enter", "plan_exit", "question"];
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
/// What has to be asked for where reads are confined.
const READING: [&str; 6] = ["glob", "grep", "list", "lsp", "read", "task"];
/// What has to be asked for where writes are confined.
const WRITING: [&str; 1] = ["edit"];

/// Something that a server allows without asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unasked {
    pub(super) agent: String,
    pub(super) permission: String,
    pub(super) pattern: String,
}

impl Policy {
    /// A configuration with which a server asks for all that the policy is about: with
    /// [`server_permissions`](Self::server_permissions), and so that a turn goes on when several calls at once are refused,
    /// which takes the messages of all but one away (`experimental.continue_loop_on_deny`).
    #[must_use]
    pub fn server_config(&self, config: RunConfig) -> RunConfig {
        let go_on = json!({ "experimental": { "continue_loop_on_deny": true } });
        let go_on = go_on.as_object().cloned().unwrap_or_default();
        config.with_overrides(go_on).with_permission(self.server_permissions())
    }

    /// The rules for a server that is started for the policy. It asks for whatever the policy can allow. What the policy
    /// cannot allow is hidden from the model, and so are all tools that OpenCode does not come with, since those of a
    /// project ask for nothing, unless a rule of the policy names them or allows `*`.
    ///
    /// They take the place of what OpenCode's own agents may do: `plan` can edit where the policy allows `edit`. The agents
    /// of a project may have rules of their own that win: [`Session::with_policy`](crate::Session::with_policy) looks.
    /// Keys that the project's configuration has as well may end up denied, since the order of the keys is the project's.
    #[must_use]
    pub fn server_permissions(&self) -> Permissions {
        // An empty name is matched by rules for everything only.
        let rest = match self.subagents == Subagents::As && can_allow(&self.rules, "", false) {
            true => PermissionAction::Ask,
            false => PermissionAction::Deny,
        };
        let mut permissions = action(Permissions::new(), "*", rest);
        for (key, _) in self.rules.iter().filter(|(key, _)| !is_known(key)) {
            permissions = action(permissions, key, self.server_action(key));
        }
        for key in ASKED {
            permissions = action(permissions, key, self.server_action(key));
        }
        for key in PEOPLE {
            permissions = match self.rules.decide(key, "*") {
                Some(PermissionAction::Allow) => permissions.allow(key),
                Some(PermissionAction::Ask | PermissionAction::Deny) | None => {
                    permissions.deny(key)
                }
            };
        }
        INNER.into_iter().fold(permissions, Permissions::allow)
    }

    fn server_action(&self, key: &str) -> PermissionAction {
        let confined = self.reads.is_some() || self.writes.is_some();
        let can = match key {
            "task" if self.subagents == Subagents::Off => false,
            // To deny it would end the turn.
            "doom_loop" => true,
            "external_directory" if confined => true,
            "bash" if confined => self.confined_bash_can_run(),
            _ => can_allow(&self.rules, key, self.confirm.is_some()),
        };
        if can { PermissionAction::Ask } else { PermissionAction::Deny }
    }

    /// In a confined session, commands need a rule.
    fn confined_bash_can_run(&self) -> bool {
        let named = self.rules.to_ruleset();
        named.iter().any(|rule| wildcard_matches("bash", rule.permission))
            && can_allow(&self.rules, "bash", self.confirm.is_some())
    }

    /// The first thing that some agent may do, by all rules that hold, without that the policy is asked. `session`: the
    /// rules of the session, which come after the agent's. `tools`: the names of all tools.
    pub(super) fn unasked(
        &self,
        agents: &[AgentInfo],
        session: &[ServerRule],
        tools: &[String],
    ) -> Option<Unasked> {
        agents.iter().find_map(|agent| {
            let rules: Vec<&ServerRule> = agent.permission.iter().chain(session).collect();
            let (permission, pattern) =
                self.unasked_by_rules(&rules).or_else(|| self.unasked_tool(&rules, tools))?;
            Some(Unasked { agent: agent.name.clone(), permission, pattern })
        })
    }

    fn unasked_by_rules(&self, rules: &[&ServerRule]) -> Option<(String, String)> {
        let found = rules.iter().enumerate().find(|(index, rule)| {
            let overruled = || {
                rules[index + 1..].iter().any(|later| {
                    later.action != PermissionAction::Allow
                        && covers(&later.permission, &rule.permission)
                        && covers(&later.pattern, &rule.pattern)
                })
            };
            rule.action == PermissionAction::Allow
                && !is_harmless(rule)
                && !self.gives_away(&rule.permission, &rule.pattern)
                && !overruled()
        });
        found.map(|(_, rule)| (rule.permission.clone(), rule.pattern.clone()))
    }

    /// A tool of a project or a plugin asks for nothing, whatever the rules say, unless they hide it.
    fn unasked_tool(&self, rules: &[&ServerRule], tools: &[String]) -> Option<(String, String)> {
        let seen = tools.iter().filter(|tool| !is_known(tool)).find(|tool| {
            let last = rules.iter().rev().find(|rule| wildcard_matches(tool, &rule.permission));
            let is_hidden = last
                .is_some_and(|rule| rule.action == PermissionAction::Deny && rule.pattern == "*");
            !is_hidden && !self.gives_away(tool, "*")
        });
        seen.map(|tool| (tool.clone(), "*".to_owned()))
    }

    /// Whether the policy allows it as it is: nothing to confine, nothing to count.
    fn gives_away(&self, permission: &str, pattern: &str) -> bool {
        let reads = self.reads.is_some() && matches_one_of(permission, &READING);
        let writes = self.writes.is_some() && matches_one_of(permission, &WRITING);
        let no_subagents =
            self.subagents == Subagents::Off && matches_one_of(permission, &["task"]);
        !reads
            && !writes
            && !no_subagents
            && self.tool_calls_max.is_none()
            && allow_all(&self.rules, permission, pattern)
    }
}

fn action(permissions: Permissions, key: &str, action: PermissionAction) -> Permissions {
    permissions.rule(key, PermissionRule::Action(action))
}

fn is_known(name: &str) -> bool {
    name == "*" || [&ASKED[..], &PEOPLE, &INNER, &TOOLS].iter().any(|names| names.contains(&name))
}

fn matches_one_of(permission: &str, names: &[&str]) -> bool {
    names.iter().any(|name| wildcard_matches(name, permission))
}

/// What nothing can be done with: to ask people, to try the same again, and to look at what OpenCode itself has put
/// aside of long results, which it allows after all other rules, and which is asked for as `read` all the same.
fn is_harmless(rule: &ServerRule) -> bool {
    let names = [&PEOPLE[..], &INNER, &["doom_loop"]];
    names.iter().any(|names| names.contains(&rule.permission.as_str()))
        || (rule.permission == "external_directory" && rule.pattern.ends_with("/tool-output/*"))
}
