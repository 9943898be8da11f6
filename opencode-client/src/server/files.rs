//! Files that a prompt attaches, on the machine of the server.

use std::path::{Path, PathBuf};

use opencode_proto::{ServedFile, ServedFileKind};

/// Machine of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerMachine {
    /// The server was attached to, and may run on another machine.
    Elsewhere,
    /// The server was started here.
    Here,
}

/// Looks for files whose paths are relative to `base`. Blocks.
pub(crate) fn found(files: &[PathBuf], base: &Path, machine: ServerMachine) -> Vec<ServedFile> {
    let find = |given: &PathBuf| {
        let path = base.join(given);
        let kind = match (std::fs::metadata(&path), machine) {
            (Ok(metadata), _) if metadata.is_dir() => ServedFileKind::Directory,
            (Ok(_), _) | (Err(_), ServerMachine::Elsewhere) => ServedFileKind::File,
            (Err(_), ServerMachine::Here) => ServedFileKind::Missing,
        };
        ServedFile::new(given, path, kind)
    };
    files.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_here_may_exist_elsewhere() {
        use ServedFileKind::{Directory, File, Missing};

        let directory = tempfile::TempDir::new().expect("a directory");
        std::fs::write(directory.path().join("a.txt"), "a").expect("a file");
        std::fs::create_dir(directory.path().join("src")).expect("a directory");
        let files = ["a.txt", "src", "none"].map(PathBuf::from);
        let kinds = |machine| {
            let found = found(&files, directory.path(), machine);
            assert_eq!(found[0].path, directory.path().join("a.txt"));
            assert_eq!(found[0].given, Path::new("a.txt"));
            found.iter().map(|file| file.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(ServerMachine::Here), [File, Directory, Missing]);
        assert_eq!(kinds(ServerMachine::Elsewhere), [File, Directory, File]);
    }
}
