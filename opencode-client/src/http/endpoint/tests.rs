#![allow(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::error::Error;

use super::*;

fn parse(url: &str) -> Endpoint {
    Endpoint::parse(url, None).unwrap()
}

fn refuse(url: &str) -> String {
    Endpoint::parse(url, None).unwrap_err().to_string()
}

fn header(endpoint: &Endpoint) -> Option<&str> {
    endpoint.authorization().map(|value| value.to_str().unwrap())
}

#[test]
fn a_url_says_where() {
    let cases = [
        ("http://127.0.0.1:4096", "127.0.0.1", 4096, "http://127.0.0.1:4096"),
        ("http://localhost", "localhost", 80, "http://localhost"),
        ("HTTP://localhost:80/", "localhost", 80, "http://localhost"),
        (" http://box.example:4096///\n", "box.example", 4096, "http://box.example:4096"),
        ("http://[::1]:4096/", "::1", 4096, "http://[::1]:4096"),
        ("http://[fe80::1]", "fe80::1", 80, "http://[fe80::1]"),
        ("http://host:8080/a/b/", "host", 8080, "http://host:8080/a/b"),
        ("http://host:/a", "host", 80, "http://host/a"),
        ("http://u:p@[::1]:1/x", "::1", 1, "http://[::1]:1/x"),
    ];
    for (url, host, port, shown) in cases {
        let endpoint = parse(url);
        assert_eq!((endpoint.host(), endpoint.port()), (host, port), "{url}");
        assert_eq!(endpoint.to_string(), shown, "{url}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_url_may_ask_for_encryption() {
    let cases = [
        ("https://host", 443, "https://host"),
        ("HTTPS://host:443/a/", 443, "https://host/a"),
        ("https://[::1]:80", 80, "https://[::1]:80"),
        ("http://host:443", 443, "http://host:443"),
    ];
    for (url, port, shown) in cases {
        let endpoint = parse(url);
        assert_eq!((endpoint.port(), &*endpoint.to_string()), (port, shown));
        assert_eq!(endpoint.is_encrypted(), url.to_lowercase().starts_with("https"), "{url}");
    }
}

#[test]
fn paths_follow_the_base() {
    let path = "/session?limit=1".parse().unwrap();
    assert_eq!(parse("http://host/").uri(&path), "/session?limit=1");
    assert_eq!(parse("http://host/a//").uri(&path), "/a/session?limit=1");
}

#[test]
fn a_url_that_leads_nowhere_says_why() {
    #[cfg(not(feature = "tls"))]
    assert_eq!(
        refuse("https://host"),
        "the server's URL begins with https://, which needs the feature `tls` and a server to \
         attach to"
    );
    assert_eq!(refuse("ftp://host"), "the server's URL begins with ftp://: use http://");
    for url in ["127.0.0.1:4096", "localhost", "/tmp/socket", "localhost:4096"] {
        assert_eq!(refuse(url), "the server's URL does not begin with http://", "{url}");
    }
    for url in ["http://host:65536", "http://host:0", "http://u:p@host:99999/"] {
        assert_eq!(refuse(url), "the port in the server's URL is not between 1 and 65535", "{url}");
    }
    for url in ["", "http://", "http:///path", "http://ho st", "http://a:s3cret@ho^st", "http://:1"]
    {
        assert!(
            ["cannot parse the server's URL", "the server's URL names no host"]
                .contains(&refuse(url).as_str()),
            "{url}: {}",
            refuse(url)
        );
    }
    assert_eq!(refuse("http://host/?a=b"), "the server's URL has a query");
}

#[test]
fn who_asks_comes_from_the_credentials_or_the_url() {
    let credentials = Credentials::new("s3cret");
    let given = |url, credentials| Endpoint::parse(url, Some(&credentials)).unwrap();
    assert_eq!(header(&parse("http://host")), None);
    assert_eq!(
        header(&given("http://host", credentials.clone())),
        Some("Basic b3BlbmNvZGU6czNjcmV0")
    );
    let ann = credentials.clone().with_username("ann");
    assert_eq!(header(&given("http://x:y@host", ann)), Some("Basic YW5uOnMzY3JldA=="));
    assert_eq!(header(&parse("http://ann:s3cret@host")), Some("Basic YW5uOnMzY3JldA=="));
    assert_eq!(header(&parse("http://:s3cret@host")), Some("Basic b3BlbmNvZGU6czNjcmV0"));
    // `a@b` and `p:%ß`.
    let encoded = header(&parse("http://a%40b:p:%25%C3%9F@host")).unwrap().to_owned();
    assert_eq!(encoded, "Basic YUBiOnA6JcOf");
    let colon = Endpoint::parse("http://host", Some(&credentials.with_username("a:b")));
    assert_eq!(colon.unwrap_err().to_string(), "the user name for the server contains a colon");
}

#[test]
fn nothing_shows_the_password() {
    let secrets = ["s3cret", "b3BlbmNvZGU6czNjcmV0", "YW5uOnMzY3JldA"];
    let shows = |text: String| {
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{text}");
    };
    let credentials = Credentials::new("s3cret");
    for endpoint in [
        Endpoint::parse("http://host", Some(&credentials)).unwrap(),
        parse("http://ann:s3cret@host/base"),
    ] {
        shows(format!("{endpoint} {endpoint:?} {endpoint:#?}"));
        let header = endpoint.authorization().unwrap();
        assert!(header.is_sensitive());
        shows(format!("{header:?}"));
    }
    for url in [
        "ftp://ann:s3cret@host",
        "http://ann:s3cret@ho^st",
        "http://ann:s3cret@host:x",
        "http://ann:s3cret@host:0",
        "http://ann:s3cret@",
        "ann:s3cret@host",
        "ann://s3cret@host?",
        "http://ann:s3cret@host?x",
    ] {
        let error = Endpoint::parse(url, None).unwrap_err();
        shows(format!(
            "{error} {error:?} {}",
            error.source().map(ToString::to_string).unwrap_or_default()
        ));
    }
}
