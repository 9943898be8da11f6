//! Files that programs run or follow without being asked to, when the project is used again.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use super::shell::is_hidden;

#[cfg(test)]
mod tests;

/// Guarded files and directories, with everything below them, in lower case.
#[rustfmt::skip]
const NAMES: [&str; 93] = [
    // Agents.
    ".agents", ".claude", ".clinerules", ".codex", ".continue", ".gemini", ".goosehints",
    ".kilocode", ".mcp.json", ".openhands", ".roo", ".roorules", ".rules", ".zed", "agent.md",
    "agents.md", "claude.local.md", "claude.md", "context.md", "gemini.md", "skill.md",
    // Version control.
    ".git", ".gitattributes", ".gitconfig", ".gitmodules", ".hg", ".hgrc", ".husky", ".jj",
    ".lefthook.yaml", ".lefthook.yml", ".lfsconfig", ".pre-commit-config.yaml", ".svn", "git~1",
    "lefthook.yaml", "lefthook.yml",
    // Continuous integration.
    ".appveyor.yml", ".buildkite", ".circleci", ".drone.yml", ".forgejo", ".gitea", ".github",
    ".gitlab", ".gitlab-ci.yml", ".teamcity", ".travis.yml", ".woodpecker", ".woodpecker.yml",
    "appveyor.yml", "azure-pipelines.yml", "bitbucket-pipelines.yml", "jenkinsfile",
    // Shells, and environments of directories.
    ".bash_login", ".bash_logout", ".bash_profile", ".bashrc", ".config", ".devcontainer",
    ".direnv", ".envrc", ".gnupg", ".mise.toml", ".profile", ".ssh", ".tool-versions", ".zlogin",
    ".zlogout", ".zprofile", ".zshenv", ".zshrc", "mise.toml",
    // Package managers and build tools.
    ".bazelrc", ".bunfig.toml", ".cargo", ".npmrc", ".pip", ".pnpmfile.cjs", ".yarn", ".yarnrc",
    ".yarnrc.yml", "bunfig.toml",
    // Editors and debuggers.
    ".dir-locals.el", ".exrc", ".gdbinit", ".idea", ".lldbinit", ".lvimrc", ".nvim.lua",
    ".nvimrc", ".vimrc", ".vscode",
];

/// Beginnings of guarded names: OpenCode, Cursor, Windsurf and Aider have several files each.
const BEGINNINGS: [&str; 5] = [".aider", ".cursor", ".opencode", ".windsurf", "opencode.json"];

/// Guarded files, wherever they are: `HEAD` makes a directory a repository, whose configuration git
/// follows, and git runs the hooks in the directory that `core.hooksPath` names.
#[rustfmt::skip]
const FILES: [&str; 23] = [
    "applypatch-msg", "commit-msg", "fsmonitor-watchman", "head", "p4-changelist",
    "p4-post-changelist", "p4-pre-submit", "p4-prepare-changelist", "post-applypatch",
    "post-checkout", "post-commit", "post-index-change", "post-merge", "post-rewrite",
    "pre-applypatch", "pre-auto-gc", "pre-commit", "pre-merge-commit", "pre-push", "pre-rebase",
    "prepare-commit-msg", "reference-transaction", "sendemail-validate",
];

/// Guarded names of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Guard {
    /// Names that the policy does not guard.
    unguarded: BTreeSet<String>,
}

impl Guard {
    /// Guards a name no longer.
    pub(super) fn remove(&mut self, name: &str) {
        self.unguarded.insert(fold(OsStr::new(name)));
    }

    /// Returns the names that are not guarded.
    pub(super) fn unguarded(&self) -> impl Iterator<Item = &str> {
        self.unguarded.iter().map(String::as_str)
    }

    /// Returns whether a file is guarded, by the path below a directory of the policy.
    pub(super) fn covers(&self, path: &Path) -> bool {
        let names: Vec<String> = path.iter().map(fold).collect();
        let is_listed = |name: &String| {
            NAMES.contains(&&**name)
                || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        };
        let is_guarded = |name: &String| is_listed(name) && !self.unguarded.contains(name);
        let is_file = |name: &String| FILES.contains(&&**name) && !self.unguarded.contains(name);
        names.iter().any(is_guarded) || names.last().is_some_and(is_file)
    }
}

/// Returns a name as file systems compare it that ignore case (macOS, Windows), characters without
/// a width (HFS+), or dots and spaces at the end (Windows).
fn fold(name: &OsStr) -> String {
    let name = name.to_string_lossy();
    let visible: String = name.chars().filter(|char| !is_hidden(*char)).collect();
    // By way of upper case, so that `\u{17f}` becomes `s`.
    let folded = visible.to_uppercase().to_lowercase();
    folded.trim_end_matches(['.', ' ']).to_owned()
}
