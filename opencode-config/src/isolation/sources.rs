//! Config files of the user that are copied.

use std::path::Path;

use super::homes::UserHomes;
use super::{ConfigSource, SourceDirectory, UserConfig};
use crate::{Environment, RunConfig};

/// In the order in which OpenCode reads them.
const GLOBAL_NAMES: [&str; 3] = ["config.json", "opencode.json", "opencode.jsonc"];
const HOME_NAMES: [&str; 2] = ["opencode.json", "opencode.jsonc"];

pub(super) fn of(config: &RunConfig, inherited: &Environment) -> Vec<ConfigSource> {
    match config.isolation().user_config {
        UserConfig::Ignore | UserConfig::Inherit => return Vec::new(),
        UserConfig::Providers => {}
    }
    let env = overlaid(config, inherited);
    let homes = UserHomes::new(&env);
    let source = |parent: &Path, file_name, directory| ConfigSource {
        path: parent.join(file_name),
        file_name,
        directory,
    };
    let global = homes.config().into_iter().flat_map(|directory| {
        GLOBAL_NAMES.map(|name| source(&directory, name, SourceDirectory::Global))
    });
    let home = homes.dot_opencode().into_iter().flat_map(|directory| {
        HOME_NAMES.map(|name| source(&directory, name, SourceDirectory::Home))
    });
    global.chain(home).collect()
}

/// Returns the inherited variables with those of the config on top, which name the user's
/// directories.
pub(super) fn overlaid(config: &RunConfig, inherited: &Environment) -> Environment {
    let mut env = inherited.clone();
    env.extend(config.env().clone());
    env
}
