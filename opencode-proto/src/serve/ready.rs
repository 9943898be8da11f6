//! Reads the line with which a server announces the address.

use crate::ansi::without_escapes;

/// Returns the URL for a client on this machine of the server that printed `line`; `None` for any
/// other line.
///
/// OpenCode prints `opencode server listening on http://HOST:PORT`, the host as in the flags: an
/// IPv6 address without brackets, and addresses that only a server understands (`0.0.0.0`).
pub(super) fn url(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line);
    let line = without_escapes(&line);
    let (_, told) = line.split_once("listening on ")?;
    let url = told.split_whitespace().next()?;
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let authority = rest.split('/').next()?;
    let (host, port) = authority.rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = match host {
        "" => return None,
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    Some(match host.contains(':') {
        true => format!("{scheme}://[{host}]:{port}"),
        false => format!("{scheme}://{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use super::url;

    #[track_caller]
    fn check(line: &str, expected: Option<&str>) {
        assert_eq!(url(line.as_bytes()).as_deref(), expected, "{line:?}");
    }

    #[test]
    fn any_host_is_understood() {
        let line = "opencode server listening on ";
        check(&format!("{line}http://127.0.0.1:4096"), Some("http://127.0.0.1:4096"));
        check(&format!("{line}http://127.0.0.1:4096/"), Some("http://127.0.0.1:4096"));
        check(&format!("{line}http://localhost:1"), Some("http://localhost:1"));
        check(&format!("{line}https://box.example:65535 "), Some("https://box.example:65535"));
        check(&format!("{line}http://::1:4096"), Some("http://[::1]:4096"));
        check(&format!("{line}http://[::1]:4096"), Some("http://[::1]:4096"));
        check(&format!("{line}http://0.0.0.0:4096"), Some("http://127.0.0.1:4096"));
        check(&format!("{line}http://:::4096"), Some("http://[::1]:4096"));
    }

    #[test]
    fn colours_and_labels_do_not_matter() {
        let line = "\u{1b}[92mINFO\u{1b}[0m opencode server listening on \u{1b}[1mhttp://127.0.0.1:5\u{1b}[0m";
        check(line, Some("http://127.0.0.1:5"));
    }

    #[test]
    fn other_lines_hold_no_address() {
        check("", None);
        check("Warning: OPENCODE_SERVER_PASSWORD is not set; server is unsecured.", None);
        check("opencode server listening on", None);
        check("opencode server listening on http://127.0.0.1", None);
        check("opencode server listening on http://127.0.0.1:0", None);
        check("opencode server listening on http://127.0.0.1:99999", None);
        check("opencode server listening on http://:4096", None);
        check("opencode server listening on unix:///tmp/socket:1", None);
        check("see http://127.0.0.1:4096", None);
    }
}
