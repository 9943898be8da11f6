//! Flags of the commands, from the text of `--help`.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::Stdio;

use opencode_config::{Json, JsonObject};

use super::difference::{Change, Difference, Kind};
use super::program::command;
use crate::spec;

/// Commands whose flags are compared.
const COMMANDS: [&str; 2] = ["run", "serve"];

/// Flags with their values, such as `[string]`, by command.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Flags(BTreeMap<String, BTreeMap<String, String>>);

impl Flags {
    pub(super) fn of_program(binary: &Path) -> Result<Self, Box<dyn Error>> {
        let mut flags = Self::default();
        for name in COMMANDS {
            let mut command = command(binary, &std::env::temp_dir());
            // Some commands write the text to standard error.
            let output = command.args([name, "--help"]).stderr(Stdio::piped()).output()?;
            let text = [output.stdout, output.stderr].concat();
            flags.0.insert(name.to_owned(), parse(&String::from_utf8_lossy(&text)));
        }
        Ok(flags)
    }

    pub(super) fn of_json(json: &Json) -> Self {
        let text = |(flag, value): (&str, &Json)| {
            Some((flag.to_owned(), value.as_str().unwrap_or_default().to_owned()))
        };
        let commands = json.as_object().into_iter().flatten().map(|(name, flags)| {
            let flags = flags.as_object().into_iter().flatten().filter_map(text).collect();
            (name.to_owned(), flags)
        });
        Self(commands.collect())
    }

    /// Returns the text of the pinned file.
    pub(super) fn text(&self) -> String {
        let commands = self.0.iter().map(|(name, flags)| {
            let flags = flags.iter().map(|(flag, value)| (flag.clone(), Json::from(&**value)));
            (name.clone(), Json::Object(flags.collect::<JsonObject>()))
        });
        let mut text = String::new();
        spec::write_lines(&mut text, &Json::Object(commands.collect()), 0, 2);
        text + "\n"
    }

    /// Returns the differences of these flags to newer ones.
    pub(super) fn differences(&self, current: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        let none = BTreeMap::new();
        for command in COMMANDS {
            let old = self.0.get(command).unwrap_or(&none);
            let new = current.0.get(command).unwrap_or(&none);
            let difference = |flag: &str, change, details| Difference {
                kind: Kind::Flag,
                change,
                name: format!("{command} {flag}"),
                search: flag.to_owned(),
                details,
            };
            for (flag, value) in old {
                match new.get(flag) {
                    None => found.push(difference(flag, Change::Removed, Vec::new())),
                    Some(now) if now != value => {
                        let details = vec![format!("{value} is now {now}")];
                        found.push(difference(flag, Change::Changed, details));
                    }
                    Some(_) => {}
                }
            }
            for (flag, value) in new.iter().filter(|(flag, _)| !old.contains_key(*flag)) {
                found.push(difference(flag, Change::Added, vec![value.clone()]));
            }
        }
        found
    }
}

/// Reads the options: a line `-m, --model  text  [string]`, whose text may go on in the next lines.
fn parse(help: &str) -> BTreeMap<String, String> {
    let mut flags: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    let options = help.lines().skip_while(|line| !line.starts_with("Options:")).skip(1);
    for line in options.take_while(|line| line.is_empty() || line.starts_with(' ')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_flag = line.len() - line.trim_start().len() < 8;
        let flag = words.iter().take(2).find(|word| word.starts_with("--")).filter(|_| is_flag);
        if let Some(flag) = flag {
            flags.insert((*flag).to_owned(), String::new());
            current = Some((*flag).to_owned());
        }
        if let Some(values) = current.as_ref().and_then(|flag| flags.get_mut(flag)) {
            for value in line.split('[').skip(1).filter_map(|rest| rest.split(']').next()) {
                let separator = if values.is_empty() { "" } else { " " };
                values.push_str(&format!("{separator}[{value}]"));
            }
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "opencode run [message..]\n\nOptions:\n  -h, --help         show help      \
                        [boolean]\n      --log-level    log level   [string] [choices: \"A\", \
                        \"B\"]\n  -f, --file         file(s) to attach\n                         \
                        [array]\n";

    #[test]
    fn flags_are_read_with_their_values() {
        let flags = parse(HELP);
        assert_eq!(flags["--help"], "[boolean]");
        assert_eq!(flags["--log-level"], r#"[string] [choices: "A", "B"]"#);
        assert_eq!(flags["--file"], "[array]");
        assert_eq!(flags.len(), 3);
    }

    #[test]
    fn new_lost_and_changed_flags_are_found() {
        let json = |text: &str| Flags::of_json(&text.parse().unwrap());
        let old = json(r#"{"run": {"--old": "[string]", "--file": "[array]"}}"#);
        let new = json(r#"{"run": {"--file": "[string]", "--new": "[boolean]"}}"#);
        let found: Vec<_> = old.differences(&new).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "~ flag run --file: [array] is now [string]",
                "- flag run --old",
                "+ flag run --new: [boolean]",
            ]
        );
        assert_eq!(json(&old.text()), old);
    }
}
