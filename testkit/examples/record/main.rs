//! Records event streams of the real server, to which tests hold the simulated one.
//!
//! ```sh
//! cargo run -p testkit --example record -- testkit/tests/world/recorded [NAME...]
//! ```
#![allow(clippy::print_stdout, reason = "a program for the terminal")]
#![allow(clippy::unwrap_used, reason = "a panic ends the program")]

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("recordings are made on Linux");
}

#[cfg(target_os = "linux")]
mod linux;
