//! Check of attached files before they are sent.

/// Maximum size of content that is sent with a prompt, in bytes. OpenCode accepts requests of up to
/// 128 MiB, and base64 adds a third.
const CONTENT_SIZE_MAX: u64 = 90 << 20;

/// Number of bytes from which the type of a file is known.
const HEAD_SIZE: usize = 1 << 10;

/// Error of a file that cannot be attached to a prompt. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot attach {name}: {fault}")]
#[non_exhaustive]
pub struct AttachmentError {
    /// Path of the file as the caller wrote it, or the name of content.
    pub name: String,
    /// Reason why the file cannot be attached.
    pub fault: AttachmentFault,
}

/// Reason why a file cannot be attached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachmentFault {
    /// The file has no content, and the type needs some.
    #[error("the file is empty, and not {mime}")]
    #[non_exhaustive]
    Empty {
        /// Type of the file by its name or the caller.
        mime: String,
    },
    /// The file does not exist.
    #[error("the file does not exist")]
    Missing,
    /// The content is too large to be sent.
    #[error("the content has {size} bytes, more than {size_max}")]
    #[non_exhaustive]
    TooLarge {
        /// Size of the content, in bytes.
        size: u64,
        /// Maximum size, in bytes.
        size_max: u64,
    },
    /// The content is of another type. A provider would refuse the file, or OpenCode could not
    /// decode the file.
    #[error("the content is {}, not {mime}", found.as_deref().unwrap_or("no image or document"))]
    #[non_exhaustive]
    WrongType {
        /// Type of the file by its name or the caller.
        mime: String,
        /// Type by the content, if known.
        found: Option<String>,
    },
}

/// Content of a file, as far as a check needs it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FileContent<'a> {
    head: &'a [u8],
    size: u64,
}

impl<'a> FileContent<'a> {
    /// Number of bytes at the beginning of a file that a check reads.
    pub const HEAD_SIZE: usize = HEAD_SIZE;

    /// Creates a content from the beginning, of up to [`HEAD_SIZE`](Self::HEAD_SIZE) bytes, and the
    /// size of the whole.
    pub fn new(head: &'a [u8], size: u64) -> Self {
        Self { head, size }
    }

    /// Checks that the content can be of this type. Types without known signatures always can.
    ///
    /// ```
    /// use opencode_proto::api::{AttachmentFault, FileContent};
    ///
    /// let png = FileContent::new(b"\x89PNG\r\n\x1a\n", 8);
    /// assert_eq!(png.check("image/png"), Ok(()));
    /// let fault = png.check("image/jpeg").unwrap_err();
    /// assert_eq!(fault.to_string(), "the content is image/png, not image/jpeg");
    /// ```
    ///
    /// # Errors
    ///
    /// [`AttachmentFault::Empty`] and [`AttachmentFault::WrongType`].
    pub fn check(self, mime: &str) -> Result<(), AttachmentFault> {
        let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let expected = if mime == "image/jpg" { "image/jpeg" } else { &*mime };
        if !SIGNED.contains(&expected) {
            return Ok(());
        }
        if self.size == 0 {
            return Err(AttachmentFault::Empty { mime });
        }
        let found = signature(self.head);
        if found == Some(expected) {
            return Ok(());
        }
        Err(AttachmentFault::WrongType { found: found.map(str::to_owned), mime })
    }

    /// Checks that the content is small enough to be sent with a prompt.
    ///
    /// # Errors
    ///
    /// [`AttachmentFault::TooLarge`].
    pub fn check_size(self) -> Result<(), AttachmentFault> {
        if self.size > CONTENT_SIZE_MAX {
            let (size, size_max) = (self.size, CONTENT_SIZE_MAX);
            return Err(AttachmentFault::TooLarge { size, size_max });
        }
        Ok(())
    }
}

impl AttachmentError {
    /// Creates the error of a file of this name.
    pub fn new(name: impl Into<String>, fault: AttachmentFault) -> Self {
        Self { name: name.into(), fault }
    }
}

/// Types that [`signature`] knows.
const SIGNED: [&str; 7] = [
    "application/pdf",
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
];

/// Returns the type of a file by the first bytes.
fn signature(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', b'f' | b's', ..] => {
            Some("image/avif")
        }
        [b'B', b'M', ..] => Some("image/bmp"),
        // Some programs write bytes before the signature, and readers accept them.
        _ if head.windows(5).take(HEAD_SIZE).any(|bytes| bytes == b"%PDF-") => {
            Some("application/pdf")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mime: &str, head: &[u8]) -> Result<(), AttachmentFault> {
        FileContent::new(head, head.len() as u64).check(mime)
    }

    #[test]
    fn each_type_is_known_by_its_signature() {
        let files: [(&str, &[u8]); 8] = [
            ("application/pdf", b"%PDF-1.7"),
            ("application/pdf", b"\xef\xbb\xbf\n%PDF-1.7"),
            ("image/avif", b"\0\0\0\x1cftypavif\0"),
            ("image/bmp", b"BM\x01\0"),
            ("image/gif", b"GIF89a\x01"),
            ("image/jpeg", b"\xff\xd8\xff\xe0\0"),
            ("image/png", b"\x89PNG\r\n\x1a\n\0"),
            ("image/webp", b"RIFF\x01\x02\x03\x04WEBPVP8 "),
        ];
        for (mime, head) in files {
            assert_eq!(check(mime, head), Ok(()), "{mime}");
            for (other, other_head) in files {
                assert_eq!(check(mime, other_head).is_ok(), mime == other, "{mime} {other}");
            }
            assert!(matches!(check(mime, b""), Err(AttachmentFault::Empty { .. })), "{mime}");
            let text = check(mime, b"not an image").expect_err(mime);
            assert!(matches!(text, AttachmentFault::WrongType { found: None, .. }), "{text}");
        }
        assert_eq!(check("image/jpg", b"\xff\xd8\xff\xe0"), Ok(()));
        assert_eq!(check("IMAGE/PNG; a=b", b"\x89PNG\r\n\x1a\n"), Ok(()));
    }

    #[test]
    fn other_types_may_have_any_content() {
        for mime in ["text/plain", "image/svg+xml", "application/x-directory", ""] {
            assert_eq!(check(mime, b""), Ok(()), "{mime}");
            assert_eq!(check(mime, b"\x89PNG\r\n\x1a\n"), Ok(()), "{mime}");
        }
    }

    #[test]
    fn content_over_the_limit_of_requests_is_refused() {
        assert_eq!(FileContent::new(b"", CONTENT_SIZE_MAX).check_size(), Ok(()));
        let large = FileContent::new(b"", CONTENT_SIZE_MAX + 1).check_size();
        assert!(matches!(large, Err(AttachmentFault::TooLarge { .. })), "{large:?}");
    }
}
