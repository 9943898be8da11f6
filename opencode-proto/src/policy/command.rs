//! Commands of the `bash` tool: rules allow only words that are literal in the command line.

use opencode_config::{Json, JsonObject, PermissionAction, Permissions, wildcard_matches};
use serde::Deserialize;

use super::shell::{self, Names, SimpleCommand};
use crate::{PermissionRequest, RawJson};

#[cfg(test)]
mod tests;

/// A command of a request, as OpenCode shows it and without quotes.
pub(super) struct ShellCommand {
    shown: String,
    unquoted: String,
    names: Names,
}

/// Returns the commands of a request for the `bash` tool; `None` when the command line may do more
/// than run the commands that the request shows, with literal words.
///
/// OpenCode 1.18.33 asks for the commands that the parser finds in a line. The request names
/// neither the redirection of a group (`{ a; } > b`) nor `cd`, and finds no command in `{touch,x}`
/// or `[[ 'a[$(b)]' -eq 0 ]]`.
pub(super) fn read(request: &PermissionRequest) -> Option<Vec<ShellCommand>> {
    let line = line(request)?;
    let commands = shell::commands(&line)?;
    let shown = |command: &SimpleCommand| {
        let texts = [&line[command.whole.clone()], &line[command.bare.clone()]];
        request.patterns.iter().find(|pattern| texts.contains(&pattern.as_str()))
    };
    let read: Vec<ShellCommand> = commands
        .iter()
        .map(|command| {
            let unquoted = command.words.join(" ");
            Some(ShellCommand { shown: shown(command)?.clone(), unquoted, names: command.names })
        })
        .collect::<Option<_>>()?;
    let is_read = |pattern: &String| read.iter().any(|command| command.shown == *pattern);
    request.patterns.iter().all(is_read).then_some(read)
}

/// Returns the command line of a request for the `bash` tool.
pub(super) fn line(request: &PermissionRequest) -> Option<String> {
    #[derive(Deserialize)]
    struct CommandTarget {
        command: String,
    }
    let metadata = request.metadata.as_ref()?.decode::<CommandTarget>();
    metadata.ok().map(|metadata| metadata.command)
}

/// Adds the command line to a request for the `bash` tool, from the arguments of the call. OpenCode
/// before 1.17.0 leaves the line out of the request.
pub(super) fn add_line(request: &mut PermissionRequest, line: &str) {
    let mut metadata = JsonObject::new();
    metadata.insert("command", Json::from(line));
    let metadata = metadata.to_string();
    request.metadata = Some(RawJson::parse(metadata).expect("an object is JSON"));
}

/// Returns the decision of the rules about the commands; `None` when a command has no rule and no
/// command is denied. `by_patterns` is the decision about the patterns of the request.
pub(super) fn decide(
    rules: &Permissions,
    request: &PermissionRequest,
    by_patterns: Option<PermissionAction>,
) -> Option<PermissionAction> {
    use PermissionAction::{Allow, Ask, Deny};
    let Some(commands) = read(request) else {
        let is_allowed = by_patterns == Some(Allow) && !allows_everything(rules);
        return if is_allowed { Some(Ask) } else { by_patterns };
    };
    // A rule for `git push *` is also about `git 'push'`.
    let of = |command: &ShellCommand| rules.decide("bash", &command.unquoted);
    let unquoted: Vec<_> = commands.iter().map(of).collect();
    if unquoted.contains(&Some(Deny)) {
        return Some(Deny);
    }
    if by_patterns != Some(Allow) {
        return by_patterns;
    }
    let is_allowed = unquoted.iter().all(|action| *action == Some(Allow))
        && commands.iter().all(|command| command.is_allowed_with_any_names(rules));
    Some(if is_allowed { Allow } else { Ask })
}

/// Returns whether the rules allow every command line, so that the commands do not matter.
pub(super) fn allows_everything(rules: &Permissions) -> bool {
    let rules = rules.to_ruleset();
    let mut of_bash = rules.iter().rev().filter(|rule| wildcard_matches("bash", rule.permission));
    let last = of_bash.find(|rule| rule.pattern == "*" || rule.action != PermissionAction::Allow);
    last.is_some_and(|rule| rule.action == PermissionAction::Allow)
}

impl ShellCommand {
    /// Returns whether the rule that allows the command also allows it with the names of files in
    /// place of patterns: no later rule may be stricter.
    fn is_allowed_with_any_names(&self, rules: &Permissions) -> bool {
        if self.names == Names::Literal {
            return true;
        }
        let rules = rules.to_ruleset();
        let of_bash = rules.iter().rev().filter(|rule| wildcard_matches("bash", rule.permission));
        let mut later = of_bash.take_while(|rule| !wildcard_matches(&self.unquoted, rule.pattern));
        later.all(|rule| rule.action == PermissionAction::Allow)
    }
}
