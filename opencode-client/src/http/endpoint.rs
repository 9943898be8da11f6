#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::uri::{Authority, InvalidUri, Scheme};
use http::{HeaderValue, Uri};
use opencode_config::Credentials;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::runtime::describe::debug_as_chain;

/// User name of a server that was started with a password only.
const USERNAME: &str = "opencode";

/// Address of a server, with the credentials for it. `Debug` and `Display` show no password.
#[derive(Clone)]
pub struct Endpoint {
    scheme: EndpointScheme,
    /// Host, without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// Host and port in the form of the `host` header.
    host_header: HeaderValue,
    /// Prefix of all paths, without a slash at the end.
    base: String,
    authorization: Option<HeaderValue>,
}

/// Protocol of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EndpointScheme {
    Http,
    #[cfg(feature = "tls")]
    Https,
}

impl EndpointScheme {
    fn of(uri: &Uri) -> Result<Self, UrlError> {
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => Ok(Self::Http),
            #[cfg(feature = "tls")]
            Some(scheme) if *scheme == Scheme::HTTPS => Ok(Self::Https),
            #[cfg(not(feature = "tls"))]
            Some(scheme) if *scheme == Scheme::HTTPS => Err(UrlError::Https),
            Some(scheme) => Err(UrlError::Scheme(scheme.to_string())),
            None => Err(UrlError::NoScheme),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            #[cfg(feature = "tls")]
            Self::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            #[cfg(feature = "tls")]
            Self::Https => 443,
        }
    }
}

impl Endpoint {
    /// Parses `http://host:port`, with a path when a proxy serves the server below one
    /// (`http://host/opencode`). With the feature `tls`, also `https://host:port`.
    ///
    /// `credentials` are for a server with a password. Without `credentials`, the ones in the URL
    /// count (`http://user:password@host`, percent-encoded).
    ///
    /// # Errors
    ///
    /// [`UrlError`] when the URL is no `http://` URL of a server, or the user name contains a
    /// colon.
    pub fn parse(url: &str, credentials: Option<&Credentials>) -> Result<Self, UrlError> {
        let uri: Uri = url.trim().parse().map_err(UrlError::Invalid)?;
        let scheme = EndpointScheme::of(&uri)?;
        if uri.query().is_some() {
            return Err(UrlError::Query);
        }
        let authority = uri.authority().ok_or(UrlError::Host)?;
        let (userinfo, place) =
            authority.as_str().rsplit_once('@').unwrap_or(("", authority.as_str()));
        let port = port(authority, place, scheme)?;
        let bracketed = authority.host();
        let host = bracketed.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(UrlError::Host);
        }
        let host_header = HeaderValue::try_from(if port == scheme.port() {
            bracketed.to_owned()
        } else {
            format!("{bracketed}:{port}")
        });
        Ok(Self {
            scheme,
            host: host.to_owned(),
            port,
            host_header: host_header.map_err(|_| UrlError::Host)?,
            base: uri.path().trim_end_matches('/').to_owned(),
            authorization: match credentials {
                Some(credentials) => Some(authorize(credentials)?),
                None => in_url(userinfo),
            },
        })
    }

    /// Returns the host: a name or an address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port number.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether the connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        match self.scheme {
            EndpointScheme::Http => false,
            #[cfg(feature = "tls")]
            EndpointScheme::Https => true,
        }
    }

    /// Returns scheme, host and port, without the path.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme.as_str(), self.place())
    }

    /// Returns true for a loopback address.
    pub(crate) fn is_this_machine(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        address.map_or_else(|_| self.host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
    }

    /// Returns host and port, as in the `host` header.
    fn place(&self) -> &str {
        self.host_header.to_str().unwrap_or(&self.host)
    }

    pub(super) fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }

    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Returns the path (`/session?limit=1`) below the base of this server, in origin form.
    pub(super) fn uri(&self, path: &Uri) -> Uri {
        if self.base.is_empty() {
            return path.clone();
        }
        let path = path.path_and_query().map_or("/", |path| path.as_str());
        format!("{}{path}", self.base).parse().expect("two paths make a path")
    }
}

/// Prints the URL without the password: `http://127.0.0.1:4096`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.base)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

fn port(authority: &Authority, place: &str, scheme: EndpointScheme) -> Result<u16, UrlError> {
    let written = place.strip_prefix(authority.host()).unwrap_or_default();
    match written.trim_start_matches(':') {
        "" => Ok(scheme.port()),
        digits => digits.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port),
    }
}

/// Creates the `authorization` header of credentials.
pub(super) fn authorize(credentials: &Credentials) -> Result<HeaderValue, UrlError> {
    let username = credentials.username().unwrap_or(USERNAME);
    if username.contains(':') {
        return Err(UrlError::Username);
    }
    Ok(basic(username.as_bytes(), credentials.password().as_bytes()))
}

fn in_url(userinfo: &str) -> Option<HeaderValue> {
    let (username, password) = userinfo.split_once(':')?;
    let username = if username.is_empty() { USERNAME } else { username };
    let decoded = |text| Vec::from_iter(percent_decode_str(text));
    Some(basic(&decoded(username), &decoded(password)))
}

/// Error of a server URL. No message repeats the URL, because the URL may contain a password.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The URL names no host.
    #[error("the server's URL names no host")]
    Host,
    /// The URL begins with `https://`, and the feature `tls` is not enabled; or a server that was
    /// started reports such a URL.
    #[error(
        "the server's URL begins with https://, which needs the feature `tls` and a server to \
         attach to"
    )]
    Https,
    /// The text is no URL.
    #[error("cannot parse the server's URL")]
    Invalid(#[source] InvalidUri),
    /// The URL has no scheme.
    #[error("the server's URL does not begin with http://")]
    NoScheme,
    /// The port is not between 1 and 65535.
    #[error("the port in the server's URL is not between 1 and 65535")]
    Port,
    /// The URL has a query, which no path can follow.
    #[error("the server's URL has a query")]
    Query,
    /// The URL has another scheme than `http://`.
    #[error("the server's URL begins with {0}://: use http://")]
    Scheme(String),
    /// The user name contains a colon, which Basic authentication does not allow.
    #[error("the user name for the server contains a colon")]
    Username,
}

debug_as_chain!(UrlError);

/// Characters that JavaScript's `encodeURIComponent` encodes; the server decodes with
/// `decodeURIComponent`.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Encodes any text as the value of a header, in percent encoding.
pub(super) fn component(text: &str) -> HeaderValue {
    let encoded = utf8_percent_encode(text, COMPONENT).to_string();
    HeaderValue::try_from(encoded).expect("percent encoding is plain ASCII")
}

/// Sets a parameter of the query of a target, in place of one of the same name.
///
/// # Errors
///
/// The target becomes longer than `http::Uri` allows.
pub(crate) fn with_parameter(target: &Uri, name: &str, value: &str) -> Result<Uri, InvalidUri> {
    let name = utf8_percent_encode(name, COMPONENT).to_string();
    let others = target.query().unwrap_or_default().split('&');
    let others = others.filter(|part| !part.is_empty() && !is_parameter(part, &name));
    let value = format!("{name}={}", utf8_percent_encode(value, COMPONENT));
    let query: Vec<_> = others.chain([&*value]).collect();
    format!("{}?{}", target.path(), query.join("&")).parse()
}

/// Returns whether the query of a target has the parameter.
pub(super) fn has_parameter(target: &Uri, name: &str) -> bool {
    target.query().unwrap_or_default().split('&').any(|part| is_parameter(part, name))
}

fn is_parameter(part: &str, name: &str) -> bool {
    part.split_once('=').map_or(part, |(name, _)| name) == name
}

/// Creates the `authorization` header of Basic authentication, marked as sensitive.
pub(super) fn basic(username: &[u8], password: &[u8]) -> HeaderValue {
    let pair = BASE64_STANDARD.encode([username, b":", password].concat());
    let mut header = HeaderValue::try_from(format!("Basic {pair}")).expect("base64 is plain ASCII");
    header.set_sensitive(true);
    header
}
