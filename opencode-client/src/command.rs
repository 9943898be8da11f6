use std::process::{Command, Stdio};

use opencode_config::Invocation;

/// The command as the operating system takes it, with pipes for all standard streams.
pub(crate) fn os_command(invocation: &Invocation) -> Command {
    let mut command = Command::new(&invocation.program);
    command
        .args(&invocation.args)
        .env_clear()
        .envs(invocation.env.iter())
        .current_dir(&invocation.directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    #[cfg(unix)]
    // Its own group: a Ctrl-C at our terminal is for us to pass on.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}
