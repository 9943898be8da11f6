//! Checks of a request before anything is started or sent.

use opencode_config::RunConfigError;

use crate::run::error::RunError;
use crate::run::request::{Backend, RunRequest};
use crate::server::request::{extra_flag, fixed_at_start, needs_its_own};

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
    if let Some(name) = extra_flag(config) {
        return flag(name);
    }
    if let Backend::NewServer = &request.backend {
        config.check_resume()?;
    }
    if let Backend::Server(_) = &request.backend {
        let setting = needs_its_own(config).or_else(|| fixed_at_start(config.flags()));
        return setting.map_or(Ok(()), |setting| Err(RunError::Setting { setting }));
    }
    Ok(())
}
