//! Plans and command lines, tried on the real OpenCode.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the crate is pure, its tests put plans on disk and start the program"
)]

use opencode_config::{
    DataHome, ExtraFlags, FlagValue, Isolation, Json, PermissionAction, Permissions, ProjectConfig,
    Reasoning, Resume, RunConfig, RunFlags, UserConfig,
};
use serde_json::{Value, json};
use testkit::model::{ModelServer, RequestKind};

mod sandbox;

use sandbox::{Sandbox, files};

fn text(value: Option<&Json>) -> String {
    value.unwrap().to_string()
}

/// A user with every kind of setting.
fn settled_user() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.user_config(&json!({
        "provider": {"mine": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "{file:keys/mine.txt}",
            "options": {"baseURL": "http://127.0.0.1:1/{env:USER_PART}"},
        }},
        "disabled_providers": ["theirs"],
        "model": "mine/m1",
        "instructions": ["user.md"],
        "permission": {"bash": "deny"},
        "mcp": {"user": {"type": "local", "command": ["false"], "enabled": false}},
        "agent": {"user": {"description": "of the user"}},
        "share": "disabled",
    }));
    sandbox.write(sandbox.home().join(".config/opencode/keys/mine.txt"), "from a file\n");
    let home = r#"// of the home directory
        {"snapshot": false, "provider": {"home": {"name": "Home"}},}"#;
    sandbox.write(sandbox.home().join(".opencode/opencode.jsonc"), home);
    sandbox.write(sandbox.home().join("extra.json"), r#"{"username": "extra"}"#);
    let extra = sandbox.home().join("extra.json");
    sandbox.inherited.set("OPENCODE_CONFIG", extra);
    sandbox.inherited.set("OPENCODE_PERMISSION", r#"{"webfetch": "deny"}"#);
    sandbox.inherited.set("OPENCODE_DISABLE_PRUNE", "1");
    sandbox.inherited.set("USER_PART", "v1");
    sandbox
}

#[test]
fn by_default_a_run_sees_providers_of_the_user_and_the_whole_project() {
    let sandbox = settled_user();
    sandbox.project_config(&json!({"username": "project", "instructions": ["project.md"]}));
    let before = (files(&sandbox.home()), files(&sandbox.project()));
    let config = RunConfig::new().with_instructions(["run.md"]);

    let resolved = sandbox.resolved(&config);

    let mine = &resolved["provider"]["mine"];
    assert_eq!(mine["name"], "from a file", "the reference leads to the original place");
    assert_eq!(mine["options"]["baseURL"], "http://127.0.0.1:1/v1");
    assert_eq!(resolved["provider"]["home"]["name"], "Home");
    assert_eq!(resolved["disabled_providers"], json!(["theirs"]));
    for key in ["model", "permission", "mcp", "share", "snapshot", "compaction"] {
        assert_eq!(resolved.get(key), None, "`{key}` of the user");
    }
    assert_eq!(resolved["agent"], json!({}));
    assert_eq!(resolved["username"], "project");
    assert_eq!(resolved["instructions"], json!(["project.md", "run.md"]));

    assert_eq!((files(&sandbox.home()), files(&sandbox.project())), before, "only private files");
    let installed = |path: &&std::path::PathBuf| {
        path.components().any(|part| part.as_os_str() == "node_modules")
    };
    assert_eq!(files(&sandbox.root()).iter().find(installed), None, "nothing is installed");
    assert!(!sandbox.root().join("config/opencode/package.json").exists());
}

#[test]
fn a_run_can_see_nothing_but_its_own_config() {
    let sandbox = settled_user();
    sandbox.project_config(&json!({
        "username": "project", "provider": {"project": {}}, "instructions": ["project.md"],
    }));
    sandbox
        .write(sandbox.project().join(".opencode/agent/local.md"), "---\ndescription: x\n---\nhi");
    let isolation = Isolation::new()
        .with_user_config(UserConfig::Ignore)
        .with_project_config(ProjectConfig::Ignore);
    let permission = Permissions::new()
        .deny("*")
        .allow("read")
        .deny("webfetch")
        .allow("bash")
        .pattern("edit", "b*", PermissionAction::Allow)
        .pattern("edit", "a*", PermissionAction::Deny)
        .allow("glob");
    let config = RunConfig::new().with_isolation(isolation).with_permission(permission.clone());

    let resolved = sandbox.resolved_in_order(&config);

    let mut seen = resolved.as_object().unwrap().clone();
    let username = seen.remove("username").unwrap();
    assert!(!["project", "extra"].contains(&username.as_str().unwrap()));
    let rules = seen.remove("permission").unwrap();
    assert_eq!(rules, permission.to_json(), "the order of rules is their meaning");
    assert_eq!(
        serde_json::to_value(seen).unwrap(),
        json!({"agent": {}, "command": {}, "mode": {}, "plugin": []})
    );
}

#[test]
fn an_inherited_config_is_the_users_own() {
    let sandbox = settled_user();
    let config = RunConfig::new()
        .with_isolation(Isolation::new().with_user_config(UserConfig::Inherit))
        .with_overrides(json!({"model": "run/m2"}));

    let resolved = sandbox.resolved(&config);

    assert_eq!(resolved["username"], "extra", "OPENCODE_CONFIG");
    assert_eq!(resolved["model"], "run/m2");
    assert_eq!(resolved["permission"], json!({"bash": "deny", "webfetch": "deny"}));
    assert_eq!(resolved["snapshot"], false);
    assert_eq!(resolved["compaction"]["prune"], false);
    assert_eq!(resolved["agent"].as_object().unwrap().keys().collect::<Vec<_>>(), ["user"]);
    assert_eq!(resolved["instructions"], json!(["user.md"]));
}

#[test]
fn config_in_the_users_environment_lies_below_that_of_the_run() {
    let mut sandbox = settled_user();
    sandbox
        .write(sandbox.home().join("more/opencode.json"), r#"{"snapshot": true, "share": "auto"}"#);
    sandbox.write(sandbox.home().join("more/agent/dir.md"), "---\ndescription: x\n---\nhi");
    let more = sandbox.home().join("more");
    sandbox.inherited.set("OPENCODE_CONFIG_DIR", more);
    let content = r#"{
        // of the user's shell
        "username": "content", "instructions": ["content.md"],
        "permission": {"edit": {"*.md": "deny"}, "read": "deny"},
    }"#;
    sandbox.inherited.set("OPENCODE_CONFIG_CONTENT", content);
    let inheriting =
        RunConfig::new().with_isolation(Isolation::new().with_user_config(UserConfig::Inherit));

    let alone = sandbox.resolved(&inheriting);
    assert_eq!(alone["username"], "content");

    let rules = Permissions::new().deny("*").allow("read").allow("webfetch");
    let config = inheriting
        .with_permission(rules)
        .with_instructions(["run.md"])
        .with_overrides(json!({"username": "run"}));
    let ordered = sandbox.resolved_in_order(&config);
    let resolved = serde_json::to_value(&ordered).unwrap();

    assert_eq!(resolved["username"], "run");
    assert_eq!(resolved["snapshot"], true, "OPENCODE_CONFIG_DIR");
    assert_eq!(resolved["share"], "auto", "OPENCODE_CONFIG_DIR");
    let agents: Vec<_> = resolved["agent"].as_object().unwrap().keys().collect();
    assert_eq!(agents, ["dir", "user"], "OPENCODE_CONFIG_DIR and the global config");
    assert_eq!(resolved["instructions"], json!(["user.md", "content.md", "run.md"]));
    assert_eq!(
        text(ordered.get("permission")),
        concat!(
            r#"{"bash":"deny","edit":{"*.md":"deny"},"#,
            r#""*":"deny","read":"allow","webfetch":"allow"}"#,
        )
    );
}

#[test]
fn a_run_as_the_user_has_the_environment_of_the_user() {
    let model = ModelServer::start().unwrap();
    let mut sandbox = Sandbox::new();
    sandbox.inherited.set("OPENCODE_CONFIG_CONTENT", model.config().to_string());
    sandbox.inherited.set("OPENCODE_PERMISSION", r#"{"webfetch": "deny", "bash": "deny"}"#);
    sandbox.inherited.set("OPENCODE_CLIENT", "desktop");
    let config = RunConfig::new()
        .with_isolation(Isolation::none())
        .with_permission(Permissions::new().allow("bash").deny("grep"))
        .with_flags(RunFlags::new().with_title("t"));

    let output = sandbox.run("Hello.", &config);

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let requests = model.requests();
    let tools = requests.last().unwrap().tools();
    assert!(tools.contains(&"bash"), "the run has the last word on the user's rule");
    assert!(!tools.contains(&"webfetch"), "a rule of the user");
    assert!(!tools.contains(&"grep"), "a rule of the run");
    assert!(!tools.contains(&"question"), "no client answers questions");
    assert!(sandbox.home().join(".local/share/opencode/opencode.db").exists());
}

#[test]
fn a_config_too_large_for_one_variable_still_beats_the_project() {
    let sandbox = settled_user();
    sandbox.project_config(&json!({
        "username": "project",
        "agent": {"big": {"prompt": "of the project", "description": "stays"}},
        "instructions": ["project.md"],
    }));
    sandbox.write(sandbox.project().join("note.txt"), "beside the project's config");
    let prompt = format!("{}é{{file:note.txt}}{{env:USER_PART}}", "x\"y\n".repeat(50_000));
    let config = RunConfig::new()
        .with_overrides(json!({"username": "run", "agent": {"big": {"prompt": prompt}}}))
        .with_permission(Permissions::new().deny("*").allow("read"))
        .with_instructions(["run.md"]);
    assert!(config.config_json().unwrap().to_string().len() > 200_000);

    let ordered = sandbox.resolved_in_order(&config);
    let resolved = serde_json::to_value(&ordered).unwrap();

    let expected = format!("{}ébeside the project's configv1", "x\"y\n".repeat(50_000));
    assert!(resolved["agent"]["big"]["prompt"] == expected.as_str(), "the prompt is another one");
    assert_eq!(resolved["agent"]["big"]["description"], "stays");
    assert_eq!(resolved["username"], "run");
    assert_eq!(resolved["instructions"], json!(["project.md", "run.md"]));
    assert_eq!(text(ordered.get("permission")), r#"{"*":"deny","read":"allow"}"#);
}

#[test]
fn a_prompt_reaches_the_model_as_it_is_and_flags_are_only_flags() {
    let model = ModelServer::start().unwrap();
    let sandbox = Sandbox::new();
    sandbox.write(sandbox.project().join("--file.txt"), "attached text");
    let prompt = "--help \"quoted\" and 'single'  spaces\n\tsecond line $HOME `x` é \n";
    let config = RunConfig::new()
        .with_model("scripted/m1".parse().unwrap())
        .with_agent("build")
        .with_overrides(model.config())
        .with_flags(
            RunFlags::new()
                .with_title("--title \"in\" 'quotes'")
                .with_file("--file.txt")
                .with_reasoning(Reasoning::Show),
        )
        .with_extra_flags(
            ExtraFlags::new().with("variant", "\"-x\"").with("share", FlagValue::Off),
        );

    let output = sandbox.run(prompt, &config);

    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr, "");
    let requests = model.requests();
    assert_eq!(requests.len(), 1, "a titled session asks for no title");
    let said = requests[0].prompt().unwrap();
    assert!(said.contains(prompt), "{said:?}");
    assert!(said.contains("attached text"), "{said:?}");
    assert!(!requests.iter().any(|request| request.kind() == RequestKind::Title));
    let sessions = sandbox.opencode(&["session", "list", "--format", "json"], &config);
    let sessions: Value = serde_json::from_slice(&sessions.stdout).unwrap();
    assert_eq!(sessions[0]["title"], "--title \"in\" 'quotes'");
}

#[test]
fn a_session_lives_on_in_a_data_home_of_the_caller() {
    let model = ModelServer::start().unwrap();
    let sandbox = Sandbox::new();
    let data = sandbox.project().join("kept");
    let isolation = Isolation::new().with_data(DataHome::At(data.clone()));
    let first = RunConfig::new()
        .with_overrides(model.config())
        .with_isolation(isolation)
        .with_flags(RunFlags::new().with_title("kept"));
    let second = first.clone().with_flags(RunFlags::new().with_resume(Resume::latest().forked()));

    for (prompt, config) in [("remember me", &first), ("who?", &second)] {
        let output = sandbox.run(prompt, config);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // The next run has another private directory.
        std::fs::remove_dir_all(sandbox.root()).unwrap();
    }

    let requests = model.requests();
    let last = requests.last().unwrap();
    assert!(json!(last.messages()).to_string().contains("remember me"));
    assert!(last.tools().contains(&"bash"));
    assert!(!last.tools().contains(&"question"), "no client answers questions");
    assert!(data.join("opencode/opencode.db").exists());
}

#[test]
fn a_command_takes_its_arguments_from_stdin_and_may_have_none() {
    let model = ModelServer::start().unwrap();
    let sandbox = Sandbox::new();
    let greet = json!({"template": "greet <$ARGUMENTS> now", "description": "x"});
    let config = RunConfig::new()
        .with_overrides(model.config())
        .with_overrides(json!({"command": {"greet": greet}}))
        .with_flags(RunFlags::new().with_command("greet").with_title("t"));
    for (arguments, said) in
        [("a  \"b\" --c\n", "greet <a  \"b\" --c\n> now"), ("", "greet <> now")]
    {
        let output = sandbox.run(arguments, &config);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let requests = model.requests();
        assert_eq!(requests.last().unwrap().prompt().as_deref(), Some(said));
    }
}
