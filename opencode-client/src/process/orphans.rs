//! Leftovers of programs that were killed together with their guardians.
//!
//! Each private directory names the process that owns the directory. Before the first start, a
//! client handle looks for directories whose owner is dead, ends the processes of their runs, and
//! removes them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use super::private_dir::PrivateDir;
use super::process_tree::{Marker, ProcessTree, SweepLimits, start_time};

/// File with the owner, in the private directory.
const OWNER: &str = "owner";

/// Process that owns a private directory. The boot and the process namespace are part of the
/// identity, because other containers may share the directory for temporary files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owner {
    boot: String,
    namespace: String,
    pid: u32,
    started: u64,
}

/// Writes the owner into a private directory. Without an owner, a directory is never swept.
pub(super) fn sign(private_dir: &Path) {
    let Some(owner) = Owner::this_process() else { return };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(private_dir.join(OWNER));
    if let Err(error) = file.and_then(|mut file| file.write_all(owner.to_line().as_bytes())) {
        tracing::debug!(%error, "cannot write the owner of a private directory");
    }
}

/// Ends the processes and removes the directories of dead owners below `parent`. Blocks.
pub(super) fn sweep(parent: &Path) {
    let Some(this) = Owner::this_process() else { return };
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(marker) = name.to_str().and_then(PrivateDir::token).and_then(Marker::of) else {
            continue;
        };
        let path = entry.path();
        if !is_private(&path) || !is_orphan(&path, &this) {
            continue;
        }
        let ended = ProcessTree::left(marker).sweep(SweepLimits::default());
        let removed = PrivateDir::found(path).remove();
        let errors = [ended.err().map(|e| e.to_string()), removed.err().map(|e| e.to_string())];
        match errors.into_iter().flatten().next() {
            None => tracing::debug!(directory = %name.display(), "leftovers were removed"),
            Some(error) => tracing::warn!(%error, "cannot remove the leftovers of a dead program"),
        }
    }
}

/// Returns true when the directory in `path` belongs to a process that is dead for certain.
fn is_orphan(path: &Path, this: &Owner) -> bool {
    let Some(owner) = fs::read_to_string(path.join(OWNER)).ok().and_then(|line| Owner::read(&line))
    else {
        return false;
    };
    owner.boot == this.boot && owner.namespace == this.namespace && owner.is_dead()
}

/// Returns true for a directory of this user that no other user can enter.
#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    fs::symlink_metadata(path).is_ok_and(|metadata| {
        metadata.is_dir()
            && metadata.uid() == rustix::process::geteuid().as_raw()
            && metadata.mode() & 0o077 == 0
    })
}

#[cfg(not(unix))]
fn is_private(_: &Path) -> bool {
    false
}

impl Owner {
    /// Returns the identity of this process; `None` where the system has no `/proc`.
    fn this_process() -> Option<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        let pid = std::process::id();
        Some(Self {
            boot: boot.trim().to_owned(),
            namespace: namespace.to_str()?.to_owned(),
            pid,
            started: start_time(pid).ok()??,
        })
    }

    fn to_line(&self) -> String {
        format!("{} {} {} {}\n", self.boot, self.namespace, self.pid, self.started)
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.strip_suffix('\n')?.split(' ').map(str::to_owned);
        let (boot, namespace) = (words.next()?, words.next()?);
        let (pid, started) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { boot, namespace, pid, started })
    }

    /// Returns true when no process has this pid, or one that started at another time.
    fn is_dead(&self) -> bool {
        start_time(self.pid).is_ok_and(|started| started != Some(self.started))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;

    use super::*;

    fn directory(parent: &Path, token: u128, mode: u32, owner: Option<&Owner>) -> PathBuf {
        let path = parent.join(format!("opencode-{token:032x}"));
        fs::create_dir(&path).expect("created");
        fs::write(path.join("auth.json"), "{}").expect("works");
        if let Some(owner) = owner {
            fs::write(path.join(OWNER), owner.to_line()).expect("works");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("works");
        path
    }

    #[test]
    fn only_private_directories_of_dead_owners_are_removed() {
        let parent = tempfile::tempdir().expect("works");
        let this = Owner::this_process().expect("works");
        let dead = Owner { started: this.started + 1, ..this.clone() };
        let missing = Owner { pid: u32::MAX, ..this.clone() };
        let another = Owner { namespace: "pid:[1]".to_owned(), ..dead.clone() };
        let earlier = Owner { boot: "before".to_owned(), ..dead.clone() };
        let gone = [
            directory(parent.path(), 1, 0o700, Some(&dead)),
            directory(parent.path(), 2, 0o700, Some(&missing)),
        ];
        let kept = [
            directory(parent.path(), 3, 0o700, Some(&this)),
            directory(parent.path(), 4, 0o700, Some(&another)),
            directory(parent.path(), 5, 0o700, Some(&earlier)),
            directory(parent.path(), 6, 0o755, Some(&dead)),
            directory(parent.path(), 7, 0o700, None),
        ];
        let elsewhere = tempfile::tempdir().expect("works");
        let target = directory(elsewhere.path(), 8, 0o700, Some(&dead));
        let link = parent.path().join(format!("opencode-{:032x}", 9));
        symlink(&target, &link).expect("works");
        let other = parent.path().join("opencode-fake-1");
        fs::create_dir(&other).expect("works");

        sweep(parent.path());
        assert!(gone.iter().all(|path| !path.exists()), "{gone:?}");
        assert!(kept.iter().all(|path| path.join("auth.json").exists()), "{kept:?}");
        assert!(target.join("auth.json").exists() && link.exists() && other.exists());
    }

    #[test]
    fn an_owner_is_read_as_it_was_written() {
        let this = Owner::this_process().expect("works");
        assert_eq!(Owner::read(&this.to_line()), Some(this.clone()));
        assert!(!this.is_dead());
        for broken in ["", "a b c d\n", "a b 1\n", "a b 1 2"] {
            assert_eq!(Owner::read(broken), None, "{broken:?}");
        }
    }
}
