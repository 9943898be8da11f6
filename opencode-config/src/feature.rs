//! Features that supported versions of OpenCode lack, and the version that each came with.

use std::fmt;

use crate::version::Version;

/// Feature of OpenCode that not every [supported version](Version::is_supported) has.
///
/// An older version ignores the request for most of these features without an error, so a start
/// that needs one is refused before anything happens ([`Invocation`](crate::Invocation)). Features
/// that came up to [`Version::OLDEST_SUPPORTED`] are not listed.
///
/// ```
/// use opencode_config::{Feature, Version};
///
/// let old = Version::new(1, 2, 20);
/// let error = Feature::BuiltInPlugins.check(Some(&old)).unwrap_err();
/// assert_eq!(error.found, old);
/// assert_eq!(
///     error.to_string(),
///     "OpenCode 1.2.20 has no `--pure`, which came with OpenCode 1.14.34",
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// Choice of the directory of an attached run ([`Attach::with_directory`], `--dir`).
    ///
    /// [`Attach::with_directory`]: crate::Attach::with_directory
    AttachDirectory,
    /// Approval of all permission requests by `opencode run` ([`Approval::Auto`](crate::Approval::Auto)).
    AutoApproval,
    /// Start without the plugins of the configuration ([`Plugins::BuiltIn`](crate::Plugins::BuiltIn), `--pure`).
    BuiltInPlugins,
    /// Shell of the `bash` tool by configuration, which a gate for command lines needs
    /// ([`CommandGate::Approved`](crate::CommandGate::Approved)).
    CommandGate,
    /// References such as `{env:KEY}` and `{file:/path}` in the configuration of a run. A
    /// configuration of more than 128 KB is passed by such references.
    ConfigReferences,
    /// Credentials of providers in the variable `OPENCODE_AUTH_CONTENT`.
    EnvironmentCredentials,
    /// Data of the application in a new session.
    SessionMetadata,
}

/// Error of a program or server whose version lacks a feature. Nothing was started or sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("OpenCode {found} has no {feature}, which came with OpenCode {since}")]
#[non_exhaustive]
pub struct Unsupported {
    /// The feature that is needed.
    pub feature: Feature,
    /// Version of the program or server.
    pub found: Version,
    /// First version with the feature.
    pub since: Version,
}

impl Feature {
    /// All features, in the order of their names.
    pub const ALL: [Self; 7] = [
        Self::AttachDirectory,
        Self::AutoApproval,
        Self::BuiltInPlugins,
        Self::CommandGate,
        Self::ConfigReferences,
        Self::EnvironmentCredentials,
        Self::SessionMetadata,
    ];

    /// Returns the first version with the feature, among the versions that were tried.
    #[must_use]
    pub const fn since(self) -> Version {
        match self {
            Self::AttachDirectory => Version::new(1, 2, 1),
            Self::ConfigReferences => Version::new(1, 2, 11),
            Self::AutoApproval
            | Self::BuiltInPlugins
            | Self::CommandGate
            | Self::EnvironmentCredentials => Version::new(1, 14, 34),
            Self::SessionMetadata => Version::new(1, 15, 13),
        }
    }

    /// Checks that a version has the feature. Snapshots and an unknown version are taken for the
    /// newest one.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] when the version came before the feature.
    pub fn check(self, version: Option<&Version>) -> Result<(), Unsupported> {
        let since = self.since();
        match version {
            Some(found) if *found < since && !found.is_snapshot() => {
                Err(Unsupported { feature: self, found: found.clone(), since })
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AttachDirectory => "`--dir` for `run --attach`",
            Self::AutoApproval => "approval of all permission requests (`--auto`)",
            Self::BuiltInPlugins => "`--pure`",
            Self::CommandGate => "shell by configuration, by which a policy approves command lines",
            Self::ConfigReferences => {
                "references (`{env:…}`, `{file:…}`) in OPENCODE_CONFIG_CONTENT"
            }
            Self::EnvironmentCredentials => "credentials in OPENCODE_AUTH_CONTENT",
            Self::SessionMetadata => "metadata of sessions",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::parse_version;

    #[test]
    fn every_feature_came_with_a_supported_version() {
        for feature in Feature::ALL {
            let since = feature.since();
            assert!(since > Version::OLDEST_SUPPORTED && since < Version::NEWEST_TESTED);
            assert_eq!(feature.check(Some(&since)), Ok(()), "{feature}");
            assert!(feature.check(Some(&Version::OLDEST_SUPPORTED)).is_err(), "{feature}");
        }
    }

    #[test]
    fn unknown_versions_and_snapshots_have_all_features() {
        let snapshot = parse_version("0.0.0-dev-202609212252");
        for feature in Feature::ALL {
            assert_eq!(feature.check(None), Ok(()));
            assert_eq!(feature.check(snapshot.as_ref()), Ok(()));
        }
    }
}
