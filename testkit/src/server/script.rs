use crate::http::percent_decoded;
use crate::model::Gate;
use crate::request::{Pattern, Request};

use super::reply::ServerReply;

/// Replies of a [`FakeServer`](super::FakeServer) that differ from the unscripted replies.
///
/// Unscripted, `GET /global/health` reports a healthy server, `POST /session` creates the sessions
/// `ses_1`, `ses_2` and so on with the given title, `GET /session/{id}` finds every session, and
/// `POST /session/{id}/prompt_async` accepts prompts (204). No prompt has an effect: `GET
/// /session/status`, `/permission`, `/question`, `/session/{id}/message` and `/children` are empty.
/// Requests that need an acknowledgement (abort, replies to permissions and questions, delete,
/// dispose) get `true`. `GET /event` and `GET /global/event` are event streams. Every other request
/// gets a web page, as with the real server: status 200, `text/html`.
#[derive(Debug, Clone)]
#[must_use]
pub struct ServerScript {
    routes: Vec<Route>,
    pub(super) directory: Option<String>,
    pub(super) greeting: Greeting,
    /// Accepted value of the header `authorization` and of the query's `auth_token`.
    pub(super) token: Option<String>,
}

/// Beginning of an event stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Greeting {
    /// The event `server.connected`, as with the real server.
    #[default]
    Connected,
    /// The head of the response alone.
    Silence,
}

#[derive(Debug, Clone)]
struct Route {
    pattern: Pattern,
    replies: Vec<ServerReply>,
    used: usize,
}

impl ServerScript {
    /// Creates a script without routes and without a password. Sessions work in the directory that
    /// the request names, else in `/workspace`.
    pub fn new() -> Self {
        Self { routes: Vec::new(), directory: None, greeting: Greeting::Connected, token: None }
    }

    /// Adds a route: requests with this method and path get one [`ServerReply`], or several in
    /// order, of which the last repeats.
    ///
    /// When several routes match, the one that was added last replies. A path is a prefix: creating
    /// a session alone is `/session$`.
    ///
    /// # Panics
    ///
    /// When `replies` is empty.
    pub fn on(
        mut self,
        method: &str,
        path: &str,
        replies: impl IntoIterator<Item = ServerReply>,
    ) -> Self {
        self.add(Pattern::new(method, path), replies.into_iter().collect());
        self
    }

    /// Sets the directory of all sessions, whatever the requests name, and of the events on
    /// `GET /global/event`.
    pub fn with_directory(mut self, directory: &str) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Directory of a session for a request with this directory header.
    pub(super) fn directory(&self, header: Option<&str>) -> String {
        let directory = self.directory.clone().or_else(|| header.map(percent_decoded));
        directory.unwrap_or_else(|| "/workspace".to_owned())
    }

    /// Sets the beginning of event streams.
    pub fn with_greeting(mut self, greeting: Greeting) -> Self {
        self.greeting = greeting;
        self
    }

    /// Requires `user` and `password`, by Basic auth or as base64 in the query parameter
    /// `auth_token`.
    ///
    /// Requests without them get 401 without a body and with `www-authenticate: Basic realm="Secure
    /// Area"`.
    pub fn with_password(mut self, user: &str, password: &str) -> Self {
        self.token = Some(base64(format!("{user}:{password}").as_bytes()));
        self
    }

    pub(super) fn add(&mut self, pattern: Pattern, replies: Vec<ServerReply>) {
        assert!(!replies.is_empty(), "a route needs a reply: {pattern:?}");
        self.routes.push(Route { pattern, replies, used: 0 });
    }

    pub(super) fn reply(&mut self, request: &Request) -> ServerReply {
        let mut routes = self.routes.iter_mut().rev();
        let Some(route) = routes.find(|route| route.pattern.matches(request)) else {
            return ServerReply::unscripted();
        };
        let at = route.used.min(route.replies.len() - 1);
        route.used += 1;
        route.replies[at].clone()
    }

    pub(super) fn lets_in(&self, request: &Request) -> bool {
        let Some(token) = &self.token else { return true };
        let header = request.header("authorization").and_then(|value| value.split_once(' '));
        let by_header = header
            .is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case("basic") && given == token);
        let query = request.path().split_once('?').map_or("", |(_, query)| query);
        let given = query.split('&').find_map(|field| field.strip_prefix("auth_token="));
        by_header || given.is_some_and(|given| given.replace("%3D", "=") == *token)
    }

    pub(super) fn gates(&self) -> impl Iterator<Item = &Gate> {
        let replies = self.routes.iter().flat_map(|route| &route.replies);
        replies.filter_map(|reply| reply.gate.as_ref())
    }
}

impl Default for ServerScript {
    fn default() -> Self {
        Self::new()
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for group in bytes.chunks(3) {
        let mut whole = [0; 4];
        whole[1..=group.len()].copy_from_slice(group);
        let number = u32::from_be_bytes(whole);
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place)) as usize % 64];
            encoded.push(if place <= group.len() { digit.into() } else { '=' });
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_encoded_with_padding() {
        let encoded = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(encoded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }
}
