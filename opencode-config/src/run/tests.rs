use super::*;
use crate::{
    Approval, Attach, DataHome, FlagValue, PermissionAction, PermissionError, ProjectConfig,
    Resume, UserConfig,
};

fn document(config: &RunConfig) -> String {
    config.config_json().unwrap().to_string()
}

#[test]
fn a_config_without_settings_has_no_document() {
    assert_eq!(RunConfig::new().config_json(), None);
    assert_eq!(RunConfig::new().with_model("a/b".parse().unwrap()).config_json(), None);
}

#[test]
fn instructions_are_left_out_empty_or_listed() {
    assert_eq!(document(&RunConfig::new().with_instructions::<&str>([])), r#"{"instructions":[]}"#);
    let listed = RunConfig::new().with_instructions(["AGENT.md", "docs/*.md"]);
    assert_eq!(document(&listed), r#"{"instructions":["AGENT.md","docs/*.md"]}"#);
}

#[test]
fn explicit_fields_are_merged_over_the_overrides() {
    let config = RunConfig::new()
        .with_overrides(json!({
            "instructions": ["old.md"],
            "mcp": {"a": {"type": "local", "enabled": true}},
            "model": "a/b",
            "permission": {"bash": "deny", "read": {"*": "allow", "*.env": "deny"}},
            "tools": {"bash": true},
        }))
        .with_permission(Permissions::new().allow("bash").pattern(
            "external_directory",
            "/opt/**",
            PermissionAction::Allow,
        ))
        .with_mcp("a", json!({"enabled": false}))
        .with_mcp("b", json!({"type": "remote"}))
        .with_tool("bash", ToolSwitch::Disabled)
        .with_tool("webfetch", ToolSwitch::Enabled)
        .with_instructions(["new.md"]);
    assert_eq!(
        Json::from(config.config_json().unwrap()),
        json!({
            "instructions": ["new.md"],
            "mcp": {"a": {"type": "local", "enabled": false}, "b": {"type": "remote"}},
            "model": "a/b",
            "permission": {
                "read": {"*": "allow", "*.env": "deny"},
                "bash": "allow",
                "external_directory": {"/opt/**": "allow"},
            },
            "tools": {"bash": false, "webfetch": true},
        }),
        "explicit rules come last"
    );
}

#[test]
fn overrides_stand_where_nothing_explicit_does() {
    let config = RunConfig::new()
        .with_overrides(json!({"instructions": ["old.md"], "share": "auto"}))
        .with_overrides(json!({"share": "disabled"}));
    assert_eq!(document(&config), r#"{"instructions":["old.md"],"share":"disabled"}"#);
}

#[test]
fn overrides_are_an_object() {
    let config = RunConfig::new().with_overrides(json!({"share": "auto"}));
    for (wrong, found) in [(json!([]), "an array"), (json!("x"), "a string"), (json!(null), "null")]
    {
        let config = config.clone().with_overrides(wrong).with_overrides(json!({"a": 1}));
        assert_eq!(config.check_for_serve(), Err(RunConfigError::OverridesNotAnObject { found }));
    }
}

#[test]
fn config_in_variables_of_the_caller_is_checked() {
    let with = |name, value| RunConfig::new().with_env(name, value).check();
    let asks = |path: &str| Err(PermissionError::Ask { path: path.to_owned() }.into());
    let content = r#"{"agent": {"a": {"permission": {"bash": "ask"}}}}"#;
    assert_eq!(with("OPENCODE_CONFIG_CONTENT", content), asks("agent.a.permission.bash"));
    assert_eq!(with("OPENCODE_PERMISSION", r#"{"bash": "ask"}"#), asks("permission.bash"));
    assert_eq!(with("OPENCODE_PERMISSION", r#""allow""#), Ok(()));
    for variable in ["OPENCODE_CONFIG_CONTENT", "OPENCODE_PERMISSION"] {
        let error = with(variable, "{").unwrap_err();
        let RunConfigError::MalformedVariable { variable: found, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(*found, variable);
        assert_eq!(error.to_string(), format!("cannot read the variable {variable} as config"));
    }
}

#[test]
fn settings_of_prompts_are_removed() {
    let config = RunConfig::new().with_env("A", "1").with_tool("bash", ToolSwitch::Disabled);
    let prompting = config
        .clone()
        .with_agent("plan")
        .with_model("a/b".parse().unwrap())
        .with_flags(RunFlags::new().with_title("x"))
        .with_extra_flags(ExtraFlags::new().with("y", true));
    assert_ne!(prompting, config);
    assert_eq!(prompting.without_prompt_settings(), config);
}

#[test]
fn asking_is_refused_wherever_it_is_written() {
    let asks = |path: &str| Err(PermissionError::Ask { path: path.to_owned() }.into());
    let overrides = |value: Json| RunConfig::new().with_overrides(value);
    let field = RunConfig::new().with_permission(Permissions::new().pattern(
        "edit",
        "*.py",
        PermissionAction::Ask,
    ));
    assert_eq!(field.check(), asks("permission.edit.*.py"));
    assert_eq!(overrides(json!({"permission": "ask"})).check(), asks("permission"));
    assert_eq!(overrides(json!({"permission": {"bash": "ask"}})).check(), asks("permission.bash"));
    for kind in ["agent", "mode"] {
        let agents = json!({"x": {"permission": {"edit": {"*": "ask"}}}});
        let config = overrides(JsonObject::new().with(kind, agents).into());
        assert_eq!(config.check(), asks(&format!("{kind}.x.permission.edit.*")));
    }
    assert_eq!(field.check_for_serve(), Ok(()));
}

#[test]
fn asking_is_fine_when_it_is_approved_or_overruled() {
    let ask = RunConfig::new().with_overrides(json!({"permission": {"bash": "ask"}}));
    let auto = RunFlags::new().with_approval(Approval::Auto);
    assert_eq!(ask.clone().with_flags(auto).check(), Ok(()));
    let yolo = ExtraFlags::new().with("yolo", FlagValue::On);
    assert_eq!(ask.clone().with_extra_flags(yolo).check(), Ok(()));
    assert_eq!(ask.with_permission(Permissions::new().allow("bash")).check(), Ok(()));
}

#[test]
fn malformed_rules_are_refused_even_for_a_server() {
    let config = RunConfig::new().with_overrides(json!({"permission": {"bash": "maybe"}}));
    assert_eq!(
        config.check_for_serve().unwrap_err().to_string(),
        "the permission rule `permission.bash` is `maybe`: use `allow`, `ask` or `deny`"
    );
}

#[test]
fn variables_must_be_possible() {
    for name in ["", "A=B", "A\0B"] {
        let error = RunConfig::new().with_env(name, "x").check().unwrap_err();
        assert_eq!(error, RunConfigError::InvalidVariable { name: name.to_owned() });
    }
    let error = RunConfig::new().with_env("A", "sk-\0").check().unwrap_err();
    assert_eq!(error.to_string(), "the variable A contains a NUL character");
}

#[test]
fn variables_of_the_run_itself_are_refused() {
    let refused = |config: &RunConfig, name: &str| {
        let error = config.clone().with_env(name, "x").check_for_serve();
        matches!(error, Err(RunConfigError::ReservedVariable { name: found, .. }) if found == name)
    };
    let private = RunConfig::new();
    let shared = RunConfig::new().with_isolation(Isolation::none());
    assert!(refused(&private, "PWD") && refused(&shared, "PWD"));
    for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "TMPDIR"] {
        assert!(refused(&private, name) && !refused(&shared, name), "{name}");
    }
    for name in
        ["OPENCODE_DB", "OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR", "ANTHROPIC_API_KEY", "HOME"]
    {
        assert!(!refused(&private, name), "{name}");
    }
    let ignoring = Isolation::none().with_project_config(ProjectConfig::Ignore);
    assert!(refused(&shared.with_isolation(ignoring), "OPENCODE_DISABLE_PROJECT_CONFIG"));
}

#[test]
fn relative_instructions_need_a_project() {
    let alone = Isolation::new().with_project_config(ProjectConfig::Ignore);
    let config =
        |path: &str| RunConfig::new().with_isolation(alone.clone()).with_instructions([path]);
    for path in ["/a/b.md", "~/b.md", "https://x.example/b.md", "{env:DOCS}/b.md"] {
        assert_eq!(config(path).check(), Ok(()), "{path}");
    }
    let error = RunConfigError::RelativeInstructions { path: "docs/*.md".into() };
    assert_eq!(config("docs/*.md").check(), Err(error));
    assert_eq!(RunConfig::new().with_instructions(["docs/*.md"]).check(), Ok(()));
}

#[test]
fn flags_that_opencode_would_take_for_absent_are_refused() {
    let with = |flags: RunFlags| RunConfig::new().with_flags(flags).check();
    let empty = |flag| Err(RunConfigError::EmptyValue { flag });
    assert_eq!(RunConfig::new().with_agent("").check(), empty("--agent"));
    assert_eq!(with(RunFlags::new().with_command("")), empty("--command"));
    assert_eq!(with(RunFlags::new().with_file("")), empty("--file"));
    assert_eq!(with(RunFlags::new().with_variant("")), empty("--variant"));
    assert_eq!(with(RunFlags::new().with_resume(Resume::session(""))), empty("--session"));
    assert_eq!(with(RunFlags::new().with_attach(Attach::new(""))), empty("--attach"));
    assert_eq!(with(RunFlags::new().with_title("")), Ok(()), "means: from the prompt");
}

#[test]
fn files_of_a_command_would_be_lost() {
    let flags = RunFlags::new().with_command("review").with_file("a.txt");
    assert_eq!(
        RunConfig::new().with_flags(flags).check(),
        Err(RunConfigError::CommandWithFiles { command: "review".into() })
    );
}

#[test]
fn urls_carry_no_credentials() {
    let check = |url: &str| {
        RunConfig::new().with_flags(RunFlags::new().with_attach(Attach::new(url))).check()
    };
    assert_eq!(check("http://me:sk-secret@host:1/x"), Err(RunConfigError::CredentialsInUrl));
    assert_eq!(check("http://me@host"), Err(RunConfigError::CredentialsInUrl));
    assert_eq!(check("http://host:1/a@b"), Ok(()));
}

#[test]
fn flags_that_end_the_stream_are_refused_in_every_spelling() {
    for name in ["format", "help", "h", "version", "v", "interactive", "i", "mini", "no-format"] {
        let config =
            RunConfig::new().with_extra_flags(ExtraFlags::new().with(name, FlagValue::Off));
        assert_eq!(config.check(), Err(RunConfigError::ProtectedFlag { flag: name.into() }));
    }
    for name in ["", "-", "--", "--title", "a=b", "a b", "format.x", "é"] {
        let config = RunConfig::new().with_extra_flags(ExtraFlags::new().with(name, "x"));
        assert_eq!(config.check(), Err(RunConfigError::MalformedFlag { flag: name.into() }));
    }
}

#[test]
fn debug_shows_no_secrets() {
    let config = RunConfig::new()
        .with_env("KEY", "sk-secret")
        .with_mcp("tracker", json!({"headers": {"Authorization": "sk-secret"}}))
        .with_overrides(json!({"provider": {"x": {"options": {"apiKey": "sk-secret"}}}}))
        .with_extra_flags(ExtraFlags::new().with("password", "sk-secret"));
    let shown = format!("{config:?}");
    assert!(!shown.contains("secret"), "{shown}");
    for name in ["KEY", "tracker", "provider", "password"] {
        assert!(shown.contains(name), "{name} in {shown}");
    }
}

#[test]
fn the_default_is_private_with_the_users_providers() {
    let config = RunConfig::default();
    assert_eq!(config.isolation().data(), &DataHome::Private);
    assert_eq!(config.isolation().user_config(), UserConfig::Providers);
    assert_eq!(config.isolation().project_config(), ProjectConfig::Inherit);
}
