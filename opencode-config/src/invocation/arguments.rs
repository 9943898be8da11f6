//! Flags in a spelling that OpenCode's parser (yargs) cannot mistake for anything else.

use std::ffi::{OsStr, OsString};

use crate::flags::{check_extra, long_name};
use crate::{
    Approval, ExtraFlags, FlagValue, LogLevel, LogOutput, ModelRef, Plugins, Reasoning, RunConfig,
    RunConfigError, ServeFlags, Sharing, Version,
};

/// First version that was seen with `--auto`. 1.17.11 knows the older spelling only.
const AUTO_SINCE: Version = Version::new(1, 17, 18);

/// Arguments so far, with the long names of the flags among them.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    args: Vec<OsString>,
    typed: Vec<&'static str>,
}

impl Arguments {
    /// `version` decides the spelling of flags.
    pub(super) fn of_run(
        config: &RunConfig,
        version: Option<&Version>,
    ) -> Result<Self, RunConfigError> {
        let mut arguments =
            Self { args: ["run", "--format", "json"].map(Into::into).into(), typed: Vec::new() };
        let flags = config.flags();
        arguments.option("model", config.model().map(ModelRef::as_str));
        arguments.option("agent", config.agent());
        arguments.option("command", flags.command());
        if let Some(resume) = flags.resume() {
            match resume.session_id() {
                Some(id) => arguments.value("session", id),
                None => arguments.switch("continue"),
            }
            if resume.is_forked() {
                arguments.switch("fork");
            }
        }
        arguments.option("title", flags.title());
        arguments.option("variant", flags.variant());
        for file in flags.files() {
            arguments.value("file", file);
        }
        if flags.reasoning() == Reasoning::Show {
            arguments.switch("thinking");
        }
        if flags.approval() == Approval::Auto {
            let is_older =
                version.is_some_and(|version| *version < AUTO_SINCE && !version.is_snapshot());
            arguments.switch(if is_older { "dangerously-skip-permissions" } else { "auto" });
        }
        if flags.sharing() == Sharing::Share {
            arguments.switch("share");
        }
        if let Some(attach) = flags.attach() {
            arguments.value("attach", attach.url());
            arguments.option("dir", attach.directory());
        }
        let extra = config.extra_flags();
        arguments.global(flags.log_level(), flags.logs(), flags.plugins(), extra);
        arguments.extra(extra)?;
        Ok(arguments)
    }

    pub(super) fn of_serve(flags: &ServeFlags) -> Result<Self, RunConfigError> {
        let mut arguments = Self { args: vec!["serve".into()], typed: Vec::new() };
        if flags.hostname() == Some("") {
            return Err(RunConfigError::EmptyValue { flag: "--hostname" });
        }
        arguments.value("hostname", flags.hostname().unwrap_or("127.0.0.1"));
        arguments.value("port", flags.port().unwrap_or(0).to_string());
        let extra = flags.extra_flags();
        arguments.global(flags.log_level(), flags.logs(), flags.plugins(), extra);
        arguments.extra(extra)?;
        Ok(arguments)
    }

    pub(super) fn into_vec(self) -> Vec<OsString> {
        self.args
    }

    /// Adds the flags that every command has, unless extra flags set them.
    fn global(
        &mut self,
        level: Option<LogLevel>,
        logs: LogOutput,
        plugins: Plugins,
        extra: &ExtraFlags,
    ) {
        if !extra.has("log-level") {
            self.option("log-level", level.map(LogLevel::as_str));
        }
        if logs == LogOutput::FileAndStderr && !extra.has("print-logs") {
            self.switch("print-logs");
        }
        if plugins == Plugins::BuiltIn {
            self.switch("pure");
        }
    }

    fn switch(&mut self, name: &'static str) {
        self.typed.push(name);
        self.args.push(format!("--{name}").into());
    }

    fn option(&mut self, name: &'static str, value: Option<impl AsRef<OsStr>>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    fn value(&mut self, name: &'static str, value: impl AsRef<OsStr>) {
        self.typed.push(name);
        self.args.push(with_value(&format!("--{name}"), value.as_ref()));
    }

    fn extra(&mut self, flags: &ExtraFlags) -> Result<(), RunConfigError> {
        for (name, value) in flags.iter() {
            check_extra(name)?;
            // OpenCode takes `--file` many times. Any other flag that is repeated becomes a list,
            // which OpenCode cannot use.
            let long = long_name(name);
            if *value != FlagValue::Off && long != "file" && self.typed.contains(&long) {
                return Err(RunConfigError::SetTwice { flag: long.to_owned() });
            }
            match value {
                FlagValue::Off => {}
                FlagValue::On => self.args.push(dashed(name).into()),
                FlagValue::Value(value) => self.extra_value(name, value),
                FlagValue::Values(values) => {
                    values.iter().for_each(|value| self.extra_value(name, value));
                }
            }
        }
        Ok(())
    }

    fn extra_value(&mut self, name: &str, value: &OsStr) {
        let looks_like_a_flag = value.as_encoded_bytes().starts_with(b"-");
        if name.len() > 1 || looks_like_a_flag {
            self.args.push(with_value(&dashed(name), value));
        } else {
            self.args.extend([dashed(name).into(), value.to_owned()]);
        }
    }
}

fn dashed(name: &str) -> String {
    if name.len() == 1 { format!("-{name}") } else { format!("--{name}") }
}

/// Joins `flag=value`, so that a value that starts with a dash is not taken for a flag. The parser
/// strips one pair of quotes around a value in this form, so a value in quotes gets another pair.
fn with_value(flag: &str, value: &OsStr) -> OsString {
    let bytes = value.as_encoded_bytes();
    let quote = match (bytes.first(), bytes.last()) {
        (Some(b'"'), Some(b'"')) if bytes.len() > 1 => "\"",
        (Some(b'\''), Some(b'\'')) if bytes.len() > 1 => "'",
        _ => "",
    };
    let mut argument = OsString::from(flag);
    argument.push("=");
    argument.push(quote);
    argument.push(value);
    argument.push(quote);
    argument
}
