//! npm packages among the plugins of configs.

use std::path::{Path, PathBuf};

use crate::plan::UserHomes;
use crate::{Environment, Json, JsonObject, ProjectConfig, RunConfig, UserConfig};

const CONFIG_NAMES: [&str; 2] = ["opencode.json", "opencode.jsonc"];
const USER_NAMES: [&str; 3] = ["config.json", "opencode.json", "opencode.jsonc"];

impl RunConfig {
    /// Returns the config files of the user that may name plugins of the run: all of them when the
    /// user's config is inherited, and none otherwise.
    #[must_use]
    pub fn user_plugin_sources(&self, inherited: &Environment) -> Vec<PathBuf> {
        if self.isolation().user_config() != UserConfig::Inherit {
            return Vec::new();
        }
        let homes = UserHomes::new(inherited);
        let global = homes.config().into_iter();
        let global = global.flat_map(|home| USER_NAMES.map(|name| home.join(name)));
        let own = homes.dot_opencode().into_iter();
        let own = own.flat_map(|home| CONFIG_NAMES.map(|name| home.join(name)));
        global.chain(own).collect()
    }

    /// Returns the config files in a directory of the project that may name plugins of the run.
    /// OpenCode reads those of the working directory and of all parents up to the root of the
    /// repository.
    #[must_use]
    pub fn project_plugin_sources(&self, directory: &Path) -> Vec<PathBuf> {
        if self.isolation().project_config() == ProjectConfig::Ignore {
            return Vec::new();
        }
        let places = [directory.to_owned(), directory.join(".opencode")];
        places.iter().flat_map(|place| CONFIG_NAMES.map(|name| place.join(name))).collect()
    }
}

/// Returns the npm packages among the plugins of a config, each as OpenCode names the directory of
/// the installation: `name@version`, with the version `latest` where the config names none.
///
/// ```
/// use opencode_config::{npm_plugins, parse_jsonc};
///
/// let config = parse_jsonc(br#"{"plugin": ["a@1.0.0", ["@s/b", {}], "./c.js", "file:///d.js"]}"#)?;
/// assert_eq!(npm_plugins(&config), ["a@1.0.0", "@s/b@latest"]);
/// # Ok::<(), opencode_config::JsoncError>(())
/// ```
#[must_use]
pub fn npm_plugins(config: &JsonObject) -> Vec<String> {
    let listed = config.get("plugin").and_then(Json::as_array);
    listed.into_iter().flatten().filter_map(package).collect()
}

fn package(plugin: &Json) -> Option<String> {
    let name = plugin.as_str().or_else(|| plugin.as_array()?.first()?.as_str())?;
    let is_package = name.starts_with(|first: char| first == '@' || first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@/._-~^".contains(&byte))
        && name.matches('/').count() == usize::from(name.starts_with('@'))
        && !name.contains("..");
    let has_version = name.get(1..).is_some_and(|rest| rest.contains('@'));
    is_package.then(|| if has_version { name.to_owned() } else { format!("{name}@latest") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Isolation, parse_jsonc};

    #[test]
    fn only_packages_of_the_registry_are_named() {
        let plugins = |list: &str| {
            npm_plugins(&parse_jsonc(format!(r#"{{"plugin": {list}}}"#).as_bytes()).expect("JSON"))
        };
        assert_eq!(plugins(r#"["a", "a@^1.2", "@s/a@2"]"#), ["a@latest", "a@^1.2", "@s/a@2"]);
        let others = r#"["./a.js", "/a.js", "~/a.js", "file:///a.js", "a/b", "@s/../a", "{env:A}",
            "git+ssh://a", "@s", 1, [], ["../a"], ""]"#;
        assert_eq!(plugins(others), [""; 0]);
        assert_eq!(plugins("1"), [""; 0]);
        assert_eq!(npm_plugins(&JsonObject::new()), [""; 0]);
    }

    #[test]
    fn sources_are_those_that_opencode_reads() {
        let config = RunConfig::new();
        let env = Environment::new().with_var("HOME", "/home/me");
        assert!(config.user_plugin_sources(&env).is_empty());
        let found = config.project_plugin_sources(Path::new("/p"));
        assert_eq!(found[0], Path::new("/p/opencode.json"));
        assert_eq!(found[3], Path::new("/p/.opencode/opencode.jsonc"));
        let strict = Isolation::none().with_project_config(ProjectConfig::Ignore);
        let config = RunConfig::new().with_isolation(strict);
        assert!(config.project_plugin_sources(Path::new("/p")).is_empty());
        let found = config.user_plugin_sources(&env);
        assert_eq!(found[0], Path::new("/home/me/.config/opencode/config.json"));
        assert_eq!(found[4], Path::new("/home/me/.opencode/opencode.jsonc"));
    }
}
