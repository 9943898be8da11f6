use serde_json::Value;

use crate::http::response;
use crate::model::Gate;

/// Reply to one request.
#[derive(Debug, Clone)]
#[must_use]
pub struct ServerReply {
    pub(super) kind: ReplyKind,
    pub(super) headers: Vec<(String, String)>,
    pub(super) gate: Option<Gate>,
}

#[derive(Debug, Clone)]
pub(super) enum ReplyKind {
    Response { status: u16, content_type: Option<String>, body: Vec<u8> },
    Unscripted,
    Close,
    Never,
}

impl ServerReply {
    /// Creates a reply with a body of this content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let content_type = Some(content_type.to_owned());
        Self::from(ReplyKind::Response { status, content_type, body: body.into() })
    }

    /// Creates a JSON reply with status 200.
    pub fn json(body: impl Into<Value>) -> Self {
        Self::error(200, body)
    }

    /// Creates a JSON reply with another status, such as 404 with
    /// `{"name":"NotFoundError","data":{"message":".."}}`.
    pub fn error(status: u16, body: impl Into<Value>) -> Self {
        Self::new(status, "application/json", body.into().to_string())
    }

    /// Creates a reply without a body.
    pub fn status(status: u16) -> Self {
        Self::from(ReplyKind::Response { status, content_type: None, body: Vec::new() })
    }

    /// The reply of a server without a script, event streams included, to use as one reply of
    /// several.
    pub fn unscripted() -> Self {
        Self::from(ReplyKind::Unscripted)
    }

    /// Closes the connection without a reply.
    pub fn close() -> Self {
        Self::from(ReplyKind::Close)
    }

    /// Sends no reply until the client disconnects or the server is dropped.
    pub fn never() -> Self {
        Self::from(ReplyKind::Never)
    }

    /// Adds a header to a reply other than [`Self::unscripted`].
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Holds the reply back until the gate is open.
    pub fn with_gate(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Bytes of the response; `None` for replies that send no response.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        match &self.kind {
            ReplyKind::Response { status, content_type, body } => {
                Some(response(*status, content_type.as_deref(), &self.headers, body))
            }
            ReplyKind::Unscripted | ReplyKind::Close | ReplyKind::Never => None,
        }
    }
}

impl From<ReplyKind> for ServerReply {
    fn from(kind: ReplyKind) -> Self {
        Self { kind, headers: Vec::new(), gate: None }
    }
}

/// One reply to every request.
impl IntoIterator for ServerReply {
    type Item = Self;
    type IntoIter = std::iter::Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}
