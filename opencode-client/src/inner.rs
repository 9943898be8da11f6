use std::path::PathBuf;
use std::sync::Arc;

use opencode_config::Environment;

use crate::binary::Binary;
use crate::guardian::Guardian;
use crate::pacing::Starts;
use crate::runtime::Runtime;

/// What all clones of a handle, and all its runs, share.
pub(crate) struct Inner {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) binary: Binary,
    pub(crate) environment: Environment,
    pub(crate) temp_dir: PathBuf,
    pub(crate) starts: Starts,
    pub(crate) guardian: Guardian,
}
