//! Files that a prompt attaches, on the machine of the server.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use opencode_proto::api::FileContent;
use opencode_proto::{
    AttachmentError, AttachmentFault, PromptFile, ServedFile, ServedFileKind, TurnPost,
};

use crate::runtime::Runtime;
use crate::runtime::blocking::unblock;

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
        let fault = (kind == ServedFileKind::File)
            .then(|| fault_of(&path, PromptFile::path(&path).mime()))
            .flatten();
        ServedFile::new(given, path, kind).with_fault(fault)
    };
    files.iter().map(find).collect()
}

/// Checks the files that a turn attaches, before it is posted.
pub(crate) async fn check(
    runtime: &Arc<dyn Runtime>,
    post: TurnPost,
    machine: ServerMachine,
) -> Result<(), AttachmentError> {
    if post.files().next().is_none() {
        return Ok(());
    }
    unblock(runtime, move || unusable(&post, machine)).await.map_or(Ok(()), Err)
}

/// Returns the error of a file that a turn attaches and that cannot be used. Blocks.
pub(crate) fn unusable(post: &TurnPost, machine: ServerMachine) -> Option<AttachmentError> {
    post.files().find_map(|file| {
        let Some(path) = file.server_path() else { return file.check().err() };
        if machine == ServerMachine::Elsewhere {
            return None;
        }
        let fault = match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => None,
            Ok(_) => fault_of(path, file.mime()),
            Err(_) => Some(AttachmentFault::Missing),
        };
        fault.map(|fault| AttachmentError::new(path.to_string_lossy(), fault))
    })
}

/// Returns the reason why a file of this type cannot be attached. A file that cannot be read here
/// may be one of another machine. Blocks.
fn fault_of(path: &Path, mime: &str) -> Option<AttachmentFault> {
    let (head, size) = head_of(path).ok()?;
    FileContent::new(&head, size).check(mime).err()
}

fn head_of(path: &Path) -> io::Result<(Vec<u8>, u64)> {
    // Opening a pipe would wait for a writer.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut head = Vec::new();
    File::open(path)?.take(FileContent::HEAD_SIZE as u64).read_to_end(&mut head)?;
    Ok((head, metadata.len()))
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

    #[test]
    fn a_file_that_is_no_image_is_not_attached_as_one() {
        let directory = tempfile::TempDir::new().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("a.png"), "text").expect("a file");
        std::fs::write(path("b.png"), b"\x89PNG\r\n\x1a\n").expect("a file");
        std::fs::write(path("c.txt"), "").expect("a file");
        let files = ["a.png", "b.png", "c.txt", "none.png"].map(PathBuf::from);
        let found = found(&files, directory.path(), ServerMachine::Here);
        let faults: Vec<_> = found.iter().map(|file| file.error().is_some()).collect();
        assert_eq!(faults, [true, false, false, false]);
        assert_eq!(found[3].kind, ServedFileKind::Missing);

        let post = |file: PromptFile| TurnPost::from(file);
        let check = |file: PromptFile, machine| unusable(&post(file), machine).map(|e| e.fault);
        let here = ServerMachine::Here;
        let fault = check(PromptFile::path(path("a.png")), here);
        assert!(matches!(fault, Some(AttachmentFault::WrongType { .. })), "{fault:?}");
        assert_eq!(check(PromptFile::path(path("b.png")), here), None);
        assert_eq!(check(PromptFile::path(path("none")), here), Some(AttachmentFault::Missing));
        assert_eq!(check(PromptFile::path(path("none")), ServerMachine::Elsewhere), None);
        assert_eq!(check(PromptFile::path(directory.path()), here), None);
        let fault = check(PromptFile::bytes("a.gif", "text"), ServerMachine::Elsewhere);
        assert!(matches!(fault, Some(AttachmentFault::WrongType { .. })), "{fault:?}");
    }
}
