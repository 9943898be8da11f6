//! What can be known to fail before anything is started.

use std::ffi::OsStr;

use serde_json::{Map, Value};

use crate::flags::check_extra;
use crate::isolation::reserved_variables;
use crate::permission::{Asking, check_rules};
use crate::{Approval, ProjectConfig, ResumeTarget, RunConfig, RunConfigError, RunFlags};

pub(super) fn run(config: &RunConfig) -> Result<(), RunConfigError> {
    let approves = config.flags.approval == Approval::Auto
        || config.extra_flags.any_on(&["auto", "yolo", "dangerously-skip-permissions"]);
    common(config, if approves { Asking::Possible } else { Asking::Impossible })?;
    not_empty("--agent", config.agent.as_deref())?;
    flags(&config.flags)?;
    config.extra_flags.iter().try_for_each(|(name, _)| check_extra(name))
}

pub(super) fn serve(config: &RunConfig) -> Result<(), RunConfigError> {
    common(config, Asking::Possible)
}

fn common(config: &RunConfig, asking: Asking) -> Result<(), RunConfigError> {
    variables(config)?;
    let document = config.config_json().unwrap_or_default();
    permissions(&document, asking)?;
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

/// Every place of a config where permission rules stand.
fn permissions(document: &Map<String, Value>, asking: Asking) -> Result<(), RunConfigError> {
    if let Some(rules) = document.get("permission") {
        check_rules(rules, "permission", asking)?;
    }
    for kind in ["agent", "mode"] {
        let agents = document.get(kind).and_then(Value::as_object);
        for (name, agent) in agents.into_iter().flatten() {
            if let Some(rules) = agent.get("permission") {
                check_rules(rules, &format!("{kind}.{name}.permission"), asking)?;
            }
        }
    }
    Ok(())
}

fn instructions(config: &RunConfig, document: &Map<String, Value>) -> Result<(), RunConfigError> {
    if config.isolation.project_config != ProjectConfig::Ignore {
        return Ok(());
    }
    let paths = document.get("instructions").and_then(Value::as_array);
    let anchored = |path: &&str| {
        ["/", "~/", "http://", "https://", "{env:", "{file:"]
            .iter()
            .any(|start| path.starts_with(start))
    };
    match paths.into_iter().flatten().filter_map(Value::as_str).find(|path| !anchored(path)) {
        Some(path) => Err(RunConfigError::RelativeInstructions { path: path.to_owned() }),
        None => Ok(()),
    }
}

fn flags(flags: &RunFlags) -> Result<(), RunConfigError> {
    not_empty("--command", flags.command.as_deref())?;
    not_empty("--variant", flags.variant.as_deref())?;
    if let Some(resume) = &flags.resume {
        match &resume.target {
            ResumeTarget::Latest => {}
            ResumeTarget::Session(id) => not_empty("--session", Some(id))?,
        }
    }
    if let Some(attach) = &flags.attach {
        not_empty("--attach", Some(&attach.url))?;
        let authority = attach.url.split("://").nth(1).unwrap_or(&attach.url);
        if authority.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
        {
            return Err(RunConfigError::CredentialsInUrl);
        }
    }
    if flags.files.iter().any(|file| file.as_os_str().is_empty()) {
        return Err(RunConfigError::EmptyValue { flag: "--file" });
    }
    match &flags.command {
        Some(command) if !flags.files.is_empty() => {
            Err(RunConfigError::CommandWithFiles { command: command.clone() })
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
