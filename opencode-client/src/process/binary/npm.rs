//! Resolution of npm's wrapper to the program in the package for this machine.
//!
//! `npm install opencode-ai` creates `node_modules/.bin/opencode`, a link to a file in
//! `opencode-ai/bin` that the package's postinstall script replaces by the program. Without the
//! script, the file is a stub that prints how to run the script; in earlier releases the file is a
//! launcher for Node. In both cases the program is in a package of its own beside `opencode-ai`,
//! `opencode-<os>-<arch>`. Running that program directly saves a process that passes no signals on.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::check_program;

/// Properties of this machine that decide which package fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct NpmHost {
    pub(super) os: &'static str,
    pub(super) arch: &'static str,
    pub(super) vectors: Vectors,
    pub(super) libc: Libc,
}

/// Builds without the suffix `-baseline` use AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vectors {
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "detected on x86-64 only"))]
    Avx2,
    Baseline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Libc {
    Musl,
    Other,
}

impl NpmHost {
    pub(super) fn detect() -> Self {
        Self {
            os: match std::env::consts::OS {
                "macos" => "darwin",
                other => other,
            },
            arch: match std::env::consts::ARCH {
                "x86_64" => "x64",
                "aarch64" => "arm64",
                other => other,
            },
            vectors: detect_vectors(),
            libc: detect_libc(),
        }
    }

    /// Names of the packages whose program runs here, the best one first.
    fn packages(&self) -> Vec<String> {
        let Self { os, arch, .. } = self;
        let musl = match self.libc {
            Libc::Musl => "-musl",
            Libc::Other => "",
        };
        let levels: &[&str] = match (*arch, self.vectors) {
            ("x64", Vectors::Avx2) => &["", "-baseline"],
            ("x64", Vectors::Baseline) => &["-baseline"],
            _ => &[""],
        };
        levels.iter().map(|level| format!("opencode-{os}-{arch}{level}{musl}")).collect()
    }
}

/// Returns the program behind `found`, or `found` itself when there is none.
pub(super) fn resolve(found: &Path, host: &NpmHost) -> PathBuf {
    let Some(file) = wrapped_file(found) else {
        return found.to_owned();
    };
    if is_launcher(&file)
        && let Some(program) = platform_program(&file, host)
    {
        return program;
    }
    file
}

/// Returns the target of a link or a shim of npm. A link to a file of another name stays, because
/// version managers choose the program by the name of the link.
fn wrapped_file(found: &Path) -> Option<PathBuf> {
    let file = found.canonicalize().ok()?;
    if !file.file_stem()?.eq_ignore_ascii_case("opencode") {
        return None;
    }
    // Package managers that do not link write a shell script into `.bin`.
    let directory = file.parent()?;
    if directory.file_name()? == ".bin" && matches!(kind(&file), Kind::Script(_)) {
        let package = directory.parent()?.join("opencode-ai").join("bin");
        let target = ["opencode.exe", "opencode"]
            .iter()
            .find_map(|name| package.join(name).canonicalize().ok());
        return target.or(Some(file));
    }
    Some(file)
}

/// Returns true for the package's stub or launcher for Node, and false for scripts of the user.
fn is_launcher(file: &Path) -> bool {
    let package = file.parent().and_then(Path::parent);
    package.and_then(Path::file_name) == Some("opencode-ai".as_ref())
        && match kind(file) {
            Kind::Script(Interpreter::None | Interpreter::Node) => true,
            Kind::Script(Interpreter::Other) | Kind::Program => false,
        }
}

enum Kind {
    Program,
    Script(Interpreter),
}

enum Interpreter {
    None,
    Node,
    Other,
}

fn kind(file: &Path) -> Kind {
    let mut head = Vec::new();
    let read = File::open(file).and_then(|file| file.take(256).read_to_end(&mut head));
    // Programs have a NUL among their first bytes on every platform. An unreadable executable
    // counts as a program.
    if read.is_err() || head.contains(&0) {
        return Kind::Program;
    }
    let Some(line) = head.strip_prefix(b"#!") else {
        return Kind::Script(Interpreter::None);
    };
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let names_node = line.split([' ', '\t', '/', '\r']).any(|word| matches!(word, "node" | "bun"));
    Kind::Script(if names_node { Interpreter::Node } else { Interpreter::Other })
}

/// Searches like Node: in `node_modules` of every directory above.
fn platform_program(launcher: &Path, host: &NpmHost) -> Option<PathBuf> {
    let name = if host.os == "windows" { "opencode.exe" } else { "opencode" };
    host.packages().iter().find_map(|package| {
        launcher.ancestors().skip(1).find_map(|directory| {
            let program = directory.join("node_modules").join(package).join("bin").join(name);
            check_program(&program).is_ok().then_some(program)
        })
    })
}

fn detect_vectors() -> Vectors {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return Vectors::Avx2;
    }
    Vectors::Baseline
}

/// Returns the C library of the system, which is not always the one of this program: a static musl
/// build also runs on glibc systems. Alpine may have glibc's loader for a compatibility layer.
fn detect_libc() -> Libc {
    let has_glibc = Path::new("/lib64/ld-linux-x86-64.so.2").exists()
        || Path::new("/lib/ld-linux-aarch64.so.1").exists();
    let is_musl = cfg!(target_os = "linux")
        && (Path::new("/etc/alpine-release").exists() || !has_glibc && has_musl());
    if is_musl { Libc::Musl } else { Libc::Other }
}

fn has_musl() -> bool {
    std::fs::read_dir("/lib").is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"ld-musl-"))
    })
}

#[cfg(all(test, unix))]
mod tests;
