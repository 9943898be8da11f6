//! A user, a project and the private directory of one run, on disk for as long as a test.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use opencode_config::{
    ConfigWarning, Environment, ExistingFile, Invocation, IsolationPlan, Json, ReadSource,
    RunConfig, SourceContent,
};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Sandbox {
    directory: TempDir,
    /// Variables that the process inherits.
    pub(crate) inherited: Environment,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sandbox = Self { inherited: Environment::new(), directory };
        for path in [sandbox.home(), sandbox.project(), sandbox.path("usertmp")] {
            fs::create_dir_all(path).unwrap();
        }
        for path in [".config/opencode", ".opencode"] {
            // Directories in which OpenCode finds the package already installed.
            let directory = sandbox.home().join(path);
            let lock = r#"{"packages":{"":{"dependencies":{"@opencode-ai/plugin":"1"}}}}"#;
            sandbox.write(directory.join("node_modules/.package-lock.json"), "{}");
            sandbox.write(directory.join("package-lock.json"), lock);
        }
        let mut inherited = Environment::new();
        inherited.set("HOME", sandbox.home());
        inherited.set("PATH", std::env::var_os("PATH").unwrap());
        inherited.set("TMPDIR", sandbox.path("usertmp"));
        inherited.set("OPENCODE_DISABLE_FFF", "1");
        inherited.set("OPENCODE_DISABLE_MODELS_FETCH", "1");
        // A config of the machine must not decide these tests.
        inherited.set("OPENCODE_TEST_MANAGED_CONFIG_DIR", sandbox.path("managed"));
        Self { inherited, ..sandbox }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("user")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.path("project")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path("run")
    }

    fn path(&self, name: &str) -> PathBuf {
        // OpenCode reports real paths, and the directory for temporary files may be a link.
        self.directory.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn write(&self, path: PathBuf, content: impl AsRef<[u8]>) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The user's global config.
    pub(crate) fn user_config(&self, content: &Value) {
        self.write(self.home().join(".config/opencode/opencode.json"), content.to_string());
    }

    pub(crate) fn project_config(&self, content: &Value) {
        self.write(self.project().join("opencode.json"), content.to_string());
    }

    /// Plans a run and puts the plan on disk.
    pub(crate) fn prepare(&self, config: &RunConfig) -> IsolationPlan {
        let read = config.sources(&self.inherited).into_iter().map(|source| {
            let content = match fs::read(source.path()) {
                Ok(bytes) => SourceContent::Found(bytes.into()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => SourceContent::Missing,
                Err(error) => SourceContent::Unreadable(error.to_string()),
            };
            ReadSource::new(source, content)
        });
        let plan =
            IsolationPlan::new(config, &self.inherited, self.root(), read.collect()).unwrap();
        carry_out(&plan).unwrap();
        plan
    }

    /// The merged config of OpenCode (`opencode debug config`).
    pub(crate) fn resolved(&self, config: &RunConfig) -> Value {
        serde_json::to_value(self.resolved_in_order(config)).unwrap()
    }

    /// The merged config of OpenCode with keys in order.
    pub(crate) fn resolved_in_order(&self, config: &RunConfig) -> Json {
        let output = self.opencode(&["debug", "config"], config);
        String::from_utf8(output.stdout).unwrap().parse().unwrap()
    }

    /// Any command, in the place of a run.
    pub(crate) fn opencode(&self, args: &[&str], config: &RunConfig) -> Output {
        let plan = self.prepare(config);
        assert_eq!(plan.warnings, Vec::<ConfigWarning>::new());
        let mut env = plan.environment;
        env.set("PWD", self.project());
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        let output = self.spawn(&args, &env, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    pub(crate) fn run(&self, prompt: &str, config: &RunConfig) -> Output {
        let plan = self.prepare(config);
        let program = testkit::opencode::binary().unwrap();
        let run =
            Invocation::run(program, prompt.to_owned(), self.project(), config, &plan).unwrap();
        assert_eq!(run.directory, self.project());
        self.spawn(&run.args, &run.env, &run.stdin)
    }

    /// Through files: OpenCode ends before a pipe has taken more than 64 KiB.
    fn spawn(&self, args: &[OsString], env: &Environment, stdin: &[u8]) -> Output {
        let [input, stdout, stderr] = ["stdin", "stdout", "stderr"].map(|name| self.path(name));
        fs::write(&input, stdin).unwrap();
        let status = Command::new(testkit::opencode::binary().unwrap())
            .args(args)
            .env_clear()
            .envs(env.iter())
            .current_dir(self.project())
            .stdin(File::open(input).unwrap())
            .stdout(Stdio::from(File::create(&stdout).unwrap()))
            .stderr(Stdio::from(File::create(&stderr).unwrap()))
            .status()
            .unwrap();
        Output { status, stdout: fs::read(stdout).unwrap(), stderr: fs::read(stderr).unwrap() }
    }
}

fn carry_out(plan: &IsolationPlan) -> io::Result<()> {
    for directory in &plan.directories {
        DirBuilder::new().recursive(true).mode(directory.mode).create(&directory.path)?;
        assert_eq!(fs::metadata(&directory.path)?.permissions().mode() & 0o777, 0o700);
    }
    for file in &plan.files {
        if file.existing == ExistingFile::Keep && file.path.exists() {
            continue;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(file.mode);
        options.open(&file.path)?.write_all(&file.contents)?;
    }
    for link in &plan.links {
        if link.target.exists() && fs::symlink_metadata(&link.at).is_err() {
            symlink(&link.target, &link.at)?;
        }
    }
    Ok(())
}

/// All files below `directory`, relative to it and in order.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut unvisited = vec![directory.to_owned()];
    while let Some(next) = unvisited.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                unvisited.push(entry.path());
            } else {
                files.push(entry.path().strip_prefix(directory).unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}
