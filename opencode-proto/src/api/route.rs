use std::borrow::Cow;

use http::Request;

/// Path of an endpoint with names in place of ids, for metrics: `/session/{sessionID}/message`.
///
/// An operation may attach the template to the extensions of its request. Without one,
/// [`of`](Self::of) replaces the ids of OpenCode in the path.
///
/// ```
/// use opencode_proto::api::{AbortSession, Operation, RouteTemplate};
///
/// let request = AbortSession::new("ses_1").request();
/// assert_eq!(RouteTemplate::of(&request).as_str(), "/session/{sessionID}/abort");
///
/// let mut request = http::Request::get("/mcp/files/connect").body(())?;
/// request.extensions_mut().insert(RouteTemplate::new("/mcp/{name}/connect"));
/// assert_eq!(RouteTemplate::of(&request).as_str(), "/mcp/{name}/connect");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteTemplate(Cow<'static, str>);

impl RouteTemplate {
    /// Creates a template, with the names of parameters in braces.
    pub const fn new(template: &'static str) -> Self {
        Self(Cow::Borrowed(template))
    }

    /// Returns the template of a request.
    pub fn of<B>(request: &Request<B>) -> Self {
        if let Some(template) = request.extensions().get::<Self>() {
            return template.clone();
        }
        let segments = request.uri().path().split('/');
        Self(Cow::Owned(segments.map(named).collect::<Vec<_>>().join("/")))
    }

    /// Returns the template as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns the name of an id (`ses_…`); any other segment as it is.
fn named(segment: &str) -> &str {
    let is_id = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match segment.split_once('_') {
        Some((kind, rest)) if is_id(rest) => match kind {
            "ses" => "{sessionID}",
            "msg" => "{messageID}",
            "prt" => "{partID}",
            "per" | "que" => "{requestID}",
            "pty" => "{ptyID}",
            "wrk" => "{workspaceID}",
            _ => segment,
        },
        Some(_) | None => segment,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_names_and_other_segments_stay() {
        let template = |path: &str| {
            let request = Request::get(path).body(()).unwrap();
            RouteTemplate::of(&request).as_str().to_owned()
        };
        for (path, expected) in [
            ("/session?limit=1", "/session"),
            ("/session/ses_1a/message/msg_2?x=ses_3", "/session/{sessionID}/message/{messageID}"),
            ("/permission/per_1/reply", "/permission/{requestID}/reply"),
            ("/ses_/x", "/{sessionID}/x"),
            ("/session/ses_%2F", "/session/ses_%2F"),
            ("/find/my_file", "/find/my_file"),
            ("/", "/"),
        ] {
            assert_eq!(template(path), expected);
        }
    }
}
