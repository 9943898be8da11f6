//! Processes and their files: finding the program, starting it in isolation, ending it, removing
//! what it left.

pub(crate) mod binary;
pub(crate) mod child;
pub(crate) mod cleanup;
pub(crate) mod drop_order;
pub(crate) mod guardian;
pub(crate) mod host;
pub(crate) mod launch;
pub(crate) mod pacing;
pub(crate) mod private_dir;
pub(crate) mod process_tree;
pub(crate) mod run_tree;
pub(crate) mod startup_retry;
pub(crate) mod version;
pub(crate) mod warning;
