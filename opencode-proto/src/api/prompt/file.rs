use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::attachment::{AttachmentError, FileContent};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// A file in a [`Prompt`](super::Prompt). Mirrors `FilePartInput`.
///
/// The name decides the type of the file: `text/plain` unless the extension is that of an image or
/// a PDF. OpenCode turns only `text/plain` into text, and hands files of any other type to the
/// model's provider as they are; few providers accept `text/markdown` and the like. `Debug` shows
/// the size in place of the content.
///
/// ```
/// use opencode_proto::PromptFile;
///
/// let logo = PromptFile::path("/src/app/logo.png");
/// assert_eq!((logo.mime(), logo.filename()), ("image/png", Some("logo.png")));
/// assert_eq!(PromptFile::lines("/src/a.rs", 3..=9).url(), "file:///src/a.rs?start=3&end=9");
/// assert_eq!(logo.server_path(), Some("/src/app/logo.png".as_ref()));
/// assert_eq!(PromptFile::bytes("note.txt", "Hi").url(), "data:text/plain;base64,SGk=");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PromptFile {
    content: FileSource,
    mime: Box<str>,
    filename: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
enum FileSource {
    Bytes(Bytes),
    Path { path: PathBuf, lines: Option<RangeInclusive<u32>> },
}

impl PromptFile {
    /// Attaches a file or directory of the server's machine, by the absolute path. The server reads
    /// the file.
    ///
    /// A file that the server cannot read becomes a text for the model and an error of the session,
    /// and the turn goes on.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::on_server(path.into(), None)
    }

    /// Attaches lines of a text file of the server's machine, counted from 1.
    pub fn lines(path: impl Into<PathBuf>, lines: RangeInclusive<u32>) -> Self {
        Self::on_server(path.into(), Some(lines))
    }

    /// Attaches a file with this content, which is sent with the prompt.
    pub fn bytes(filename: impl Into<String>, content: impl Into<Bytes>) -> Self {
        let filename = filename.into();
        Self {
            content: FileSource::Bytes(content.into()),
            mime: mime(&filename).into(),
            filename: Some(filename),
        }
    }

    /// Sets the type of the file, for example `image/png`.
    #[must_use]
    pub fn with_mime(mut self, mime: impl Into<Box<str>>) -> Self {
        self.mime = mime.into();
        self
    }

    /// Sets the name for the model, in place of the file's own.
    #[must_use]
    pub fn with_filename(mut self, filename: impl Into<String>) -> Self {
        self.filename = Some(filename.into());
        self
    }

    /// Returns the type of the file, for example `image/png`.
    pub fn mime(&self) -> &str {
        &self.mime
    }

    /// Returns the name for the model.
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// Returns the `file://` or `data:` URL for the server.
    pub fn url(&self) -> String {
        match &self.content {
            FileSource::Bytes(bytes) => {
                let mut url = format!("data:{};base64,", self.mime);
                STANDARD.encode_string(bytes, &mut url);
                url
            }
            FileSource::Path { path, lines } => {
                let mut url = file_url(path);
                if let Some(lines) = lines {
                    url.push_str(&format!("?start={}&end={}", lines.start(), lines.end()));
                }
                url
            }
        }
    }

    /// Returns the path on the server's machine; `None` for content that is sent with the prompt.
    pub fn server_path(&self) -> Option<&Path> {
        match &self.content {
            FileSource::Bytes(_) => None,
            FileSource::Path { path, .. } => Some(path),
        }
    }

    /// Returns the content that is sent with the prompt; `None` for a file of the server's machine.
    pub fn content(&self) -> Option<&Bytes> {
        match &self.content {
            FileSource::Bytes(bytes) => Some(bytes),
            FileSource::Path { .. } => None,
        }
    }

    /// Checks content that is sent with the prompt. The server reads other files.
    ///
    /// # Errors
    ///
    /// [`AttachmentError`] when the content is too large, or of another type than the name or
    /// [`with_mime`](Self::with_mime) promises.
    pub fn check(&self) -> Result<(), AttachmentError> {
        let Some(bytes) = self.content() else { return Ok(()) };
        let head = &bytes[..bytes.len().min(FileContent::HEAD_SIZE)];
        let content = FileContent::new(head, bytes.len() as u64);
        let checked = content.check_size().and_then(|()| content.check(&self.mime));
        checked.map_err(|fault| {
            AttachmentError::new(self.filename.as_deref().unwrap_or("a file"), fault)
        })
    }

    pub(super) fn resolve(&mut self, directory: &Path) {
        match &mut self.content {
            FileSource::Bytes(_) => {}
            FileSource::Path { path, .. } => *path = directory.join(&path),
        }
    }

    fn on_server(path: PathBuf, lines: Option<RangeInclusive<u32>>) -> Self {
        let filename = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            mime: mime(filename.as_deref().unwrap_or("")).into(),
            content: FileSource::Path { path, lines },
            filename,
        }
    }
}

impl fmt::Debug for PromptFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PromptFile");
        match &self.content {
            FileSource::Bytes(bytes) => {
                shown.field("content", &format_args!("{} bytes", bytes.len()))
            }
            FileSource::Path { path, lines } => shown.field("path", path).field("lines", lines),
        };
        shown.field("mime", &self.mime).field("filename", &self.filename).finish()
    }
}

/// The characters with a meaning in a URL, without the separator of paths and the colon after a
/// drive.
const NOT_IN_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// Returns the URL of an absolute path. The form of the path decides, for the server may run on
/// another operating system.
fn file_url(path: &Path) -> String {
    let path = path.as_os_str().as_encoded_bytes();
    let encode = |path: &[u8]| percent_encode(path, NOT_IN_PATHS).to_string();
    let slashed = || -> Vec<u8> {
        path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
    };
    match path {
        [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic() => {
            format!("file:///{}", encode(&slashed()))
        }
        // `\\host\share`: a URL has the host at the same place.
        [b'\\', b'\\', ..] => format!("file:{}", encode(&slashed())),
        [b'/', ..] => format!("file://{}", encode(path)),
        _ => format!("file:///{}", encode(path)),
    }
}

/// Returns the type of a file by the name: a type that models accept as it is, else text.
pub(super) fn mime(filename: &str) -> &'static str {
    const TYPES: [(&str, &str); 8] = [
        ("avif", "image/avif"),
        ("bmp", "image/bmp"),
        ("gif", "image/gif"),
        ("jpeg", "image/jpeg"),
        ("jpg", "image/jpeg"),
        ("pdf", "application/pdf"),
        ("png", "image/png"),
        ("webp", "image/webp"),
    ];
    let extension = filename.rsplit_once('.').map_or("", |(_, extension)| extension);
    let known = TYPES.iter().find(|(name, _)| extension.eq_ignore_ascii_case(name));
    known.map_or("text/plain", |(_, mime)| mime)
}
