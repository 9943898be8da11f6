//! The rooms of ARCHITECTURE.md, checked: no source file reaches itself through its imports. The
//! module `types` checks the names of types, and that public types can grow.
//!
//! A file imports another one when a path in it (in a `use` or in code, from `crate`, `super`,
//! `self`, a child module or an imported module) leads to an item that the other file defines.
//! Re-exports are followed to the file with the definition. Three things are no import:
//!
//! - declaring a module (`mod child;`);
//! - a re-export (`pub use child::Item;`) of a name that the file itself does not use;
//! - calling a method or naming a field, because these name no file.
//!
//! A file is read together with the files of child modules. So a parent may work with the
//! children, and they with the parent; children side by side must not import each other in a
//! circle, nor may any longer chain of files lead back. The same holds for rooms: below every
//! module, the folders of the children must not import each other in a circle. Tests
//! (`#[cfg(test)]`) do not count.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the workspace fails")]
#![allow(clippy::print_stdout, reason = "counts of files, imports and rooms")]

mod blocking;
mod counterparts;
mod examples;
mod graph;
mod source;
mod types;

use std::fs;
use std::path::{Path, PathBuf};

use graph::{Circle, Graph};

/// The published crates.
const LIBRARIES: [&str; 6] = [
    "opencode-config",
    "opencode-proto",
    "opencode-api",
    "opencode-client",
    "opencode-tokio",
    "opencode-async-std",
];

/// The most modules that the root of the client may declare.
const CLIENT_ROOMS_MAX: usize = 10;

#[test]
fn no_source_file_imports_itself_through_others() {
    let mut circles = Vec::new();
    for name in crates() {
        let graph = graph_of(name);
        let (files, imports) = (graph.files(), graph.imports());
        assert!(files > 3 && imports > 2, "{name}: {files} files, {imports} imports");
        println!("{name}: {files} files, {imports} imports between them");
        circles.extend(graph.file_circles().into_iter().map(|circle| (name, circle)));
    }
    assert!(circles.is_empty(), "{}", text(&circles));
}

#[test]
fn no_room_imports_itself_through_its_neighbours() {
    let mut circles = Vec::new();
    for name in crates() {
        circles.extend(graph_of(name).room_circles().into_iter().map(|circle| (name, circle)));
    }
    assert!(circles.is_empty(), "{}", text(&circles));
}

#[test]
fn the_client_has_at_most_ten_rooms() {
    let graph = graph_of("opencode-client");
    let rooms = graph.rooms();
    for (room, files) in &rooms {
        println!("{room}: {files} files");
    }
    assert!(rooms.len() <= CLIENT_ROOMS_MAX, "{} rooms: {rooms:?}", rooms.len());
}

#[test]
fn a_circle_of_two_files_is_found() {
    let circles = circles_of(&[
        ("lib.rs", "mod one; mod two;"),
        ("one.rs", "use crate::two::Two; pub struct One;"),
        ("two.rs", "pub struct Two; fn one() { super::one::One; }"),
    ]);

    assert_eq!(circles, [["one", "two"]]);
}

#[test]
fn a_circle_through_a_re_export_is_found() {
    let circles = circles_of(&[
        ("lib.rs", "mod room; mod user; pub use user::User;"),
        ("room.rs", "mod item; pub use item::Item;"),
        ("room/item.rs", "use crate::User; pub struct Item(User);"),
        ("user.rs", "use crate::room; pub struct User; fn f() { room::Item; }"),
    ]);

    assert_eq!(circles, [["room::item", "user"]]);
}

#[test]
fn a_parent_and_its_child_are_no_circle_and_its_children_are_one() {
    let lib = ("lib.rs", "mod room;");
    let room = ("room.rs", "mod one; mod two; use one::One; pub struct Room(One);");
    let one = ("room/one.rs", "use super::Room; pub struct One(Room);");
    let two = ("room/two.rs", "use super::one::One; pub struct Two(One);");
    assert!(circles_of(&[lib, room, one, two]).is_empty());

    let one = ("room/one.rs", "use super::two::Two; pub struct One(Two);");
    assert_eq!(circles_of(&[lib, room, one, two]), [["room::one", "room::two"]]);
}

#[test]
fn rooms_that_import_each_other_through_different_files_are_a_circle() {
    let files = [
        ("lib.rs", "mod left; mod right;"),
        ("left.rs", "mod one; mod two;"),
        ("left/one.rs", "use crate::right::one::One; pub struct Left(One);"),
        ("left/two.rs", "pub struct Two;"),
        ("right.rs", "pub(crate) mod one; mod two;"),
        ("right/one.rs", "pub struct One;"),
        ("right/two.rs", "use crate::left::two::Two; pub struct Right(Two);"),
    ];

    assert!(circles_of(&files).is_empty());
    let circles = load(&files).room_circles();
    let members: Vec<_> = circles.into_iter().map(|circle| circle.members).collect();
    assert_eq!(members, [["left", "right"]]);
}

#[test]
fn tests_comments_and_text_import_nothing() {
    let circles = circles_of(&[
        ("lib.rs", "mod one; mod two;"),
        ("one.rs", "use crate::two::Two; pub struct One;"),
        (
            "two.rs",
            "// use crate::one::One;\n pub struct Two; const A: (&str, char) = (\"crate::one::One\", '\"');\n
             /* /* nested */ use crate::one::One; */ fn f<'a>(_: &'a str) {}
             #[cfg(test)] mod tests { use crate::one::One; fn f() { if true {} } }
             #[cfg(all(test, unix))] fn g() { crate::one::One; }",
        ),
    ]);

    assert!(circles.is_empty(), "{circles:?}");
}

/// All crates with source files that users or tests build on.
fn crates() -> impl Iterator<Item = &'static str> {
    LIBRARIES.into_iter().chain(["testkit"])
}

/// A file or folder of the repository.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(name)
}

fn graph_of(name: &str) -> Graph {
    let folder = folder(name).join("src");
    Graph::load(&|file| fs::read_to_string(folder.join(file)).ok())
}

/// The circles of a crate with these files, each as the paths of the modules.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    load(files).file_circles().into_iter().map(|circle| circle.members).collect()
}

fn load(files: &[(&str, &str)]) -> Graph {
    Graph::load(&|path| {
        let found = files.iter().find(|(name, _)| Path::new(name) == path);
        found.map(|(_, text)| (*text).to_owned())
    })
}

fn text(circles: &[(&str, Circle)]) -> String {
    let mut text = format!("{} circles", circles.len());
    for (name, circle) in circles {
        text += &format!("\n{name}: {}", circle.members.join(", "));
        for import in &circle.imports {
            text += &format!("\n    {import}");
        }
    }
    text
}
