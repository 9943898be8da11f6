use std::ffi::OsString;

use super::*;
use crate::{
    Attach, Environment, Invocation, JsonObject, ProgramCommand, RunConfigError, RunFlags,
};

fn environment() -> Environment {
    [(OsString::from("HOME"), OsString::from("/home/me"))].into_iter().collect()
}

fn program(version: &str) -> ProgramCommand {
    ProgramCommand::new("opencode").with_version(crate::parse_version(version))
}

fn run(version: &str, config: &RunConfig) -> Result<Invocation, RunConfigError> {
    let plan = IsolationPlan::new(config, &environment(), "/run/1", Vec::new())?;
    Invocation::run(program(version), "Hello.", "/project", config, &plan)
}

fn serve(version: &str, config: &RunConfig, flags: &ServeFlags) -> Result<(), RunConfigError> {
    let plan = IsolationPlan::new(config, &environment(), "/run/1", Vec::new())?;
    Invocation::serve(program(version), "/project", config, flags, &plan).map(drop)
}

fn refused<T>(result: Result<T, RunConfigError>) -> Option<Feature> {
    match result {
        Ok(_) => None,
        Err(RunConfigError::Unsupported(error)) => Some(error.feature),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_run_is_refused_when_the_version_lacks_a_feature() {
    let flags = |flags: RunFlags| RunConfig::new().with_flags(flags);
    let attach = Attach::new("http://localhost:1");
    let reference: JsonObject = serde_json::from_str(r#"{"username":"{env:NAME}"}"#).unwrap();
    for (config, feature, without, with) in [
        (
            flags(RunFlags::new().with_attach(attach.clone().with_directory("/src"))),
            Feature::AttachDirectory,
            "1.1.65",
            "1.2.1",
        ),
        (
            flags(RunFlags::new().with_approval(Approval::Auto)),
            Feature::AutoApproval,
            "1.3.2",
            "1.14.34",
        ),
        (
            flags(RunFlags::new().with_plugins(Plugins::BuiltIn)),
            Feature::BuiltInPlugins,
            "1.3.2",
            "1.14.34",
        ),
        (RunConfig::new().with_overrides(reference), Feature::ConfigReferences, "1.2.6", "1.2.11"),
        (
            RunConfig::new().with_env(AUTH_CONTENT, "{}"),
            Feature::EnvironmentCredentials,
            "1.3.2",
            "1.14.34",
        ),
    ] {
        assert_eq!(refused(run(without, &config)), Some(feature));
        assert_eq!(refused(run(with, &config)), None, "{feature}");
    }
    let plain = flags(RunFlags::new().with_attach(attach));
    assert_eq!(refused(run("1.1.65", &plain)), None);
}

#[test]
fn a_server_is_refused_when_the_version_lacks_a_feature() {
    let (config, flags) = (RunConfig::new(), ServeFlags::new());
    assert_eq!(refused(serve("1.1.65", &config, &flags)), None);
    let plain = flags.clone().with_plugins(Plugins::BuiltIn);
    assert_eq!(refused(serve("1.3.2", &config, &plain)), Some(Feature::BuiltInPlugins));
    assert_eq!(refused(serve("1.18.33", &config, &plain)), None);
    let gated = config.clone().with_command_gate(CommandGate::Approved);
    assert_eq!(refused(serve("1.3.2", &gated, &flags)), Some(Feature::CommandGate));
    assert_eq!(refused(serve("1.14.34", &gated, &flags)), None);
    // The server's permission requests are answered by the client.
    let auto = config.with_flags(RunFlags::new().with_approval(Approval::Auto));
    assert_eq!(refused(serve("1.1.65", &auto, &flags)), None);
}

#[test]
fn a_large_configuration_needs_references() {
    let text = "x".repeat(200 << 10);
    let large: JsonObject = serde_json::from_str(&format!(r#"{{"username":"{text}"}}"#)).unwrap();
    let config = RunConfig::new().with_overrides(large);
    assert_eq!(refused(run("1.2.6", &config)), Some(Feature::ConfigReferences));
    assert_eq!(refused(run("1.2.11", &config)), None);
}

#[test]
fn automatic_approval_is_spelled_as_the_version_knows_the_flag() {
    let config = RunConfig::new().with_flags(RunFlags::new().with_approval(Approval::Auto));
    let has = |version: &str, flag: &str| {
        run(version, &config).unwrap().args.iter().any(|argument| argument == flag)
    };
    for version in ["1.14.34", "1.17.11"] {
        assert!(has(version, "--dangerously-skip-permissions"), "{version}");
    }
    for version in ["1.17.18", "1.18.34", "0.0.0-dev-202609212252", "local"] {
        assert!(has(version, "--auto"), "{version}");
    }
}
