//! Places of files: questions about the file system, and the judgement of the answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::footprint::{Footprint, lexical};
use super::guard::Guard;
use super::settings::Confinement;
use super::verdict::PolicyReason;

#[cfg(test)]
mod tests;

/// Number of a [`FileQuestion`], unique within one [`PolicyJudge`](super::PolicyJudge).
///
/// ```
/// use std::collections::BTreeMap;
/// use opencode_proto::policy::{FileFinding, FileQuestionId};
///
/// // Findings of finished look-ups, until the driver hands them over.
/// let finished: BTreeMap<FileQuestionId, Vec<FileFinding>> = BTreeMap::new();
/// # drop(finished);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileQuestionId(pub(super) u64);

/// Paths that the driver has to look up in the file system.
///
/// The driver answers with [`PolicyJudge::handle_files`](super::PolicyJudge::handle_files): one
/// [`FileFinding`] for each path, in the same order. Looking up blocks.
///
/// ```
/// use std::path::Path;
/// use opencode_proto::policy::{FileFinding, FileQuestion};
///
/// fn answer(question: &FileQuestion) -> Vec<FileFinding> {
///     question.paths.iter().map(|path| find(path)).collect()
/// }
///
/// fn find(path: &Path) -> FileFinding {
///     match path.canonicalize() {
///         Ok(real) => FileFinding::found(real),
///         // A real driver resolves the part of the path that exists.
///         Err(_) => FileFinding::unknown(),
///     }
/// }
/// # let _ = answer;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileQuestion {
    /// Correlates the answer.
    pub id: FileQuestionId,
    /// Absolute paths, perhaps with `..` and links.
    pub paths: Vec<PathBuf>,
}

/// Result of looking up one path.
///
/// ```
/// use opencode_proto::policy::{FileFinding, Presence};
///
/// let found = FileFinding::found("/src/project/main.rs");
/// assert_eq!(found.presence, Presence::Present);
/// let free = FileFinding::absent("/src/project/new.rs");
/// assert_eq!(free.presence, Presence::Absent);
/// assert_eq!(FileFinding::unknown().real, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileFinding {
    /// The path as the operating system follows it: every link followed, every `..` applied to
    /// the target of the link before. Names below a directory that does not exist stay as they
    /// are. `None` when the path cannot be followed.
    pub real: Option<PathBuf>,
    /// Existence of the file, after all links.
    pub presence: Presence,
}

/// Existence of a file.
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use opencode_proto::policy::Presence;
///
/// fn presence(looked_up: Result<(), Error>) -> Presence {
///     match looked_up {
///         Err(error) if error.kind() == ErrorKind::NotFound => Presence::Absent,
///         Ok(()) | Err(_) => Presence::Present,
///     }
/// }
/// assert_eq!(presence(Err(ErrorKind::PermissionDenied.into())), Presence::Present);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// The file does not exist.
    Absent,
    /// The file exists, or the existence cannot be determined.
    Present,
}

impl FileFinding {
    /// A file that exists, or may exist, at this real path.
    pub fn found(real: impl Into<PathBuf>) -> Self {
        Self { real: Some(real.into()), presence: Presence::Present }
    }

    /// A file that does not exist. The real path is the place where it would be created.
    pub fn absent(real: impl Into<PathBuf>) -> Self {
        Self { real: Some(real.into()), presence: Presence::Absent }
    }

    /// A path that cannot be followed: too many links, or a directory that cannot be searched.
    pub const fn unknown() -> Self {
        Self { real: None, presence: Presence::Present }
    }
}

/// Directories that reads and writes are confined to. `None`: anywhere.
#[derive(Clone, Debug, Default)]
pub(super) struct FileLimits {
    pub(super) reads: Option<Confinement>,
    pub(super) writes: Option<Confinement>,
    pub(super) guard: Guard,
}

/// Paths that are looked up for one permission request.
#[derive(Debug)]
pub(super) struct FileLookup {
    footprint: Footprint,
    paths: Vec<PathBuf>,
}

impl FileLookup {
    pub(super) fn new(footprint: Footprint) -> Self {
        let Footprint { reads, writes, either, mentions } = &footprint;
        let mut paths = Vec::new();
        let mut add = |path: PathBuf| {
            if !paths.contains(&path) {
                paths.push(path);
            }
        };
        for path in [reads, writes, either, mentions].into_iter().flatten() {
            // OpenCode removes `..` in some places and leaves it to the operating system in
            // others, where it is the parent of a link's target.
            add(path.clone());
            add(lexical(path));
        }
        for directory in writes.iter().flat_map(|path| directories(path)) {
            add(directory.join("HEAD"));
            add(directory);
        }
        Self { footprint, paths }
    }

    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Judges the answer, which has one finding for each path. A path without a finding is
    /// outside.
    pub(super) fn judge(
        &self,
        findings: &[FileFinding],
        limits: &FileLimits,
    ) -> Result<(), PolicyReason> {
        let findings = Findings(self.paths.iter().map(PathBuf::as_path).zip(findings).collect());
        let is_out = |limit: &Option<Confinement>, path: &Path| {
            limit.as_ref().is_some_and(|limit| !findings.is_inside(path, limit))
        };
        let Footprint { reads, writes, either, mentions } = &self.footprint;
        let mentions = mentions.iter().filter(|path| findings.may_exist(path));
        for path in reads.iter().chain(mentions) {
            if is_out(&limits.reads, path) {
                return Err(PolicyReason::Outside { path: path.clone() });
            }
        }
        for path in writes {
            if is_out(&limits.writes, path) {
                return Err(PolicyReason::Outside { path: path.clone() });
            }
            if limits
                .writes
                .as_ref()
                .is_some_and(|writes| findings.is_guarded(path, writes, &limits.guard))
            {
                return Err(PolicyReason::Guarded { path: path.clone() });
            }
        }
        for path in either {
            if is_out(&limits.reads, path) && is_out(&limits.writes, path) {
                return Err(PolicyReason::Outside { path: path.clone() });
            }
        }
        Ok(())
    }
}

/// Findings by path.
struct Findings<'a>(BTreeMap<&'a Path, &'a FileFinding>);

impl Findings<'_> {
    /// Returns the real path that a path leads to.
    fn real(&self, path: &Path) -> Option<&Path> {
        self.0.get(path)?.real.as_deref()
    }

    fn is_present(&self, path: &Path) -> bool {
        self.0.get(path).is_none_or(|found| found.presence == Presence::Present)
    }

    /// A path without a finding may exist.
    fn may_exist(&self, path: &Path) -> bool {
        self.is_present(path) || self.is_present(&lexical(path))
    }

    /// A path has to be inside both as text and as the operating system follows it. A path without
    /// a finding is outside.
    fn is_inside(&self, path: &Path, confinement: &Confinement) -> bool {
        [path, &lexical(path)]
            .into_iter()
            .all(|path| self.real(path).is_some_and(|real| confinement.below(real).is_some()))
    }

    fn is_guarded(&self, path: &Path, confinement: &Confinement, guard: &Guard) -> bool {
        // The nearest directory counts: one that is guarded below another may be named itself.
        let below = |path: &Path| Some(confinement.below(self.real(path)?)?.to_path_buf());
        let is_named = |path: &Path| below(path).is_some_and(|below| guard.covers(&below));
        // The directory that the policy names may be a repository.
        let is_repository = |directory: PathBuf| {
            below(&directory).is_some_and(|below| below != Path::new(""))
                && self.is_present(&directory.join("HEAD"))
        };
        is_named(path)
            || is_named(&lexical(path))
            || directories(path).into_iter().any(is_repository)
    }
}

/// Returns the directories that a path is in, as text.
fn directories(path: &Path) -> Vec<PathBuf> {
    lexical(path).ancestors().skip(1).map(Path::to_path_buf).collect()
}
