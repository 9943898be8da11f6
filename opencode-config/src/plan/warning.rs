use std::path::PathBuf;

use crate::JsoncError;

/// A part of the user's configuration that was left out.
///
/// ```
/// use opencode_config::{Environment, IsolationPlan, RunConfig};
///
/// let homeless = Environment::new().with_var("PATH", "/bin");
/// let plan = IsolationPlan::new(&RunConfig::new(), &homeless, "/tmp/run-1", Vec::new())?;
/// assert_eq!(
///     plan.warnings[0].to_string(),
///     "files of the user are left out: HOME is not set",
/// );
/// # Ok::<(), opencode_config::RunConfigError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigWarning {
    /// No variable names the directory of the user's files.
    #[error("files of the user are left out: HOME is not set")]
    HomeUnknown,
    /// The content of a config file is not a config.
    #[error("the config file {} is left out", .path.display())]
    Malformed {
        /// Path of the file.
        path: PathBuf,
        /// Fault of the content.
        source: JsoncError,
    },
    /// An inherited variable that should hold config does not.
    #[error("the inherited variable {variable} is left out")]
    MalformedVariable {
        /// Name of the variable.
        variable: &'static str,
        /// Fault of the value.
        source: JsoncError,
    },
    /// A variable that should be an absolute path is a relative one.
    #[error("files of the user are left out: {variable} is not an absolute path")]
    RelativeHome {
        /// Name of the variable.
        variable: &'static str,
    },
    /// A config file exists and could not be read.
    #[error("the config file {} is left out: {reason}", .path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Reason that the caller has given.
        reason: String,
    },
}
