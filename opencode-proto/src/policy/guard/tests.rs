use super::*;

fn covers(path: &str) -> bool {
    Guard::default().covers(Path::new(path))
}

#[test]
fn files_that_run_or_are_followed_next_are_guarded() {
    for path in [
        ".git",
        ".git/hooks/x",
        "a/.opencode/plugin/x.ts",
        "opencode.json",
        "opencode.jsonc",
        "AGENTS.md",
        "docs/CLAUDE.md",
        ".cursorrules",
        ".cursor/rules/x.mdc",
        ".claude/skills/x/SKILL.md",
        "x/SKILL.md",
        ".envrc",
        ".husky/pre-commit",
        "hooks/pre-commit",
        "scripts/prepare-commit-msg",
        "sub/HEAD",
        ".github/workflows/x.yml",
        ".gitlab-ci.yml",
        ".vscode/tasks.json",
        ".npmrc",
        ".cargo/config.toml",
        ".gitmodules",
    ] {
        assert!(covers(path), "{path}");
    }
}

#[test]
fn names_are_compared_as_any_file_system_does() {
    for path in [
        ".GIT/config",
        ".Git/config",
        ".g\u{200c}it/config",
        ".git./config",
        ".git /config",
        "GIT~1/config",
        "agents.MD",
        "opencode.j\u{17f}on",
        "head",
    ] {
        assert!(covers(path), "{path}");
    }
}

#[test]
fn code_of_the_project_is_not_guarded() {
    for path in [
        "",
        "src/main.rs",
        "package.json",
        "Makefile",
        "build.rs",
        ".env",
        ".gitignore",
        "git/config",
        "config",
        "refs/x",
        "head/model.py",
        "pre-commit/x",
        "pre-commit.sh",
        "HEAD.md",
        "docs/opencode.md",
    ] {
        assert!(!covers(path), "{path}");
    }
}

#[test]
fn a_policy_can_leave_names_unguarded() {
    let mut guard = Guard::default();
    guard.remove("agents.md");
    guard.remove(".GitHub");
    guard.remove("pre-commit");
    assert!(!guard.covers(Path::new("AGENTS.md")));
    assert!(!guard.covers(Path::new(".github/workflows/x.yml")));
    assert!(!guard.covers(Path::new("hooks/pre-commit")));
    assert!(guard.covers(Path::new(".husky/pre-commit")), "the directory is guarded");
    assert!(guard.covers(Path::new("CLAUDE.md")));
}

#[test]
fn guarded_names_are_written_as_they_are_compared() {
    for name in NAMES.iter().chain(&FILES) {
        assert_eq!(fold(OsStr::new(name)), *name);
    }
}
