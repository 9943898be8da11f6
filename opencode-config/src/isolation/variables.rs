//! Environment variables that a run inherits, and those that a run sets.

use std::ffi::OsStr;

use super::{CacheHome, DataHome, Isolation, ProjectConfig, TempHome, UserConfig};
use super::{content, layers};
use crate::Environment;

/// Name of the client, by which OpenCode chooses tools.
pub(crate) const CLIENT: &str = "OPENCODE_CLIENT";

pub(crate) const TEMP_VARIABLES: [&str; 3] = ["TMPDIR", "TMP", "TEMP"];

/// Variables that OpenCode sets for the processes of tools, or that are meant for one process.
const OF_THE_PARENT: [&str; 15] = [
    "AGENT",
    "OPENCODE",
    "OPENCODE_CONSOLE_TOKEN",
    "OPENCODE_DIRECT_TRACE",
    "OPENCODE_EDITOR_SSE_PORT",
    "OPENCODE_ENABLE_QUESTION_TOOL",
    "OPENCODE_FAST_BOOT",
    "OPENCODE_LOG_LEVEL",
    "OPENCODE_PID",
    "OPENCODE_PLUGIN_META_FILE",
    "OPENCODE_PRINT_LOGS",
    "OPENCODE_ROUTE",
    "OPENCODE_SERVER_PASSWORD",
    "OPENCODE_SERVER_USERNAME",
    "OPENCODE_WORKSPACE_ID",
];

/// Variables with settings of the user.
const OF_THE_USER: [&str; 11] = [
    "OPENCODE_AUTO_SHARE",
    CLIENT,
    "OPENCODE_CONFIG",
    "OPENCODE_CONFIG_DIR",
    "OPENCODE_DISABLE_AUTOCOMPACT",
    "OPENCODE_DISABLE_PRUNE",
    "OPENCODE_FAKE_VCS",
    layers::PERMISSION,
    "OPENCODE_TEST_HOME",
    "OPENCODE_TUI_CONFIG",
    "OPENCODE_WEBSEARCH_PROVIDER",
];
const OF_THE_USER_PREFIXES: [&str; 2] = ["OPENCODE_ENABLE_", "OPENCODE_EXPERIMENTAL"];

/// Returns the inherited variables that reach the run.
pub(crate) fn passed_on(inherited: &Environment, isolation: &Isolation) -> Environment {
    let mut env = inherited.clone();
    env.remove_all(|name| is_one_of(name, &OF_THE_PARENT));
    if isolation.user_config != UserConfig::Inherit {
        env.remove_all(is_user_config);
    }
    if isolation.data != DataHome::User {
        env.remove("OPENCODE_DB");
    }
    env
}

/// Returns the variables that callers cannot set, each with the setting to use instead.
pub(crate) fn reserved_variables(isolation: &Isolation) -> Vec<(&'static str, &'static str)> {
    let mut reserved = vec![("PWD", "the directory of the run")];
    if isolation.cache == CacheHome::Private {
        reserved.push(("XDG_CACHE_HOME", "`Isolation::with_cache`"));
    }
    if isolation.data != DataHome::User {
        reserved.push(("XDG_DATA_HOME", "`Isolation::with_data`"));
    }
    if isolation.project_config == ProjectConfig::Ignore {
        reserved.push(("OPENCODE_DISABLE_PROJECT_CONFIG", "`Isolation::with_project_config`"));
    }
    if isolation.temp == TempHome::Private {
        reserved.extend(TEMP_VARIABLES.map(|name| (name, "`Isolation::with_temp`")));
    }
    if isolation.user_config != UserConfig::Inherit {
        reserved.extend(
            ["OPENCODE_TEST_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"]
                .map(|name| (name, "`Isolation::with_user_config`")),
        );
    }
    reserved
}

fn is_user_config(name: &OsStr) -> bool {
    is_one_of(name, &OF_THE_USER)
        || name.to_str().is_some_and(|name| {
            content::is_content(name)
                || OF_THE_USER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        })
}

fn is_one_of(name: &OsStr, names: &[&str]) -> bool {
    names.iter().any(|candidate| name == *candidate)
}
