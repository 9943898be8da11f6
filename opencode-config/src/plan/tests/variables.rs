//! Variables and config that a run inherits.

use super::*;

#[test]
fn variables_of_a_parent_never_reach_a_run() {
    let mut env = user();
    for name in [
        "AGENT",
        "OPENCODE",
        "OPENCODE_PID",
        "OPENCODE_SERVER_PASSWORD",
        "OPENCODE_SERVER_USERNAME",
        "OPENCODE_LOG_LEVEL",
        "OPENCODE_PRINT_LOGS",
        "OPENCODE_CONSOLE_TOKEN",
    ] {
        env.set(name, "parent");
    }
    for isolation in [Isolation::new(), Isolation::none()] {
        let plan = plan(&config(isolation), &env);
        let left = plan.environment.iter().find(|(_, value)| *value == "parent");
        assert_eq!(left, None);
    }
}

#[test]
fn settings_of_the_user_reach_a_run_that_inherits_them() {
    let settings = [
        "OPENCODE_AUTO_SHARE",
        "OPENCODE_CLIENT",
        "OPENCODE_CONFIG",
        "OPENCODE_CONFIG_CONTENT",
        "OPENCODE_CONFIG_CONTENT_0",
        "OPENCODE_CONFIG_DIR",
        "OPENCODE_PERMISSION",
        "OPENCODE_EXPERIMENTAL",
        "OPENCODE_ENABLE_EXA",
        "OPENCODE_EXPERIMENTAL_PLAN_MODE",
        "OPENCODE_DISABLE_AUTOCOMPACT",
        "OPENCODE_TUI_CONFIG",
    ];
    let kept = [
        "ANTHROPIC_API_KEY",
        "OPENCODE_API_KEY",
        "OPENCODE_AUTH_CONTENT",
        "OPENCODE_MODELS_PATH",
        "OPENCODE_PURE",
        "OPENCODE_DISABLE_LSP_DOWNLOAD",
        "OPENCODE_OF_MY_OWN",
    ];
    let mut env = user();
    for name in settings.into_iter().chain(kept) {
        env.set(name, "user");
    }
    let private = plan(&RunConfig::new(), &env);
    let inheriting = plan(&config(Isolation::new().with_user_config(UserConfig::Inherit)), &env);
    for name in settings {
        assert_eq!((var(&private, name), var(&inheriting, name)), (None, Some("user")), "{name}");
    }
    for name in kept {
        assert_eq!(
            (var(&private, name), var(&inheriting, name)),
            (Some("user"), Some("user")),
            "{name}"
        );
    }
}

#[test]
fn the_database_of_the_user_is_not_inherited() {
    let mut env = user();
    env.set("OPENCODE_DB", "/x.db");
    assert_eq!(var(&plan(&RunConfig::new(), &env), "OPENCODE_DB"), None);
    let shared = config(Isolation::new().with_data(DataHome::User));
    assert_eq!(var(&plan(&shared, &env), "OPENCODE_DB"), Some("/x.db"));
    let explicit = RunConfig::new().with_env("OPENCODE_DB", ":memory:");
    assert_eq!(var(&plan(&explicit, &env), "OPENCODE_DB"), Some(":memory:"));
}

#[test]
fn explicit_variables_win() {
    let mut env = user();
    env.set("A", "inherited");
    let explicit = RunConfig::new()
        .with_env("A", "explicit")
        .with_env("OPENCODE_DISABLE_AUTOUPDATE", "0")
        .with_env("OPENCODE_EXPERIMENTAL", "1");
    let plan = plan(&explicit, &env);
    for (name, value) in
        [("A", "explicit"), ("OPENCODE_DISABLE_AUTOUPDATE", "0"), ("OPENCODE_EXPERIMENTAL", "1")]
    {
        assert_eq!(var(&plan, name), Some(value));
    }
}

#[test]
fn the_config_of_the_run_is_a_variable() {
    let config = RunConfig::new().with_permission(Permissions::new().deny("*").allow("bash"));
    let content = var(&plan(&config, &user()), "OPENCODE_CONFIG_CONTENT").map(str::to_owned);
    assert_eq!(content.as_deref(), Some(r#"{"permission":{"*":"deny","bash":"allow"}}"#));
    assert_eq!(var(&plan(&RunConfig::new(), &user()), "OPENCODE_CONFIG_CONTENT"), None);
}

#[test]
fn an_inherited_config_lies_below_that_of_the_run() {
    let env = user()
        .with_var("OPENCODE_CONFIG_CONTENT", "{env:OPENCODE_CONFIG_CONTENT_0}")
        .with_var("OPENCODE_CONFIG_CONTENT_0", r#"{"share": "auto", "username": "me"}"#);
    let inherit = config(Isolation::none());
    let untouched = plan(&inherit, &env);
    assert_eq!(var(&untouched, "OPENCODE_CONFIG_CONTENT"), Some("{env:OPENCODE_CONFIG_CONTENT_0}"));
    let merged = plan(&inherit.with_overrides(json!({"username": "ci"})), &env);
    assert_eq!(
        var(&merged, "OPENCODE_CONFIG_CONTENT"),
        Some(r#"{"share":"auto","username":"ci"}"#)
    );
    assert_eq!(var(&merged, "OPENCODE_CONFIG_CONTENT_0"), None);
    assert_eq!(merged.warnings, []);
}

#[test]
fn inherited_rules_lie_below_those_of_the_run() {
    let env = user().with_var("OPENCODE_PERMISSION", r#"{"bash": "allow", "webfetch": "deny"}"#);
    let inherit = config(Isolation::none());
    let without_rules = plan(&inherit.clone().with_instructions(["a.md"]), &env);
    assert_eq!(
        without_rules.environment.var("OPENCODE_PERMISSION"),
        env.var("OPENCODE_PERMISSION")
    );
    assert_eq!(
        var(&without_rules, "OPENCODE_CONFIG_CONTENT"),
        Some(r#"{"instructions":["a.md"]}"#)
    );
    let rules = Permissions::new().deny("*").allow("read");
    let with_rules = plan(&inherit.with_permission(rules.clone()), &env);
    assert_eq!(
        var(&with_rules, "OPENCODE_CONFIG_CONTENT"),
        Some(r#"{"permission":{"bash":"allow","webfetch":"deny","*":"deny","read":"allow"}}"#)
    );
    assert_eq!(var(&with_rules, "OPENCODE_PERMISSION"), None, "the variable would win");
    let private = plan(&RunConfig::new().with_permission(rules), &env);
    assert_eq!(
        var(&private, "OPENCODE_CONFIG_CONTENT"),
        Some(r#"{"permission":{"*":"deny","read":"allow"}}"#)
    );
}

#[test]
fn config_in_variables_of_the_caller_lies_below_that_of_the_run() {
    let config = RunConfig::new()
        .with_env("OPENCODE_CONFIG_CONTENT", r#"{"instructions": ["~/a.md"], "share": "auto"}"#)
        .with_env("OPENCODE_PERMISSION", r#"{"bash": "allow"}"#)
        .with_permission(Permissions::new().deny("edit"));
    let env = user().with_var("OPENCODE_CONFIG_CONTENT", r#"{"username": "me"}"#);
    let plan = plan(&config, &env);
    assert_eq!(
        var(&plan, "OPENCODE_CONFIG_CONTENT"),
        Some(concat!(
            r#"{"instructions":["/home/me/a.md"],"share":"auto","#,
            r#""permission":{"bash":"allow","edit":"deny"}}"#,
        ))
    );
}

#[test]
fn inherited_variables_that_are_no_config_are_left_out_with_a_warning() {
    let env =
        user().with_var("OPENCODE_CONFIG_CONTENT", "{").with_var("OPENCODE_PERMISSION", "never");
    let inherit = config(Isolation::none()).with_permission(Permissions::new().deny("bash"));
    let plan = plan(&inherit, &env);
    let messages: Vec<_> = plan.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "the inherited variable OPENCODE_CONFIG_CONTENT is left out",
            "the inherited variable OPENCODE_PERMISSION is left out",
        ]
    );
    assert_eq!(var(&plan, "OPENCODE_CONFIG_CONTENT"), Some(r#"{"permission":{"bash":"deny"}}"#));
}

#[test]
fn home_stays_home_where_opencode_would_take_the_private_one() {
    let overrides = json!({
        "instructions": ["~/notes.md", "docs/*.md"],
        "skills": {"paths": ["~/skills", "/x"]},
        "permission": {"edit": {"~/x/**": "deny"}},
    });
    let private = RunConfig::new().with_overrides(overrides.clone());
    let content = |config: &RunConfig| {
        let plan = plan(config, &user());
        var(&plan, "OPENCODE_CONFIG_CONTENT").unwrap().parse::<Json>().unwrap()
    };
    assert_eq!(
        content(&private),
        json!({
            "instructions": ["/home/me/notes.md", "docs/*.md"],
            "skills": {"paths": ["/home/me/skills", "/x"]},
            "permission": {"edit": {"~/x/**": "deny"}},
        })
    );
    let inheriting = config(Isolation::none()).with_overrides(overrides.clone());
    assert_eq!(content(&inheriting), overrides);
}
