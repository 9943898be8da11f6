use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Formatter};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Record of one call of the program. `Debug` shows names and sizes, never arguments, values or
/// input.
#[derive(Clone)]
#[non_exhaustive]
pub struct Call {
    /// Id of the process that plays the behavior.
    pub pid: u32,
    /// Arguments, without the name of the program.
    pub args: Vec<OsString>,
    /// Environment variables of the process.
    pub env: BTreeMap<OsString, OsString>,
    /// Working directory, with symbolic links resolved.
    pub cwd: PathBuf,
    /// Input from stdin; `None` until stdin has been read to the end.
    pub stdin: Option<Vec<u8>>,
    /// Ids of the processes that were started to outlive the program, in order.
    pub started: Vec<u32>,
}

impl Call {
    pub(super) fn read(directory: &Path) -> io::Result<Self> {
        let read = |name: &str| optional(fs::read(directory.join(name)));
        let words = |name: &str| -> io::Result<Vec<OsString>> {
            let bytes = read(name)?.unwrap_or_default();
            let words = bytes.split_inclusive(|byte| *byte == 0);
            Ok(words.map(|word| OsString::from_vec(word[..word.len() - 1].to_vec())).collect())
        };
        let started = read("started")?.unwrap_or_default();
        let mut cwd = fs::read(directory.join("cwd"))?;
        cwd.pop();
        Ok(Self {
            pid: number(&fs::read(directory.join("pid"))?)?,
            args: words("args")?,
            env: words("env")?.into_iter().filter_map(variable).collect(),
            cwd: OsString::from_vec(cwd).into(),
            stdin: read("stdin")?,
            started: started
                .split_inclusive(|byte| *byte == b'\n')
                .map(number)
                .collect::<io::Result<_>>()?,
        })
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("pid", &self.pid)
            .field("args", &self.args.len())
            .field("env", &self.env.keys())
            .field("cwd", &self.cwd)
            .field("stdin", &self.stdin.as_ref().map(Vec::len))
            .field("started", &self.started)
            .finish()
    }
}

fn optional(read: io::Result<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn number(line: &[u8]) -> io::Result<u32> {
    let text = String::from_utf8_lossy(line);
    text.trim_end().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn variable(entry: OsString) -> Option<(OsString, OsString)> {
    let mut name = entry.into_vec();
    let at = name.iter().position(|byte| *byte == b'=')?;
    let value = name.split_off(at + 1);
    name.pop();
    Some((OsString::from_vec(name), OsString::from_vec(value)))
}
