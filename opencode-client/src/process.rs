//! Processes and their files: finding the program, starting it in isolation, ending it, removing
//! what it left.

pub(crate) mod binary;
pub(crate) mod child;
pub(crate) mod cleanup;
pub(crate) mod drop_order;
pub(crate) mod guardian;
pub(crate) mod host;
pub(crate) mod known_versions;
pub(crate) mod launch;
pub(crate) mod locked_file;
pub(crate) mod machine;
pub(crate) mod orphans;
pub(crate) mod pacing;
pub(crate) mod plugins;
pub(crate) mod private_dir;
pub(crate) mod process_tree;
pub(crate) mod ripgrep;
pub(crate) mod run_tree;
pub(crate) mod startup_retry;
pub(crate) mod version;
pub(crate) mod version_check;
pub(crate) mod warning;

pub use binary::{Binary, BinaryFault, BinaryNotFound, Tried};
pub use cleanup::CleanupError;
pub use guardian::GuardianError;
pub use pacing::StartPacing;
pub use private_dir::PrivateDirError;
pub use process_tree::{ProcessTreeError, Survivor, Survivors, SweepError};
pub use ripgrep::RipgrepMissing;
pub use startup_retry::StartupRetry;
pub use version::VersionError;
pub use warning::Warning;

pub use opencode_proto::{
    Feature, PluginFault, Unsupported, UnsupportedVersion, Version, parse_version,
};
