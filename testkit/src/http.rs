//! The part of HTTP/1.1 that servers and proxies for tests need.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use thiserror::Error;

const HEAD_SIZE_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;
const BODY_SIZE_MAX: usize = 256 * 1024 * 1024;
const READ_SIZE: usize = 64 * 1024;

/// A request without the body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn keeps_alive(&self) -> bool {
        !self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Decodes the percent codes of a header or path.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = || u8::from_str_radix(std::str::from_utf8(after.get(..2)?).ok()?, 16).ok();
        let code = if *first == b'%' { code() } else { None };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Error of [`Requests::next`].
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error("the client closed the connection in the middle of a request")]
    Gone(#[source] io::Error),
    #[error("malformed request")]
    Malformed,
    #[error("the request exceeds {limit} bytes")]
    TooLarge { limit: usize },
}

/// The requests of one connection, one after the other.
#[derive(Debug)]
pub(crate) struct Requests<R> {
    stream: R,
    buffered: Vec<u8>,
}

impl<R: Read> Requests<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, buffered: Vec::new() }
    }

    /// Returns the underlying stream, and the number of bytes read from it that belong to later
    /// requests.
    pub(crate) fn source(&mut self) -> (&mut R, usize) {
        (&mut self.stream, self.buffered.len())
    }

    /// Reads the next request and the body. Returns `None` when the client closed the connection
    /// after the last request.
    pub(crate) fn next(&mut self) -> Result<Option<(Head, Vec<u8>)>, ReadError> {
        if self.buffered.is_empty() && self.fill()? == 0 {
            return Ok(None);
        }
        let head = self.head()?;
        let body = match head.header("content-length") {
            Some(length) => {
                let length = length.trim().parse().map_err(|_| ReadError::Malformed)?;
                self.exactly(length)?
            }
            None if head.header("transfer-encoding").is_some() => self.chunks()?,
            None => Vec::new(),
        };
        Ok(Some((head, body)))
    }

    fn head(&mut self) -> Result<Head, ReadError> {
        loop {
            if let Some((head, size)) = parse_head(&self.buffered)? {
                self.buffered.drain(..size);
                return Ok(head);
            }
            if self.buffered.len() > HEAD_SIZE_MAX {
                return Err(ReadError::TooLarge { limit: HEAD_SIZE_MAX });
            }
            self.more()?;
        }
    }

    /// Takes the next bytes of the connection.
    fn exactly(&mut self, size: usize) -> Result<Vec<u8>, ReadError> {
        if size > BODY_SIZE_MAX {
            return Err(ReadError::TooLarge { limit: BODY_SIZE_MAX });
        }
        while self.buffered.len() < size {
            self.more()?;
        }
        let rest = self.buffered.split_off(size);
        Ok(std::mem::replace(&mut self.buffered, rest))
    }

    fn chunks(&mut self) -> Result<Vec<u8>, ReadError> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let (_, size) = match httparse::parse_chunk_size(&line) {
                Ok(httparse::Status::Complete(parsed)) => parsed,
                Ok(httparse::Status::Partial) | Err(_) => return Err(ReadError::Malformed),
            };
            if size == 0 {
                // Trailers end with an empty line.
                while self.line()? != b"\r\n" {}
                return Ok(body);
            }
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size > BODY_SIZE_MAX - body.len() {
                return Err(ReadError::TooLarge { limit: BODY_SIZE_MAX });
            }
            body.append(&mut self.exactly(size)?);
            if self.line()? != b"\r\n" {
                return Err(ReadError::Malformed);
            }
        }
    }

    /// Takes the next line with the line break.
    fn line(&mut self) -> Result<Vec<u8>, ReadError> {
        loop {
            if let Some(at) = self.buffered.iter().position(|byte| *byte == b'\n') {
                return self.exactly(at + 1);
            }
            if self.buffered.len() > HEAD_SIZE_MAX {
                return Err(ReadError::Malformed);
            }
            self.more()?;
        }
    }

    /// Reads more bytes. Fails when the client closed the connection in the middle of a request.
    fn more(&mut self) -> Result<(), ReadError> {
        match self.fill()? {
            0 => Err(ReadError::Gone(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    fn fill(&mut self) -> Result<usize, ReadError> {
        let mut chunk = [0; READ_SIZE];
        let size = self.stream.read(&mut chunk).map_err(ReadError::Gone)?;
        self.buffered.extend_from_slice(&chunk[..size]);
        Ok(size)
    }
}

/// Parses the head of a request. Returns the head and the size in bytes, or `None` while the head
/// is incomplete.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<(Head, usize)>, ReadError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let status = head.parse(bytes).map_err(|_| ReadError::Malformed)?;
    let httparse::Status::Complete(size) = status else { return Ok(None) };
    let head = Head {
        method: head.method.unwrap_or_default().to_owned(),
        path: head.path.unwrap_or_default().to_owned(),
        headers: head.headers.iter().map(header).collect(),
    };
    Ok(Some((head, size)))
}

fn header(header: &httparse::Header<'_>) -> (String, String) {
    (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned())
}

/// Writes a whole response.
pub(crate) fn respond(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(String, String)],
    body: &str,
) -> io::Result<()> {
    let kind = if body.starts_with('{') { "application/json" } else { "text/html" };
    let mut response = response_head(status, Some(kind), headers);
    response.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(response.as_bytes())
}

/// A response with the body; without a `kind` it has no `content-type`.
pub(crate) fn response(
    status: u16,
    kind: Option<&str>,
    headers: &[(String, String)],
    body: &[u8],
) -> Vec<u8> {
    let mut head = response_head(status, kind, headers);
    // OpenCode sends `content-length: 0` with "204 No Content" as well.
    head.push_str(&format!("content-length: {}\r\n", body.len()));
    [head.as_bytes(), b"\r\n", body].concat()
}

/// Parses the head of a response. Returns the status and the size of the head in bytes, or `None`
/// while the head is incomplete.
pub(crate) fn response_status(bytes: &[u8]) -> Result<Option<(u16, usize)>, ReadError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Complete(size)) => Ok(head.code.map(|status| (status, size))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(_) => Err(ReadError::Malformed),
    }
}

/// Writes the head of an event stream.
pub(crate) fn begin_stream(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(String, String)],
) -> io::Result<()> {
    let mut response = response_head(status, Some("text/event-stream"), headers);
    response.push_str("transfer-encoding: chunked\r\n\r\n");
    stream.write_all(response.as_bytes())
}

/// Writes one chunk of a chunked body; an empty chunk ends the body.
pub(crate) fn write_chunk(mut stream: &TcpStream, data: &[u8]) -> io::Result<()> {
    let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
    chunk.extend_from_slice(data);
    chunk.extend_from_slice(b"\r\n");
    stream.write_all(&chunk)
}

fn response_head(status: u16, kind: Option<&str>, headers: &[(String, String)]) -> String {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    let given = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if let Some(kind) = kind.filter(|_| !given) {
        head.push_str(&format!("content-type: {kind}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head
}

/// Standard reason phrase: OpenCode shows the phrase in errors when it differs from the standard.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        529 => "Overloaded",
        _ => "",
    }
}
