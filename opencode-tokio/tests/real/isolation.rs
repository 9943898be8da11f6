//! Isolation of a run from the user and the project.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use opencode_tokio::RunConfig;
use opencode_tokio::config::{ConfigWarning, Isolation, ProjectConfig, RunFlags};
use opencode_tokio::process::{Binary, parse_version};
use opencode_tokio::run::Warning;
use serde_json::json;
use testkit::conformance::real::runs::{OF_THE_PROJECT, RunWorld, bash, project, seen};
use testkit::model::{Gate, Reply, Script};
use testkit::processes::LeakCheck;

use crate::on;

const KEY: &str = "sk-of-the-user-only";

/// Words that are only in files of the user, each of them in something that a model receives.
const OF_THE_USER: [&str; 6] =
    ["user-rules", "user-instructions", "user-agent", "user-skill", "user-claude", "user-command"];

/// Creates a user with settings of every kind, whose provider is in the global config and whose key
/// is in the credentials.
fn settled() -> RunWorld {
    let world = RunWorld::new(&on());
    let mut provider = world.model.provider_config();
    provider["scripted"]["options"].as_object_mut().unwrap().remove("apiKey");
    let mcp = json!({ "spy": { "type": "local", "command": ["touch", world.path("spied")] } });
    let agent = json!({ "user-agent": { "description": "user-agent", "mode": "subagent" } });
    let config = format!(
        r#"// The user's own.
        {{
            "$schema": "https://opencode.ai/config.json",
            /* {{ "provider": {{}} }} */
            "provider": {provider},
            "model": "scripted/small", "small_model": "scripted/small",
            "mcp": {mcp}, "agent": {agent},
            "instructions": ["~/.config/opencode/rules/*.md"],
            "permission": {{ "bash": "deny", }},
        }}"#
    );
    world.write("home/.config/opencode/opencode.jsonc", config);
    world.write("home/.config/opencode/AGENTS.md", "user-rules");
    world.write("home/.config/opencode/rules/one.md", "user-instructions");
    world.write("home/.opencode/agent/other.md", front_matter("user-agent"));
    world.write("home/.opencode/command/other.md", front_matter("user-command"));
    world.write("home/.opencode/skill/user-skill/SKILL.md", skill("user-skill"));
    world.write("home/.claude/CLAUDE.md", "user-claude");
    world.write("home/.claude/skills/user-claude/SKILL.md", skill("user-claude"));
    let plugin = format!(
        "import fs from 'fs'\nexport const spy = async () => {{ \
         fs.writeFileSync({:?}, ''); return {{}} }}\n",
        world.path("plugged in"),
    );
    world.write("home/.config/opencode/plugin/spy.js", plugin);
    let credentials = json!({ "scripted": { "type": "api", "key": KEY } });
    world.write("home/.local/share/opencode/auth.json", credentials.to_string());
    // As if OpenCode had installed the package into both config directories.
    for directory in ["home/.config/opencode", "home/.opencode"] {
        let lock = r#"{"packages":{"":{"dependencies":{"@opencode-ai/plugin":"1"}}}}"#;
        world.write(&format!("{directory}/package-lock.json"), lock);
        fs::create_dir(world.path(directory).join("node_modules")).unwrap();
    }
    world
}

fn front_matter(description: &str) -> String {
    format!("---\ndescription: {description}\nmode: subagent\n---\nBe {description}.")
}

fn skill(name: &str) -> String {
    format!("---\nname: {name}\ndescription: {name}\n---\nDo {name}.")
}

fn model(name: &str) -> RunConfig {
    RunConfig::new()
        .with_model(name.parse().unwrap())
        .with_flags(RunFlags::new().with_title("a test"))
}

#[tokio::test]
async fn a_run_uses_only_providers_and_credentials_of_the_user() {
    let world = settled();
    let broken = world.write("home/.opencode/opencode.json", "{ \"provider\": ");
    let gate = Gate::new();
    world.model.default_script(
        Script::new()
            .then(Reply::new().tool("bash", bash("echo allowed")))
            .then(Reply::new().pause_until(&gate).text("Done.")),
    );
    let untouched = [world.home(), world.project()].map(|path| LeakCheck::new(path).unwrap());

    let mut run = world.start(world.request_with("Go.", model("scripted/m1")));
    let (request, _) = run.until_model_request(|request| request.step() == 1).await;
    let private = world.private_dir();
    assert_eq!(fs::metadata(&private).unwrap().mode() & 0o777, 0o700);
    let installed = private.join("config/opencode/node_modules");
    assert_eq!(fs::read_dir(&installed).unwrap().count(), 0, "a package was installed");
    let linked = private.join("data/opencode/auth.json");
    let credentials = world.home().join(".local/share/opencode/auth.json");
    assert_eq!(fs::read_link(linked).unwrap(), credentials);
    assert_eq!(files_with(&private, KEY), [] as [PathBuf; 0], "the key was copied");
    gate.open();
    let report = run.outcome().await.unwrap();

    assert_eq!(report.text(), "Done.");
    assert_eq!(request.header("authorization"), Some(&*format!("Bearer {KEY}")));
    let status = report.answer().tools()[0].state.status();
    assert_eq!(status, "completed", "the permissions of the user applied");
    assert_eq!(world.turns()[0].model(), "m1");
    assert_eq!(seen(&request, &OF_THE_USER), [""; 0]);
    for started in ["spied", "plugged in"] {
        assert!(!world.path(started).exists(), "{started}");
    }
    for untouched in untouched {
        untouched.assert_nothing_added();
    }
    let [Warning::Config(ConfigWarning::Malformed { path, .. })] = &report.warnings[..] else {
        panic!("{:?}", report.warnings)
    };
    assert_eq!(*path, broken);
}

#[tokio::test]
async fn without_isolation_a_run_uses_the_settings_of_the_user() {
    let world = settled();
    let config = RunConfig::new().with_isolation(Isolation::none());

    let report = world.run(world.request_with("Go.", config)).await.unwrap();

    assert_eq!(report.text(), "Hello from the scripted model.");
    let turns = world.turns();
    assert_eq!(turns[0].model(), "small");
    assert_eq!(turns[0].header("authorization"), Some(&*format!("Bearer {KEY}")));
    // A model does not receive commands.
    assert_eq!(seen(&turns[0], &OF_THE_USER), OF_THE_USER[..5]);
    for started in ["spied", "plugged in"] {
        assert!(world.path(started).exists(), "{started}");
    }
    assert!(world.home().join(".local/share/opencode/opencode.db").exists());
}

#[tokio::test]
async fn the_config_of_the_project_can_be_ignored() {
    let world = RunWorld::new(&on());
    project(&world);
    let rules = world.write("rules.md", "run-instructions");
    let script = Script::new()
        .then(Reply::new().tool("bash", bash("echo allowed")))
        .then(Reply::new().text("Done."));
    world.model.default_script(script);
    let isolation = Isolation::new().with_project_config(ProjectConfig::Ignore);
    let instructions = [rules.to_str().unwrap()];
    let config = world.config().with_isolation(isolation).with_instructions(instructions);

    let report = world.run(world.request_with("Go.", config)).await.unwrap();

    let status = report.answer().tools()[0].state.status();
    assert_eq!(status, "completed", "the permissions of the project applied");
    let request = &world.turns()[0];
    assert_eq!(seen(request, &OF_THE_PROJECT), [""; 0]);
    assert!(request.system().contains("run-instructions"), "{}", request.system());
}

#[tokio::test]
async fn the_program_is_found_with_its_version() {
    let world = RunWorld::new(&on());
    let untouched = LeakCheck::new(world.root()).unwrap();

    assert_eq!(world.opencode.binary().await.unwrap(), testkit::opencode::binary().unwrap());
    let version = world.opencode.version().await.unwrap();

    assert_eq!(Some(version), parse_version(testkit::opencode::version()));
    untouched.assert_nothing_added();
    let missing = world.path("no opencode here");
    let without = opencode_tokio::builder().binary(Binary::Path(missing.clone())).build();
    let error = without.run("Go.").await.unwrap_err();
    assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
}

/// Files below a directory that contain a text, without following links.
fn files_with(directory: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_with(&entry.path(), text));
        } else if kind.is_file() && contains(&fs::read(entry.path()).unwrap(), text) {
            found.push(entry.path());
        }
    }
    found
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
