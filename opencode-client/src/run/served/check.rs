//! Checks of a request before anything is started or sent.

use opencode_config::{FlagValue, RunConfigError, RunFlags};

use crate::run::error::RunError;
use crate::run::request::{Backend, RunRequest};
use crate::server::request::needs_its_own;

pub(super) fn check(request: &RunRequest) -> Result<(), RunError> {
    let config = &request.config;
    config.check()?;
    if config.flags().command().is_none() && request.prompt.trim().is_empty() {
        return Err(RunConfigError::EmptyPrompt.into());
    }
    let flag = |flag: String| Err(RunError::Flag { flag });
    if config.flags().attach().is_some() {
        return flag("--attach".to_owned());
    }
    if let Some((name, _)) =
        config.extra_flags().iter().find(|(_, value)| **value != FlagValue::Off)
    {
        let dashes = if name.len() == 1 { "-" } else { "--" };
        return flag(format!("{dashes}{name}"));
    }
    if let Backend::Server(_) = &request.backend {
        let setting = needs_its_own(config).or_else(|| of_the_process(config.flags()));
        return setting.map_or(Ok(()), |setting| Err(RunError::Setting { setting }));
    }
    Ok(())
}

/// Returns the first setting that `opencode serve` takes at its start.
fn of_the_process(flags: &RunFlags) -> Option<&'static str> {
    let default = RunFlags::default();
    let settings = [
        ("log level", flags.log_level() != default.log_level()),
        ("log output", flags.logs() != default.logs()),
        ("plugins", flags.plugins() != default.plugins()),
    ];
    settings.into_iter().find(|(_, differs)| *differs).map(|(setting, _)| setting)
}
