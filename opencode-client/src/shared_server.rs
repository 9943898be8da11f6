//! What a server has once, for all that runs on it.

use opencode_config::RunConfig;

/// What of a configuration a server would have to be started with.
pub(crate) fn needs_its_own(config: &RunConfig) -> Option<&'static str> {
    let default = RunConfig::default();
    let settings = [
        ("environment", config.env != default.env),
        ("instructions", config.instructions != default.instructions),
        ("isolation", config.isolation != default.isolation),
        ("MCP servers", config.mcp != default.mcp),
        ("overrides", config.overrides != default.overrides),
        ("permissions", config.permission != default.permission),
        ("tools", config.tools != default.tools),
    ];
    settings.into_iter().find(|(_, differs)| *differs).map(|(setting, _)| setting)
}
