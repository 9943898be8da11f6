mod variables;

use std::ffi::OsString;
use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::isolation::{PluginHome, ProjectConfig};
use crate::{Isolation, Json, JsonObject, Permissions, RunConfigError};

const ROOT: &str = "/run/1";

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect()
}

/// A user with a home directory.
fn user() -> Environment {
    environment(&[("HOME", "/home/me"), ("PATH", "/bin")])
}

fn config(isolation: Isolation) -> RunConfig {
    RunConfig::new().with_isolation(isolation)
}

/// A plan in which the sources hold `contents` by path, and nothing else exists.
fn plan_with(config: &RunConfig, env: &Environment, contents: &[(&str, &str)]) -> IsolationPlan {
    let read = |source: ConfigSource| {
        let content = contents.iter().find(|(path, _)| source.path() == Path::new(path));
        let content = content.map_or(SourceContent::Missing, |(_, text)| {
            SourceContent::Found(Bytes::copy_from_slice(text.as_bytes()))
        });
        ReadSource::new(source, content)
    };
    let read = config.sources(env).into_iter().map(read).collect();
    IsolationPlan::new(config, env, ROOT, read).unwrap()
}

fn plan(config: &RunConfig, env: &Environment) -> IsolationPlan {
    plan_with(config, env, &[])
}

fn var<'a>(plan: &'a IsolationPlan, name: &str) -> Option<&'a str> {
    plan.environment.var(name).map(|value| value.to_str().unwrap())
}

fn directories(plan: &IsolationPlan) -> Vec<&str> {
    plan.directories.iter().map(|directory| directory.path.to_str().unwrap()).collect()
}

fn links(plan: &IsolationPlan) -> Vec<(&str, &str)> {
    let links = plan.links.iter();
    links.map(|link| (link.at.to_str().unwrap(), link.target.to_str().unwrap())).collect()
}

fn file(plan: &IsolationPlan, path: &str) -> Option<Json> {
    let file = plan.files.iter().find(|file| file.path == Path::new(path))?;
    Some(std::str::from_utf8(&file.contents).unwrap().parse().unwrap())
}

fn sources(config: &RunConfig, env: &Environment) -> Vec<String> {
    let sources = config.sources(env).into_iter();
    sources.map(|source| source.path().to_str().unwrap().to_owned()).collect()
}

#[test]
fn sources_are_the_files_that_opencode_reads() {
    let config = RunConfig::new();
    assert_eq!(
        sources(&config, &user()),
        [
            "/home/me/.config/opencode/config.json",
            "/home/me/.config/opencode/opencode.json",
            "/home/me/.config/opencode/opencode.jsonc",
            "/home/me/.opencode/opencode.json",
            "/home/me/.opencode/opencode.jsonc",
        ]
    );
}

#[test]
fn sources_follow_the_variables_that_move_them() {
    let mut env = user();
    env.set("XDG_CONFIG_HOME", "/xdg");
    env.set("OPENCODE_TEST_HOME", "/elsewhere");
    let paths = sources(&RunConfig::new(), &env);
    assert_eq!(
        (&*paths[0], &*paths[3]),
        ("/xdg/opencode/config.json", "/elsewhere/.opencode/opencode.json")
    );

    env.set("XDG_CONFIG_HOME", "");
    assert_eq!(sources(&RunConfig::new(), &env)[0], "/home/me/.config/opencode/config.json");
    let moved = RunConfig::new().with_env("HOME", "/home/you");
    assert_eq!(sources(&moved, &env)[0], "/home/you/.config/opencode/config.json");
}

#[test]
fn files_that_are_not_copied_are_not_read() {
    for user_config in [UserConfig::Ignore, UserConfig::Inherit] {
        let config = config(Isolation::new().with_user_config(user_config));
        assert_eq!(sources(&config, &user()), Vec::<String>::new());
    }
}

#[test]
fn a_private_run_has_directories_of_its_own() {
    let plan = plan(&RunConfig::new(), &user());
    assert_eq!(
        directories(&plan),
        [
            "/run/1",
            "/run/1/data",
            "/run/1/data/opencode",
            "/run/1/cache",
            "/run/1/cache/opencode",
            "/run/1/cache/opencode/bin",
            "/run/1/cache/opencode/packages",
            "/run/1/tmp",
            "/run/1/config",
            "/run/1/config/opencode",
            "/run/1/config/opencode/node_modules",
            "/run/1/home",
            "/run/1/state",
            "/run/1/state/opencode",
        ]
    );
    for (name, value) in [
        ("XDG_DATA_HOME", "/run/1/data"),
        ("XDG_CACHE_HOME", "/run/1/cache"),
        ("XDG_CONFIG_HOME", "/run/1/config"),
        ("XDG_STATE_HOME", "/run/1/state"),
        ("OPENCODE_TEST_HOME", "/run/1/home"),
        ("TMPDIR", "/run/1/tmp"),
        ("TMP", "/run/1/tmp"),
        ("TEMP", "/run/1/tmp"),
        ("OPENCODE_DISABLE_AUTOUPDATE", "1"),
        ("HOME", "/home/me"),
        ("PATH", "/bin"),
    ] {
        assert_eq!(var(&plan, name), Some(value), "{name}");
    }
    assert_eq!(plan.environment.len(), 11);
    assert!(plan.directories.iter().all(|directory| directory.mode == 0o700));
    assert!(plan.files.iter().all(|file| file.mode == 0o600));
    assert_eq!(plan.warnings, []);
}

#[test]
fn credentials_and_downloads_are_linked() {
    let plan = plan(&RunConfig::new(), &user());
    assert_eq!(
        links(&plan),
        [
            ("/run/1/data/opencode/auth.json", "/home/me/.local/share/opencode/auth.json"),
            ("/run/1/data/opencode/mcp-auth.json", "/home/me/.local/share/opencode/mcp-auth.json"),
            ("/run/1/cache/opencode/models.json", "/home/me/.cache/opencode/models.json"),
            ("/run/1/cache/opencode/bin/rg", "/home/me/.cache/opencode/bin/rg"),
        ]
    );
}

#[test]
fn a_data_home_of_the_caller_is_reused() {
    let kept = config(Isolation::new().with_data(DataHome::At("/kept".into())));
    let plan = plan(&kept, &user());
    assert_eq!(var(&plan, "XDG_DATA_HOME"), Some("/kept"));
    assert_eq!(directories(&plan)[..2], ["/kept", "/kept/opencode"]);
    assert_eq!(links(&plan)[0].0, "/kept/opencode/auth.json");

    let mut env = user();
    env.set("XDG_DATA_HOME", "/kept");
    let own = IsolationPlan::new(&kept, &env, ROOT, Vec::new()).unwrap();
    assert!(!links(&own).iter().any(|(at, _)| at.contains("auth.json")), "no link to itself");
}

#[test]
fn a_run_without_isolation_plans_nothing() {
    let mut env = user();
    env.set("OPENCODE_CONFIG", "/x.json");
    env.set("OPENCODE_DB", "/x.db");
    let plan = plan(&config(Isolation::none()), &env);
    assert_eq!((plan.directories.len(), plan.files.len(), plan.links.len()), (0, 0, 0));
    env.set("OPENCODE_DISABLE_AUTOUPDATE", "1");
    assert_eq!(plan.environment, env);
    assert_eq!(plan.warnings, []);
}

#[test]
fn shared_directories_share_their_locks() {
    let locks = ("/run/1/state/opencode/locks", "/home/me/.local/state/opencode/locks");
    for isolation in
        [Isolation::new().with_cache(CacheHome::User), Isolation::new().with_data(DataHome::User)]
    {
        let plan = plan(&config(isolation), &user());
        assert!(links(&plan).contains(&locks), "{:?}", plan.links);
    }
}

#[test]
fn an_ignored_project_is_a_variable() {
    let ignoring = config(Isolation::new().with_project_config(ProjectConfig::Ignore));
    assert_eq!(var(&plan(&ignoring, &user()), "OPENCODE_DISABLE_PROJECT_CONFIG"), Some("1"));
    let mut env = user();
    env.set("OPENCODE_DISABLE_PROJECT_CONFIG", "true");
    let inherited = plan(&RunConfig::new(), &env);
    assert_eq!(var(&inherited, "OPENCODE_DISABLE_PROJECT_CONFIG"), Some("true"));
}

#[test]
fn only_providers_of_the_user_are_copied() {
    let global = json!({
        "$schema": "https://opencode.ai/config.json",
        "provider": {"openai": {"options": {"baseURL": "https://x.example/v1"}}},
        "disabled_providers": ["anthropic"],
        "enabled_providers": ["openai"],
        "model": "anthropic/claude", "small_model": "x/y", "default_agent": "build",
        "mcp": {"m": {}}, "agent": {"a": {}}, "mode": {"plan": {}}, "command": {"c": {}},
        "skills": {}, "plugin": ["p"], "tools": {"bash": true}, "formatter": {}, "lsp": {},
        "instructions": ["AGENTS.md"], "permission": {"bash": "deny"}, "experimental": {},
        "watcher": {}, "share": "auto", "autoupdate": false, "username": "me", "shell": "sh",
        "logLevel": "DEBUG", "server": {}, "references": {}, "something_new": 1,
    });
    let home = "// mine\n{\"provider\": {\"anthropic\": {},}, \"agent\": {\"a\": {}}}";
    let contents = [
        ("/home/me/.config/opencode/opencode.json", &*global.to_string()),
        ("/home/me/.opencode/opencode.jsonc", home),
    ];
    let plan = plan_with(&RunConfig::new(), &user(), &contents);
    assert_eq!(
        file(&plan, "/run/1/config/opencode/opencode.json"),
        Some(json!({
            "$schema": "https://opencode.ai/config.json",
            "provider": {"openai": {"options": {"baseURL": "https://x.example/v1"}}},
            "disabled_providers": ["anthropic"],
            "enabled_providers": ["openai"],
        }))
    );
    assert_eq!(
        file(&plan, "/run/1/home/.opencode/opencode.jsonc"),
        Some(json!({"provider": {"anthropic": {}}}))
    );
    assert_eq!(file(&plan, "/run/1/config/opencode/config.json"), None);
}

#[test]
fn config_directories_look_installed() {
    let contents = [("/home/me/.opencode/opencode.json", "{}")];
    let plan = plan_with(&RunConfig::new(), &user(), &contents);
    for directory in ["/run/1/config/opencode", "/run/1/home/.opencode"] {
        let modules = format!("{directory}/node_modules");
        assert!(directories(&plan).contains(&&*modules), "{modules}");
        let lock = file(&plan, &format!("{directory}/package-lock.json")).unwrap();
        let dependencies = ["packages", "", "dependencies"];
        let dependencies = dependencies.iter().try_fold(&lock, |value, key| value.get(key));
        assert!(dependencies.and_then(|names| names.get("@opencode-ai/plugin")).is_some());
    }
}

#[test]
fn relative_references_are_anchored_where_they_came_from() {
    let provider = |reference: &str| {
        let options = JsonObject::new().with("apiKey", reference);
        let provider = JsonObject::new().with("x", JsonObject::new().with("options", options));
        Json::from(JsonObject::new().with("provider", provider))
    };
    for (written, copied) in [
        ("{file:key}", "{file:/home/me/.config/opencode/key}"),
        ("{file:./a/../key.txt}", "{file:/home/me/.config/opencode/key.txt}"),
        ("{file:../../key}", "{file:/home/me/key}"),
        (
            "a {file:x} b {file:y}",
            "a {file:/home/me/.config/opencode/x} b {file:/home/me/.config/opencode/y}",
        ),
        ("{file:/etc/key}", "{file:/etc/key}"),
        ("{file:~/key}", "{file:~/key}"),
        ("{file:{env:DIR}/key}", "{file:{env:DIR}/key}"),
        ("{file:keys/{env:NAME}}", "{file:/home/me/.config/opencode/keys/{env:NAME}}"),
        ("{env:KEY}", "{env:KEY}"),
        ("{file:}", "{file:}"),
        ("{file:open", "{file:open"),
    ] {
        let contents = provider(written).to_string();
        let contents = [("/home/me/.config/opencode/config.json", &*contents)];
        let plan = plan_with(&RunConfig::new(), &user(), &contents);
        let copy = file(&plan, "/run/1/config/opencode/config.json");
        assert_eq!(copy, Some(provider(copied)), "{written}");
    }
}

#[test]
fn files_that_cannot_be_used_are_left_out_with_a_warning() {
    let config = RunConfig::new();
    let contents = |index| match index {
        0 => SourceContent::Found(Bytes::from_static(b"this is not json")),
        1 => SourceContent::Found(Bytes::from_static(b"[]")),
        2 => SourceContent::Unreadable("permission denied".to_owned()),
        3 => SourceContent::Found(Bytes::new()),
        _ => SourceContent::Found(Bytes::from_static(b"{\"provider\": {}}")),
    };
    let sources = config.sources(&user()).into_iter().enumerate();
    let read = sources.map(|(index, source)| ReadSource::new(source, contents(index)));
    let plan = IsolationPlan::new(&config, &user(), ROOT, read.collect()).unwrap();

    let messages: Vec<_> = plan.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "the config file /home/me/.config/opencode/config.json is left out",
            "the config file /home/me/.config/opencode/opencode.json is left out",
            "the config file /home/me/.config/opencode/opencode.jsonc is left out: \
             permission denied",
        ]
    );
    let cause =
        |index: usize| std::error::Error::source(&plan.warnings[index]).unwrap().to_string();
    assert_eq!(cause(0), "unexpected word at line 1, column 1");
    assert_eq!(cause(1), "the root is an array, not an object");
    let copies: Vec<_> =
        plan.files.iter().filter(|file| !file.path.ends_with("package-lock.json")).collect();
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].path, Path::new("/run/1/home/.opencode/opencode.jsonc"));
}

#[test]
fn an_unknown_home_is_a_warning() {
    let lost = plan(&RunConfig::new(), &environment(&[("PATH", "/bin")]));
    assert_eq!(lost.warnings, [ConfigWarning::HomeUnknown]);
    assert_eq!(lost.links, []);
    let relative = environment(&[("HOME", "/home/me"), ("XDG_CONFIG_HOME", "config")]);
    let relative = plan(&RunConfig::new(), &relative);
    assert_eq!(relative.warnings, [ConfigWarning::RelativeHome { variable: "XDG_CONFIG_HOME" }]);
}

#[test]
fn paths_are_absolute() {
    let error = |path: &str| Err(RunConfigError::RelativeDirectory { path: path.into() });
    assert_eq!(IsolationPlan::new(&RunConfig::new(), &user(), "run", Vec::new()), error("run"));
    let at = config(Isolation::new().with_data(DataHome::At("data".into())));
    assert_eq!(IsolationPlan::new(&at, &user(), ROOT, Vec::new()), error("data"));
}

#[test]
fn an_invalid_config_is_not_planned() {
    let config = RunConfig::new().with_env("PWD", "/x");
    let error = IsolationPlan::new(&config, &user(), ROOT, Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the variable PWD is set by the run itself: use the directory of the run"
    );
}

#[test]
fn debug_shows_no_contents() {
    let mut env = user();
    env.set("KEY", "sk-secret");
    let provider = r#"{"provider": {"x": {"options": {"apiKey": "sk-secret"}}}}"#;
    let contents = [("/home/me/.opencode/opencode.json", provider)];
    let plan = plan_with(&RunConfig::new(), &env, &contents);
    let read = SourceContent::Found(Bytes::from_static(b"sk-secret"));
    let shown = format!("{plan:?} {read:?}");
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("/run/1/home/.opencode/opencode.json") && shown.contains("KEY"));
}

#[test]
fn a_command_gate_is_the_shell_of_the_config() {
    let config = config(Isolation::none()).with_command_gate(CommandGate::Approved);
    let plan = plan(&config, &user());
    let content: Json = var(&plan, "OPENCODE_CONFIG_CONTENT").unwrap().parse().unwrap();
    let shell = "/run/1/command-gate/bash";
    assert_eq!(content, JsonObject::new().with("shell", shell).into());
    let script = plan.files.iter().find(|file| file.path == Path::new(shell)).unwrap();
    assert_eq!(script.mode, 0o700);
    assert!(directories(&plan).contains(&"/run/1/command-gate/approved"));
    let approvals = CommandGate::approvals(Path::new(shell));
    assert_eq!(approvals.as_deref(), Some(Path::new("/run/1/command-gate/approved")));
    for other in ["/bin/bash", "/x/command-gate/zsh", "/command-gate", "bash", ""] {
        assert_eq!(CommandGate::approvals(Path::new(other)), None, "{other}");
    }
    assert_eq!(config.check(), Err(RunConfigError::CommandGate), "`opencode run` has no approvals");
    assert_eq!(config.check_for_serve(), Ok(()));
}

#[test]
fn packages_of_plugins_are_kept_for_all_runs_unless_they_are_private() {
    let env = Environment::new().with_var("HOME", "/home/me");
    let kept = |isolation: Isolation| {
        let config = RunConfig::new().with_isolation(isolation);
        let plan = IsolationPlan::new(&config, &env, "/run/1", Vec::new());
        plan.map(|plan| plan.packages.map(|packages| packages.kept))
    };
    let machine = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    let default = Path::new("/home/me/.cache/opencode-rs/plugins").join(machine);
    assert_eq!(kept(Isolation::new()), Ok(Some(default)));
    let at = |home: &str| kept(Isolation::new().with_plugins(PluginHome::At(home.into())));
    assert_eq!(at("/kept"), Ok(Some("/kept".into())));
    assert_eq!(at("kept"), Err(RunConfigError::RelativeDirectory { path: "kept".into() }));
    assert_eq!(kept(Isolation::new().with_plugins(PluginHome::Private)), Ok(None));
    assert_eq!(kept(Isolation::none()), Ok(None), "OpenCode keeps them in the user's cache");
}
