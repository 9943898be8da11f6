//! The simulated program `opencode serve`.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use super::{OutputStream, SIGKILL, SimulatedProcess, short_delay};
use crate::world::WorldState;
use crate::world::core::{Owner, lock};
use crate::world::server::WorldServer;

/// Course of a server process.
#[derive(Debug)]
enum ServeFate {
    /// The process ends some time after it was ready.
    DiesLate,
    /// The process exits before it is ready.
    ExitsEarly,
    /// The process never becomes ready.
    Hangs,
    /// The process serves until it is ended.
    Works,
}

pub(super) fn start(
    shared: &Arc<WorldState>,
    process: &Arc<SimulatedProcess>,
    command: &Command,
    arguments: &[String],
) {
    let port = arguments.iter().find_map(|argument| argument.strip_prefix("--port=")?.parse().ok());
    let port: u16 = port.expect("the client passes --port");
    let has_password =
        command.get_envs().any(|(name, _)| name.to_str() == Some("OPENCODE_SERVER_PASSWORD"));
    assert!(has_password, "the client sets OPENCODE_SERVER_PASSWORD for its servers");
    let directory = command.get_current_dir().map(|path| path.to_string_lossy().into_owned());
    let server = WorldServer::new(shared, port, &directory.unwrap_or_default()).with_password();
    let sick = shared.core.weather().sick;
    let (fate, sigterms_to_ignore, time_until_exit) = shared.core.random(|random| {
        let fate = match random.happens(sick) {
            false => ServeFate::Works,
            true => match random.below(5) {
                0 => ServeFate::Hangs,
                1 | 2 => ServeFate::ExitsEarly,
                _ => ServeFate::DiesLate,
            },
        };
        (
            fate,
            if random.happens(sick) { random.range(1, 3) } else { 0 },
            random.milliseconds(10, 90_000),
        )
    });
    shared.core.count(match fate {
        ServeFate::DiesLate => "serve: dies late",
        ServeFate::ExitsEarly => "serve: exits early",
        ServeFate::Hangs => "serve: hangs",
        ServeFate::Works => "serve: works",
    });
    shared.core.trace(format_args!("process {}: {fate:?}", process.id));
    lock(&process.state).sigterms_to_ignore = u32::try_from(sigterms_to_ignore).unwrap_or(0);
    let (shared, process) = (Arc::clone(shared), Arc::clone(process));
    let owner = Owner::Host(process.id);
    let life = {
        let shared = Arc::clone(&shared);
        async move {
            shared.core.sleep(short_delay(&shared)).await;
            if let ServeFate::ExitsEarly = fate {
                let (text, code) = shared.core.random(|random| match random.below(3) {
                    0 => ("Error: Unexpected error\nServeError\n", 1),
                    1 => ("database is locked\n", 1),
                    _ => ("", 0),
                });
                process.print(OutputStream::Stderr, text);
                return process.exit(code);
            }
            if let ServeFate::Hangs = fate {
                process.print(OutputStream::Stdout, "opencode server liste");
                return std::future::pending().await;
            }
            if !server.boot(process.id) {
                process.print(OutputStream::Stderr, "Error: Unexpected error\nServeError\n");
                return process.exit(1);
            }
            {
                let server = server.clone();
                lock(&process.state).at_exit.push(Box::new(move || server.kill()));
            }
            shared.add_server(&server);
            let line = format!("opencode server listening on http://127.0.0.1:{port}\n");
            let cut = shared.core.random(|random| random.index(line.len()));
            process.print(OutputStream::Stdout, line[..cut].to_owned());
            shared.core.sleep(short_delay(&shared)).await;
            process.print(OutputStream::Stdout, line[cut..].to_owned());
            if let ServeFate::DiesLate = fate {
                shared.core.sleep(time_until_exit).await;
                let is_killed = shared.core.random(|random| random.happens(500));
                match is_killed {
                    true => process.end(ExitStatus::from_raw(SIGKILL)),
                    false => process.exit(1),
                }
            }
        }
    };
    shared.core.spawn(owner, Box::pin(life));
}
