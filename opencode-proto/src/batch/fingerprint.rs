//! Fingerprints of jobs, for batches that resume another.

use std::fmt::Debug;

use opencode_config::{Approval, CommandGate, FlagValue, Isolation, Plugins, RunConfig};

use crate::api::{Operation, Prompt, PromptAsync};
use crate::policy::{PolicySettings, Unruled};

/// Fingerprint of a job: the same for the same work, also in another program and in a later version
/// of this crate.
///
/// A part is added only where there is something to add, so that a setting which is not used does
/// not change the fingerprint.
///
/// ```
/// use opencode_proto::Fingerprint;
///
/// let one = Fingerprint::new().with("prompt", "Hello!").with("agent", "build");
/// let other = Fingerprint::new().with("prompt", "Hello!").with("agent", "plan");
/// assert_ne!(one.finish(), other.finish());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    hash: u128,
}

impl Fingerprint {
    /// Creates the fingerprint of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self { hash: FNV_OFFSET }
    }

    /// Adds a part of the work. The order of the parts matters.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        // Lengths keep the parts apart.
        for bytes in [name.as_bytes(), value.as_ref()] {
            self.add(&(bytes.len() as u64).to_le_bytes());
            self.add(bytes);
        }
        self
    }

    /// Adds a part where there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a part that may contain a key or a password. Only 32 bits of the value count: enough to
    /// notice a change, and too few to compute a secret from the fingerprint.
    #[must_use]
    pub fn with_secret(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mut digest = Self::new();
        digest.add(value.as_ref());
        let folded = digest.hash ^ (digest.hash >> 64);
        let [a, b, c, d, ..] = (folded ^ (folded >> 32)).to_le_bytes();
        self.with(name, [a, b, c, d])
    }

    /// Adds a prompt, as OpenCode receives the prompt.
    #[must_use]
    pub fn with_prompt(self, prompt: &Prompt) -> Self {
        let request = PromptAsync::new("ses_", "msg_", prompt.clone()).request();
        self.with("prompt", request.body())
    }

    /// Adds the settings of a configuration that decide about the answer: agent, model, the
    /// document for OpenCode, environment, isolation, and the flags `--auto`, `--command`,
    /// `--file`, `--pure` and `--variant`. The contents of files are not read.
    #[must_use]
    pub fn with_config(self, config: &RunConfig) -> Self {
        let flags = config.flags();
        let all = self
            .with_some("agent", config.agent())
            .with_some("model", config.model().map(ToString::to_string))
            .with_some("approval", (flags.approval() == Approval::Auto).then_some("auto"))
            .with_some("command", flags.command())
            .with_some("plugins", (flags.plugins() != Plugins::All).then_some("built-in"))
            .with_some("variant", flags.variant());
        let files = flags.files().iter().map(|path| path.as_os_str().as_encoded_bytes());
        let all = files.fold(all, |all, path| all.with("file", path));
        let extra = config.extra_flags().iter().filter(|(_, value)| **value != FlagValue::Off);
        let all = extra.fold(all, |all, (name, value)| {
            all.with("flag", name).with_secret("flag value", format!("{value:?}"))
        });
        all.with_server_config(config)
    }

    /// Adds the settings of a configuration that a server takes at the start.
    #[must_use]
    pub fn with_server_config(self, config: &RunConfig) -> Self {
        let all = match config.config_json() {
            Some(document) => self.with_secret("config", document.to_string()),
            None => self,
        };
        let all = config.env().iter().fold(all, |all, (name, value)| {
            all.with("variable", name.as_encoded_bytes())
                .with_secret("variable value", value.as_encoded_bytes())
        });
        let has_gate = config.command_gate() != CommandGate::Open;
        all.with_some("command gate", has_gate.then_some("approved"))
            .with_isolation(config.isolation())
    }

    /// Adds a policy: rules, directories and limits.
    #[must_use]
    pub fn with_policy(self, policy: &PolicySettings) -> Self {
        let all = self
            .with("policy", policy.rules().to_json().to_string())
            .with_some("tool calls", policy.tool_calls_max().map(|max| max.to_string()))
            .with_some("commands", policy.accepts_unasked_commands().then_some("unasked"))
            .with_some("subagents", (!policy.may_have_subagents()).then_some("forbidden"))
            .with_some("unruled", (policy.unruled() == Unruled::Confirm).then_some("confirm"));
        let all = policy.unguarded().fold(all, |all, name| all.with("unguarded", name));
        [("reads", policy.reads()), ("writes", policy.writes())].into_iter().fold(
            all,
            |all, (name, directories)| match directories {
                Some(directories) => directories.iter().fold(all.with(name, ""), |all, path| {
                    all.with("directory", path.as_os_str().as_encoded_bytes())
                }),
                None => all,
            },
        )
    }

    /// Returns the fingerprint as text.
    #[must_use]
    pub fn finish(&self) -> String {
        format!("{:032x}", self.hash)
    }

    /// Returns the fingerprint of a job whose caller names the work with a key.
    #[must_use]
    pub fn of_key(key: &str) -> String {
        format!("key:{key}")
    }

    /// Adds the parts that differ from the default isolation. A test pins the names of the values.
    fn with_isolation(self, isolation: &Isolation) -> Self {
        let default = Isolation::default();
        let changed = |value: &dyn Debug, default: &dyn Debug| {
            let (value, default) = (format!("{value:?}"), format!("{default:?}"));
            (value != default).then_some(value)
        };
        self.with_some("cache", changed(&isolation.cache(), &default.cache()))
            .with_some("data", changed(isolation.data(), default.data()))
            .with_some(
                "project config",
                changed(&isolation.project_config(), &default.project_config()),
            )
            .with_some("temp", changed(&isolation.temp(), &default.temp()))
            .with_some("user config", changed(&isolation.user_config(), &default.user_config()))
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u128::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new()
    }
}

/// FNV-1a in 128 bits: hashes of the standard library may change from release to release.
const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

#[cfg(test)]
mod tests {
    use opencode_config::{DataHome, LogLevel, LogOutput, Permissions, ProjectConfig, RunFlags};

    use super::*;

    #[test]
    fn the_same_parts_give_the_same_text_for_ever() {
        assert_eq!(Fingerprint::new().finish(), "6c62272e07bb014262b821756295c58d");
        let fingerprint = Fingerprint::new().with("prompt", "Hello!").with_some("agent", Some("a"));
        assert_eq!(fingerprint.finish(), "571a6b46005c93069757cdeaf310b936");
        assert_eq!(Fingerprint::of_key("nightly"), "key:nightly");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let of = |parts: &[(&str, &str)]| {
            let start = Fingerprint::new();
            parts.iter().fold(start, |so_far, (name, value)| so_far.with(name, value)).finish()
        };
        let all = [
            of(&[]),
            of(&[("a", "")]),
            of(&[("", "a")]),
            of(&[("a", "b")]),
            of(&[("ab", "")]),
            of(&[("a", "b"), ("c", "d")]),
            of(&[("a", "bc"), ("", "d")]),
            of(&[("c", "d"), ("a", "b")]),
            Fingerprint::new().with_some("a", Some("")).with("b", "").finish(),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}");
        }
        let none = Fingerprint::new().with_some("a", None::<&str>);
        assert_eq!(none, Fingerprint::default(), "an absent part is none");
    }

    #[test]
    fn a_secret_leaves_32_bits() {
        let of = |value| Fingerprint::new().with_secret("key", value);
        assert_eq!(of("hunter2"), of("hunter2"));
        assert_ne!(of("hunter2"), of("hunter3"));
        let digest = Fingerprint::new().with("key", [0x26, 0x2b, 0xb5, 0xa7]);
        assert_eq!(of("hunter2"), digest);
    }

    /// Fingerprints in the files of users must not change with the crate.
    #[test]
    fn every_setting_that_matters_has_its_part() {
        let config = RunConfig::new;
        let flags = RunFlags::new;
        let isolation = Isolation::new;
        let settings = [
            config().with_agent("plan"),
            config().with_command_gate(CommandGate::Approved),
            config().with_model("a/b".parse().expect("a model")),
            config().with_env("NAME", "value"),
            config().with_env("NAME", "other"),
            config().with_flags(flags().with_approval(Approval::Auto)),
            config().with_flags(flags().with_command("review")),
            config().with_flags(flags().with_file("a.txt")),
            config().with_flags(flags().with_file("a.txt").with_file("b.txt")),
            config().with_flags(flags().with_plugins(Plugins::BuiltIn)),
            config().with_flags(flags().with_variant("high")),
            config().with_instructions(["AGENT.md"]),
            config().with_isolation(Isolation::none()),
            config().with_isolation(isolation().with_data(DataHome::At("/data".into()))),
            config().with_isolation(isolation().with_project_config(ProjectConfig::Ignore)),
            config().with_permission(Permissions::new().deny("bash")),
        ];
        let of = |config: &RunConfig| Fingerprint::new().with_config(config).finish();
        let mut all: Vec<_> = settings.iter().map(of).collect();
        assert_eq!(of(&config()), Fingerprint::new().finish(), "defaults have no part");
        let idle =
            flags().with_title("t").with_log_level(LogLevel::Debug).with_logs(LogOutput::File);
        assert_eq!(of(&config().with_flags(idle)), Fingerprint::new().finish(), "no other answer");
        assert_eq!(all, PINNED);
        all.sort();
        all.dedup();
        assert_eq!(all.len(), settings.len());
    }

    /// Fingerprints of the settings above, in their order.
    const PINNED: [&str; 16] = [
        "b274a44154a01dd63c1f8196d5420bea",
        "b8ef3afcda367df8a76d47d7f6406182",
        "39028536c73f8a0b1446289b89308344",
        "6d5efdd47e7277738cb5217a859dad38",
        "70c4b66ea47277738cb52285d7a3fdbf",
        "598953ad3ab125c7efb832e121e5f9ad",
        "5fe31641a3c80d06c4e9df1aea0780e9",
        "949a048a04fb38963ecceb305554bddf",
        "7a399d3f52cb12604a459adea1fc4c30",
        "acc70ad5977165fe01acc05a74999d7e",
        "e9c4f5a71c7293695b77e0a05ba79473",
        "1642d9b7e7b3bf69b3044d87f8c29b82",
        "2d3344483944b4c7f321b6dc36b8b3eb",
        "ed965d20ca9f877e1c57d2f5f9b99207",
        "ec6ba46026686e0bb98b8f8f6d75029a",
        "1acee8f37db3bf69b3044eee37803bc9",
    ];

    #[test]
    fn every_part_of_a_policy_counts() {
        let policy = PolicySettings::new;
        let policies = [
            policy(),
            policy().allow("read"),
            policy().within("/a"),
            policy().with_reads_in("/a"),
            policy().with_writes_in("/a"),
            policy().with_writes_in("/a").with_writes_in("/b"),
            policy().with_tool_calls_max(3),
            policy().without_subagents(),
            policy().with_unasked_commands(),
            policy().with_unruled(Unruled::Confirm),
            policy().unguard(".github"),
        ];
        let mut all: Vec<_> =
            policies.iter().map(|policy| Fingerprint::new().with_policy(policy).finish()).collect();
        all.push(Fingerprint::new().finish());
        all.sort();
        all.dedup();
        assert_eq!(all.len(), policies.len() + 1);
    }
}
