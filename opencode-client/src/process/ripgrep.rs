//! Search for ripgrep, without which OpenCode's tools `grep`, `glob` and `skill` fail.

use std::path::{Path, PathBuf};

use opencode_config::{IsolationPlan, ProgramCommand, RunConfig};

/// Ripgrep is not installed.
///
/// OpenCode 1.18.33 then downloads ripgrep from GitHub at the first use, into the cache of the run;
/// without a network its tools `grep`, `glob` and `skill` fail.
///
/// `Display` names the ways out: install ripgrep, or switch the tools off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "ripgrep (`rg`) was not found on the search path or at {}: OpenCode's tools grep, glob and \
     skill have to download it, or fail; install ripgrep, or disable these tools",
    cache.display()
)]
#[non_exhaustive]
pub struct RipgrepMissing {
    /// Path in the user's cache that was searched besides the search path.
    pub cache: PathBuf,
}

/// Returns the warning for a run that may need ripgrep and does not find it. Blocks.
pub(crate) fn check(
    config: &RunConfig,
    program: &ProgramCommand,
    plan: &IsolationPlan,
) -> Option<RipgrepMissing> {
    // A wrapper may start OpenCode on another machine.
    if !config.uses_ripgrep() || !program.args().is_empty() {
        return None;
    }
    let path = plan.environment.var("PATH").unwrap_or_default();
    let name = format!("rg{}", std::env::consts::EXE_SUFFIX);
    let cache = plan.ripgrep.clone().unwrap_or_else(|| Path::new("opencode/bin/rg").to_owned());
    let mut places = std::env::split_paths(path).map(|place| place.join(&name));
    let is_found = places.any(|place| place.is_file()) || cache.is_file();
    (!is_found).then_some(RipgrepMissing { cache })
}

#[cfg(test)]
mod tests {
    use opencode_config::{Environment, Permissions, ToolSwitch};

    use super::*;

    fn checked(config: &RunConfig, path: &Path, home: &Path) -> Option<RipgrepMissing> {
        let environment = Environment::new().with_var("PATH", path).with_var("HOME", home);
        let root = home.join("run");
        let plan = IsolationPlan::new(config, &environment, root, Vec::new()).expect("a plan");
        check(config, &ProgramCommand::from("opencode"), &plan)
    }

    #[test]
    fn ripgrep_is_searched_for_where_opencode_searches() {
        let home = tempfile::tempdir().expect("created");
        let (path, cache) = (home.path().join("bin"), home.path().join(".cache/opencode/bin"));
        for directory in [&path, &cache] {
            std::fs::create_dir_all(directory).expect("created");
        }
        let config = RunConfig::new();
        let missing = checked(&config, &path, home.path()).expect("nothing is there");
        assert_eq!(missing.cache, cache.join("rg"));
        assert!(missing.to_string().contains("install ripgrep"), "{missing}");
        std::fs::write(cache.join("rg"), "").expect("written");
        assert_eq!(checked(&config, &path, home.path()), None, "in the cache");
        std::fs::rename(cache.join("rg"), path.join("rg")).expect("moved");
        assert_eq!(checked(&config, &path, home.path()), None, "on the search path");
    }

    #[test]
    fn nothing_is_missing_without_a_tool_that_needs_ripgrep() {
        let home = tempfile::tempdir().expect("created");
        let tools = ["grep", "glob", "skill"];
        let off = |config: RunConfig, tool| config.with_tool(tool, ToolSwitch::Disabled);
        let switched = tools.into_iter().fold(RunConfig::new(), off);
        assert_eq!(checked(&switched, home.path(), home.path()), None);
        let denied = RunConfig::new().with_permission(Permissions::new().deny("*").allow("read"));
        assert_eq!(checked(&denied, home.path(), home.path()), None);
        let one = RunConfig::new().with_permission(Permissions::new().deny("*").allow("grep"));
        assert!(checked(&one, home.path(), home.path()).is_some());
        let program: ProgramCommand = "docker run opencode".parse().expect("a command line");
        let config = RunConfig::new();
        let environment = Environment::new().with_var("HOME", home.path());
        let plan = IsolationPlan::new(&config, &environment, home.path(), Vec::new());
        assert_eq!(check(&config, &program, &plan.expect("a plan")), None);
    }
}
