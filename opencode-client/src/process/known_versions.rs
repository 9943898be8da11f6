//! Versions of programs that were checked before.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use opencode_proto::{UnsupportedVersion, Version};

use crate::runtime::latch::Latch;

/// Version check results of one client handle.
#[derive(Debug, Default)]
pub(crate) struct KnownVersions(Mutex<BTreeMap<ProgramFile, CheckState>>);

/// A program, as far as it decides the version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProgramFile {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) modified: Option<SystemTime>,
    pub(crate) size: u64,
}

/// Result of a check: the version, or `None` for a build from the sources.
pub(crate) type CheckedVersion = Result<Option<Version>, UnsupportedVersion>;

#[derive(Clone, Debug)]
enum CheckState {
    /// One caller checks, and others wait for the latch.
    Checking(Arc<Latch<()>>),
    Checked(CheckedVersion),
}

/// Part of one caller in the check of a program.
pub(crate) enum CheckTurn<'a> {
    Check(Checking<'a>),
    Checked(CheckedVersion),
    Wait(Arc<Latch<()>>),
}

impl KnownVersions {
    pub(crate) fn turn(&self, file: ProgramFile) -> CheckTurn<'_> {
        let mut checks = self.lock();
        match checks.get(&file) {
            Some(CheckState::Checked(result)) => CheckTurn::Checked(result.clone()),
            Some(CheckState::Checking(latch)) => CheckTurn::Wait(Arc::clone(latch)),
            None => {
                let latch = Arc::default();
                checks.insert(file.clone(), CheckState::Checking(Arc::clone(&latch)));
                CheckTurn::Check(Checking { checks: self, file, latch })
            }
        }
    }

    /// Locks the map, which is consistent between any two statements, also after a panic.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ProgramFile, CheckState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to check a program, for one caller. A drop without a result leaves the check to
/// others.
pub(crate) struct Checking<'a> {
    checks: &'a KnownVersions,
    file: ProgramFile,
    latch: Arc<Latch<()>>,
}

impl Checking<'_> {
    pub(crate) fn conclude(self, result: CheckedVersion) {
        self.checks.lock().insert(self.file.clone(), CheckState::Checked(result));
    }
}

impl Drop for Checking<'_> {
    fn drop(&mut self) {
        let mut checks = self.checks.lock();
        if let Some(CheckState::Checking(_)) = checks.get(&self.file) {
            checks.remove(&self.file);
        }
        drop(checks);
        self.latch.set(());
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    fn file(name: &str) -> ProgramFile {
        ProgramFile { program: name.into(), args: Vec::new(), modified: None, size: 1 }
    }

    #[test]
    fn one_caller_checks_and_the_others_get_the_result() {
        let checks = KnownVersions::default();
        let CheckTurn::Check(checking) = checks.turn(file("a")) else {
            panic!("nothing is known yet")
        };
        let CheckTurn::Wait(latch) = checks.turn(file("a")) else { panic!("a check is running") };
        assert!(matches!(checks.turn(file("b")), CheckTurn::Check(_)), "another program");
        assert!(latch.value().is_none());
        checking.conclude(Ok(Some(Version::new(1, 18, 33))));
        assert!(latch.value().is_some());
        let CheckTurn::Checked(Ok(Some(version))) = checks.turn(file("a")) else {
            panic!("the version is known")
        };
        assert_eq!(version, Version::new(1, 18, 33));
        let changed = ProgramFile { size: 2, ..file("a") };
        assert!(matches!(checks.turn(changed), CheckTurn::Check(_)), "a program that was replaced");
    }

    #[test]
    fn a_check_that_is_dropped_is_left_to_the_next_caller() {
        let checks = KnownVersions::default();
        let CheckTurn::Check(checking) = checks.turn(file("a")) else {
            panic!("nothing is known yet")
        };
        let CheckTurn::Wait(latch) = checks.turn(file("a")) else { panic!("a check is running") };
        let mut wait = std::pin::pin!(latch.wait());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        drop(checking);
        assert!(wait.as_mut().poll(&mut cx).is_ready());
        assert!(matches!(checks.turn(file("a")), CheckTurn::Check(_)));
    }
}
