//! Checks of a configuration before anything is started.

use std::ffi::OsStr;

use crate::flags::check_extra;
use crate::isolation::layers::layered;
use crate::isolation::variables::reserved_variables;
use crate::permission::{AskSupport, check_rules};
use crate::{
    Approval, CommandGate, DataHome, Json, JsonObject, ProjectConfig, RunConfig, RunConfigError,
    RunFlags,
};

pub(super) fn run(config: &RunConfig) -> Result<(), RunConfigError> {
    let has_approval = config.flags.approval() == Approval::Auto
        || config.extra_flags.has_any_on(&["auto", "yolo", "dangerously-skip-permissions"]);
    common(config, if has_approval { AskSupport::Present } else { AskSupport::Missing })?;
    if config.command_gate == CommandGate::Approved {
        return Err(RunConfigError::CommandGate);
    }
    not_empty("--agent", config.agent.as_deref())?;
    flags(&config.flags)?;
    config.extra_flags.iter().try_for_each(|(name, _)| check_extra(name))
}

pub(super) fn serve(config: &RunConfig) -> Result<(), RunConfigError> {
    common(config, AskSupport::Present)
}

pub(super) fn resume(config: &RunConfig) -> Result<(), RunConfigError> {
    let is_resumed = config.flags.resume().is_some() && config.flags.attach().is_none();
    if is_resumed && *config.isolation.data() == DataHome::Private {
        return Err(RunConfigError::NothingToResume);
    }
    Ok(())
}

fn common(config: &RunConfig, support: AskSupport) -> Result<(), RunConfigError> {
    variables(config)?;
    if config.overrides.as_object().is_none() {
        return Err(RunConfigError::OverridesNotAnObject { found: config.overrides.kind() });
    }
    // Variables that the caller sets count like the rest of the configuration.
    let document = layered(&config.env, config.config_json().unwrap_or_default(), |error| {
        Err(RunConfigError::MalformedVariable { variable: error.variable, source: error.source })
    })?;
    permissions(&document, support)?;
    instructions(config, &document)
}

fn variables(config: &RunConfig) -> Result<(), RunConfigError> {
    for (name, value) in config.env.iter() {
        let shown = || name.to_string_lossy().into_owned();
        let bytes = name.as_encoded_bytes();
        if bytes.is_empty() || bytes.contains(&b'=') || bytes.contains(&0) {
            return Err(RunConfigError::InvalidVariable { name: shown() });
        }
        if has_nul(value) {
            return Err(RunConfigError::Nul { place: format!("the variable {}", shown()) });
        }
    }
    for (name, instead) in reserved_variables(&config.isolation) {
        if config.env.var(name).is_some() {
            return Err(RunConfigError::ReservedVariable { name: name.to_owned(), instead });
        }
    }
    Ok(())
}

/// Checks the permission rules in every place where a config can have rules.
fn permissions(document: &JsonObject, support: AskSupport) -> Result<(), RunConfigError> {
    if let Some(rules) = document.get("permission") {
        check_rules(rules, "permission", support)?;
    }
    for kind in ["agent", "mode"] {
        let agents = document.get(kind).and_then(Json::as_object);
        for (name, agent) in agents.into_iter().flatten() {
            if let Some(rules) = agent.get("permission") {
                check_rules(rules, &format!("{kind}.{name}.permission"), support)?;
            }
        }
    }
    Ok(())
}

fn instructions(config: &RunConfig, document: &JsonObject) -> Result<(), RunConfigError> {
    if config.isolation.project_config() != ProjectConfig::Ignore {
        return Ok(());
    }
    let paths = document.get("instructions").and_then(Json::as_array);
    let is_anchored = |path: &&str| {
        ["/", "~/", "http://", "https://", "{env:", "{file:"]
            .iter()
            .any(|start| path.starts_with(start))
    };
    match paths.into_iter().flatten().filter_map(Json::as_str).find(|path| !is_anchored(path)) {
        Some(path) => Err(RunConfigError::RelativeInstructions { path: path.to_owned() }),
        None => Ok(()),
    }
}

fn flags(flags: &RunFlags) -> Result<(), RunConfigError> {
    not_empty("--command", flags.command())?;
    not_empty("--variant", flags.variant())?;
    if let Some(resume) = flags.resume() {
        not_empty("--session", resume.session_id())?;
    }
    if let Some(attach) = flags.attach() {
        not_empty("--attach", Some(attach.url()))?;
        let url = attach.url();
        let (_, authority) = url.split_once("://").unwrap_or(("", url));
        if authority.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
        {
            return Err(RunConfigError::CredentialsInUrl);
        }
    }
    if flags.files().iter().any(|file| file.as_os_str().is_empty()) {
        return Err(RunConfigError::EmptyValue { flag: "--file" });
    }
    match flags.command() {
        Some(command) if !flags.files().is_empty() => {
            Err(RunConfigError::CommandWithFiles { command: command.to_owned() })
        }
        _ => Ok(()),
    }
}

fn not_empty(flag: &'static str, value: Option<&str>) -> Result<(), RunConfigError> {
    if value == Some("") { Err(RunConfigError::EmptyValue { flag }) } else { Ok(()) }
}

fn has_nul(text: &OsStr) -> bool {
    text.as_encoded_bytes().contains(&0)
}
