//! npm packages of plugins, installed once in a place that all runs share.
//!
//! OpenCode installs a package into `packages/NAME@VERSION` of the cache unless the package is
//! there, and takes a package that another process is installing for a complete one. So the first
//! run that needs a package holds a lock until the package is complete, and other runs wait.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use opencode_config::{
    IsolationPlan, JsonObject, PlannedDirectory, PlannedLink, Plugins, RunConfig, npm_plugins,
    parse_jsonc,
};

use super::host::Host;
use super::locked_file::{LockedFile, try_lock};
use super::private_dir::directory_builder;
use crate::runtime::blocking::unblock;
use crate::runtime::wait::sleep_until;

/// Interval at which a lock is tried.
const RETRY: Duration = Duration::from_millis(100);
/// Longest wait for another run. Afterwards the run installs the package for itself.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Packages that a run installs for all runs. A drop releases them, those that are complete for
/// use.
#[derive(Default)]
pub(crate) struct PluginInstall(Vec<Claimed>);

/// A package that no other run installs meanwhile.
struct Claimed {
    plugin: String,
    directory: PathBuf,
    mark: PathBuf,
    _lock: LockedFile,
}

impl PluginInstall {
    /// Returns the names of the packages.
    pub(crate) fn plugins(&self) -> Vec<String> {
        self.0.iter().map(|claimed| claimed.plugin.clone()).collect()
    }
}

impl Drop for Claimed {
    /// Marks a complete package. Another is installed anew by the next run.
    fn drop(&mut self) {
        let version = self.plugin.rfind('@').unwrap_or(self.plugin.len());
        let package = Path::new("node_modules").join(&self.plugin[..version]).join("package.json");
        // npm writes the list of packages last.
        let parts = [package, "package-lock.json".into(), "node_modules/.package-lock.json".into()];
        if parts.iter().all(|part| self.directory.join(part).is_file())
            && let Err(error) = fs::write(&self.mark, "")
        {
            tracing::warn!(%error, plugin = %self.plugin, "plugin installed for one run only");
        }
    }
}

/// Returns the npm plugins of a run in this directory. Blocks.
pub(crate) fn find(
    host: &Host,
    config: &RunConfig,
    plan: &IsolationPlan,
    directory: &Path,
) -> BTreeSet<String> {
    if plan.packages.is_none() || config.flags().plugins() == Plugins::BuiltIn {
        return BTreeSet::new();
    }
    let mut sources = config.user_plugin_sources(&host.environment);
    for place in directory.ancestors() {
        sources.extend(config.project_plugin_sources(place));
        if place.join(".git").exists() {
            break;
        }
    }
    let read = sources.iter().filter_map(|path| {
        // The run reports a file that cannot be read.
        let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
        is_file.then(|| fs::read(path).ok()).flatten()
    });
    let documents = read.filter_map(|contents| parse_jsonc(&contents).ok());
    let own = config.config_json();
    documents.chain(own).flat_map(|document: JsonObject| npm_plugins(&document)).collect()
}

/// Links the packages into the plan, and claims those that are missing.
///
/// # Cancel safety
///
/// Dropping the future releases the packages.
pub(crate) async fn claim(
    host: &Arc<Host>,
    plan: &mut IsolationPlan,
    plugins: BTreeSet<String>,
) -> PluginInstall {
    let mut install = PluginInstall::default();
    let Some(place) = plan.packages.clone() else { return install };
    let give_up = host.runtime.now() + WAIT_MAX;
    // In one order for all runs, so that no two wait for each other.
    for plugin in plugins {
        let package = loop {
            let (kept, name) = (place.kept.clone(), plugin.clone());
            let tried = unblock(&host.runtime, move || try_claim(&kept, &name)).await;
            let again = host.runtime.now() + RETRY;
            match tried {
                Ok(Some(package)) => break Some(package),
                Ok(None) if again < give_up => sleep_until(&*host.runtime, again).await,
                Ok(None) => break None,
                Err(error) => {
                    tracing::warn!(%error, plugin, "plugin is installed for one run only");
                    break None;
                }
            }
        };
        let Some(package) = package else { continue };
        let at = place.private.join(&plugin);
        if let Some(scope) = at.parent().filter(|scope| *scope != place.private) {
            plan.directories.push(PlannedDirectory::private(scope));
        }
        plan.links.push(PlannedLink::new(at, place.kept.join(&plugin)));
        if let KeptPackage::Claimed(claimed) = package {
            tracing::debug!(plugin, "plugin is being installed");
            install.0.push(claimed);
        }
    }
    install
}

enum KeptPackage {
    Claimed(Claimed),
    Complete,
}

/// Claims a package; `None` while another run installs the package. Blocks.
fn try_claim(kept: &Path, plugin: &str) -> io::Result<Option<KeptPackage>> {
    let name = plugin.replace('/', "+");
    let mark = kept.join(".complete").join(&name);
    if mark.exists() {
        return Ok(Some(KeptPackage::Complete));
    }
    for directory in [".complete", ".locks"] {
        private_directories(&kept.join(directory))?;
    }
    let Some(lock) = lock(&kept.join(".locks").join(&name))? else { return Ok(None) };
    if mark.exists() {
        return Ok(Some(KeptPackage::Complete));
    }
    let directory = kept.join(plugin);
    // Left by a run that did not complete the installation.
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    private_directories(&directory)?;
    Ok(Some(KeptPackage::Claimed(Claimed {
        plugin: plugin.to_owned(),
        directory,
        mark,
        _lock: lock,
    })))
}

fn private_directories(path: &Path) -> io::Result<()> {
    directory_builder(0o700).recursive(true).create(path)
}

/// `ERROR_SHARING_VIOLATION` of Windows.
#[cfg(windows)]
const SHARING_VIOLATION: i32 = 32;

/// Locks a package; `None` while another run has the lock.
fn lock(path: &Path) -> io::Result<Option<LockedFile>> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(windows)]
    std::os::windows::fs::OpenOptionsExt::share_mode(&mut options, 0);
    let file = match options.open(path) {
        #[cfg(windows)]
        Err(error) if error.raw_os_error() == Some(SHARING_VIOLATION) => return Ok(None),
        file => file?,
    };
    Ok(try_lock(&file)?.then(|| LockedFile(file)))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn claimed(kept: &Path, plugin: &str) -> Option<KeptPackage> {
        try_claim(kept, plugin).expect("claimed")
    }

    fn install(directory: &Path, parts: &[&str]) {
        for part in parts {
            let path = directory.join(part);
            fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            fs::write(path, "{}").expect("written");
        }
    }

    #[test]
    fn one_run_installs_a_package_and_others_wait_until_it_is_complete() {
        let root = tempfile::tempdir().expect("created");
        let (kept, plugin) = (root.path().join("kept"), "@s/a@1.0.0");
        let Some(KeptPackage::Claimed(first)) = claimed(&kept, plugin) else { panic!("claimed") };
        assert!(claimed(&kept, plugin).is_none(), "another run waits");
        assert!(claimed(&kept, "b@latest").is_some(), "for this package only");
        let mode = |path: &Path| {
            std::os::unix::fs::PermissionsExt::mode(
                &fs::metadata(path).expect("there").permissions(),
            )
        };
        assert_eq!(mode(&kept) & 0o777, 0o700);

        // A run that is killed meanwhile leaves a part of the package.
        let directory = kept.join(plugin);
        install(&directory, &["node_modules/@s/a/package.json"]);
        drop(first);
        let Some(KeptPackage::Claimed(second)) = claimed(&kept, plugin) else { panic!("claimed") };
        assert_eq!(fs::read_dir(&directory).expect("there").count(), 0, "the rest is removed");
        let parts = [
            "node_modules/@s/a/package.json",
            "node_modules/.package-lock.json",
            "package-lock.json",
        ];
        install(&directory, &parts);
        drop(second);
        assert!(matches!(claimed(&kept, plugin), Some(KeptPackage::Complete)));
        assert!(directory.join("package-lock.json").exists());
    }
}
