use serde_json::Value;

use crate::http::response;
use crate::model::Gate;

/// What one request gets.
#[derive(Debug, Clone)]
#[must_use]
pub struct Reply {
    pub(super) kind: Kind,
    pub(super) headers: Vec<(String, String)>,
    pub(super) gate: Option<Gate>,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Response { status: u16, content_type: Option<String>, body: Vec<u8> },
    Usual,
    Close,
    Never,
}

impl Reply {
    /// A body of that content type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let content_type = Some(content_type.to_owned());
        Self::from(Kind::Response { status, content_type, body: body.into() })
    }

    /// Status 200 with JSON.
    pub fn json(body: impl Into<Value>) -> Self {
        Self::error(200, body)
    }

    /// Another status with JSON, such as 404 with `{"name":"NotFoundError","data":{"message":".."}}`.
    pub fn error(status: u16, body: impl Into<Value>) -> Self {
        Self::new(status, "application/json", body.into().to_string())
    }

    /// No body.
    pub fn status(status: u16) -> Self {
        Self::from(Kind::Response { status, content_type: None, body: Vec::new() })
    }

    /// What the server replies without a route, event streams too: one reply of several, for instance.
    pub fn usual() -> Self {
        Self::from(Kind::Usual)
    }

    /// Closes the connection without a reply.
    pub fn close() -> Self {
        Self::from(Kind::Close)
    }

    /// Leaves the client waiting until it leaves or the server is dropped.
    pub fn never() -> Self {
        Self::from(Kind::Never)
    }

    /// Adds a header to a response that is not [`Self::usual`].
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Holds the reply back until the gate is open.
    pub fn with_gate(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// The bytes of a response; `None` for what is none.
    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Response { status, content_type, body } => {
                Some(response(*status, content_type.as_deref(), &self.headers, body))
            }
            Kind::Usual | Kind::Close | Kind::Never => None,
        }
    }
}

impl From<Kind> for Reply {
    fn from(kind: Kind) -> Self {
        Self { kind, headers: Vec::new(), gate: None }
    }
}

/// One reply, for every request.
impl IntoIterator for Reply {
    type Item = Self;
    type IntoIter = std::iter::Once<Self>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}
