//! Checks of settings that only a process has to refuse.

use crate::{FlagValue, LogLevel, LogOutput, RunConfig, RunConfigError};

/// Checks that the log of the process will name a required MCP server that does not start.
pub(super) fn required_mcp(config: &RunConfig) -> Result<(), RunConfigError> {
    let flags = config.flags();
    if config.required_mcp().is_empty() {
        return Ok(());
    }
    let cause = if flags.attach().is_some() {
        Some("`--attach`")
    } else if flags.logs() != LogOutput::FileAndStderr
        || config
            .extra_flags()
            .iter()
            .any(|(name, value)| name == "print-logs" && *value != FlagValue::On)
    {
        Some("logs that are not on standard error")
    } else if flags.log_level().is_some_and(|level| level > LogLevel::Warn)
        || config.extra_flags().has("log-level")
    {
        Some("this log level")
    } else {
        None
    };
    match cause {
        Some(cause) => Err(RunConfigError::RequiredMcp { cause }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attach, ExtraFlags, RunFlags};

    #[test]
    fn required_servers_need_warnings_on_standard_error() {
        let check = |flags: RunFlags, extra: ExtraFlags| {
            let config = RunConfig::new().with_flags(flags).with_extra_flags(extra);
            assert_eq!(required_mcp(&config), Ok(()), "nothing is required");
            required_mcp(&config.with_required_mcp(["a"])).map_err(|error| error.to_string())
        };
        let (flags, extra) = (RunFlags::new, ExtraFlags::new);
        assert_eq!(check(flags(), extra()), Ok(()));
        assert_eq!(check(flags().with_log_level(LogLevel::Debug), extra()), Ok(()));
        assert_eq!(check(flags().with_log_level(None), extra()), Ok(()));
        for (flags, extra) in [
            (flags().with_log_level(LogLevel::Error), extra()),
            (flags(), extra().with("log-level", "ERROR")),
            (flags().with_logs(LogOutput::File), extra()),
            (flags(), extra().with("print-logs", false)),
            (flags().with_attach(Attach::new("http://localhost:1")), extra()),
        ] {
            let error = check(flags, extra).expect_err("the log cannot name the server");
            assert!(error.starts_with("a process cannot require MCP servers with "), "{error}");
        }
    }
}
