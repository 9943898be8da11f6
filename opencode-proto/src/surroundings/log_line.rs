use crate::json::unescape;

/// Line of OpenCode's log in the form of `--print-logs`: `timestamp=… level=… run=… message=…
/// key=value …`, with values that hold spaces in JSON's quotes.
pub(crate) struct LogLine<'a>(&'a str);

impl<'a> LogLine<'a> {
    pub(crate) fn read(line: &'a str) -> Option<Self> {
        (line.starts_with("timestamp=") && line.contains(" level=")).then_some(Self(line))
    }

    /// Returns the value of the first field with this name.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let mut rest = self.0;
        loop {
            let (key, value) = rest.trim_start().split_once('=')?;
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => {
                    let end = closing_quote(quoted)?;
                    (unescape(&quoted[..end]), &quoted[end + 1..])
                }
                None => {
                    let end = value.find(' ').unwrap_or(value.len());
                    (value[..end].into(), &value[end..])
                }
            };
            if key == name {
                return Some(value.into_owned());
            }
            rest = after;
        }
    }
}

fn closing_quote(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}
