use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// A file in a [`Prompt`](super::Prompt). Mirrors `FilePartInput`.
///
/// Its type is told from its name: `text/plain` unless that says that it is an image or a PDF. OpenCode makes text of
/// `text/plain` only, and hands files of any other type to the model's provider as they are, which few providers take
/// for `text/markdown` and the like. `Debug` shows the size in place of the content.
#[derive(Clone, PartialEq, Eq)]
pub struct PromptFile {
    content: Content,
    mime: Box<str>,
    filename: Option<String>,
}

#[derive(Clone, PartialEq, Eq)]
enum Content {
    Bytes(Bytes),
    Path { path: PathBuf, lines: Option<RangeInclusive<u32>> },
}

impl PromptFile {
    /// A file or directory on the server's machine, by its absolute path. The server reads it.
    ///
    /// If it cannot, the model is told so, the session has an error, and the turn goes on.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::on_server(path.into(), None)
    }

    /// Some lines of a text file on the server's machine, counted from 1.
    pub fn lines(path: impl Into<PathBuf>, lines: RangeInclusive<u32>) -> Self {
        Self::on_server(path.into(), Some(lines))
    }

    /// A file with this content. It is sent with the prompt.
    pub fn bytes(filename: impl Into<String>, content: impl Into<Bytes>) -> Self {
        let filename = filename.into();
        Self {
            content: Content::Bytes(content.into()),
            mime: mime(&filename).into(),
            filename: Some(filename),
        }
    }

    /// Says which type it is, for example `image/png`.
    #[must_use]
    pub fn with_mime(mut self, mime: impl Into<Box<str>>) -> Self {
        self.mime = mime.into();
        self
    }

    /// Says what the model is to know it as. Its own name, if this is not called.
    #[must_use]
    pub fn with_filename(mut self, filename: impl Into<String>) -> Self {
        self.filename = Some(filename.into());
        self
    }

    /// Its type, for example `image/png`.
    pub fn mime(&self) -> &str {
        &self.mime
    }

    /// What the model is to know it as.
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// The `file://` or `data:` URL that the server is told.
    pub fn url(&self) -> String {
        match &self.content {
            Content::Bytes(bytes) => {
                let mut url = format!("data:{};base64,", self.mime);
                STANDARD.encode_string(bytes, &mut url);
                url
            }
            Content::Path { path, lines } => {
                let mut url = file_url(path);
                if let Some(lines) = lines {
                    url.push_str(&format!("?start={}&end={}", lines.start(), lines.end()));
                }
                url
            }
        }
    }

    pub(super) fn resolve(&mut self, directory: &Path) {
        match &mut self.content {
            Content::Bytes(_) => {}
            Content::Path { path, .. } => *path = directory.join(&path),
        }
    }

    fn on_server(path: PathBuf, lines: Option<RangeInclusive<u32>>) -> Self {
        let filename = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Self {
            mime: mime(filename.as_deref().unwrap_or("")).into(),
            content: Content::Path { path, lines },
            filename,
        }
    }
}

impl fmt::Debug for PromptFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PromptFile");
        match &self.content {
            Content::Bytes(bytes) => shown.field("content", &format_args!("{} bytes", bytes.len())),
            Content::Path { path, lines } => shown.field("path", path).field("lines", lines),
        };
        shown.field("mime", &self.mime).field("filename", &self.filename).finish()
    }
}

/// All that means something in a URL, but for the separator of paths and the colon after a drive.
const NOT_IN_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// The URL of an absolute path. The server may run on another system than we do, so the path's form decides.
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
        // `\\host\share`: the host is where a URL has its host.
        [b'\\', b'\\', ..] => format!("file:{}", encode(&slashed())),
        [b'/', ..] => format!("file://{}", encode(path)),
        _ => format!("file:///{}", encode(path)),
    }
}

/// The type of a file by its name: what models take as it is, and text.
fn mime(filename: &str) -> &'static str {
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
