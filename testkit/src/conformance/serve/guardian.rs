//! A program that is killed takes its server with it.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use super::pretended::{answering, stubborn};
use crate::conformance::program::{self, Part};
use crate::conformance::world::{World, send};
use crate::conformance::{Host, LONG};
use crate::processes::eventually;

pub(crate) async fn a_killed_program_leaves_no_server(on: &Host) {
    let server = answering();
    let world = World::new(on, stubborn(&server));
    let mut program = program::start(&world, Part::Serve);
    assert_eq!(program.told("event"), "serving");
    assert_eq!((world.call().started.len(), world.private_dirs().len()), (2, 1));

    send("KILL", &program.id().to_string());
    assert_eq!(program.wait().signal(), Some(9));
    eventually(LONG, || {
        let left = (world.processes(), world.private_dirs(), world.guardians());
        if left.0.is_empty() && left.1.is_empty() && left.2.is_empty() { Ok(()) } else { Err(left) }
    });
    assert!(fs::read_dir(world.path("temp")).unwrap().next().is_none());
}
