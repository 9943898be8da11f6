//! A file browser: folders and files of the project as the server sees them, with the changes since
//! the last commit.
//!
//! ```text
//! cargo run -p opencode-tokio --example files
//! ```
//!
//! A name opens a folder or a file, `..` goes up, `diff` shows all changes, and `find NAME` searches.

#![allow(clippy::print_stdout, reason = "an example talks to people")]

use std::error::Error;
use std::io::{self, Write};

use opencode_api::Groups;

use opencode_api::find::FindFiles;
use opencode_api::shared::EntryKind;
use opencode_api::vcs::VcsDiffMode;
use opencode_tokio::{CallError, ServeRequest, Server};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = opencode_tokio::opencode().serve(ServeRequest::new()).await?;
    let mut browser = Browser::new(server);
    println!("{}", browser.list().await?);
    loop {
        print!("{}> ", browser.folder);
        io::stdout().flush()?;
        let Some(line) = tokio::task::spawn_blocking(read_line).await? else { return Ok(()) };
        match browser.open(&line).await {
            Ok(text) => println!("{text}"),
            Err(error) => println!("{error}"),
        }
    }
}

fn read_line() -> Option<String> {
    let mut line = String::new();
    let size = io::stdin().read_line(&mut line).ok()?;
    (size > 0).then(|| line.trim().to_owned())
}

/// A place in the project.
pub(crate) struct Browser {
    server: Server,
    /// The folder, from the root of the project; empty for the root.
    folder: String,
}

impl Browser {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, folder: String::new() }
    }

    /// Carries out one line of input.
    pub(crate) async fn open(&mut self, line: &str) -> Result<String, CallError> {
        match line.split_once(' ') {
            Some(("find", name)) => {
                let find = FindFiles::new(name).with_limit(20);
                return Ok(self.server.call(&find).await?.join("\n"));
            }
            _ if line == "diff" => return self.diff().await,
            _ => {}
        }
        let path = match line {
            ".." => self.folder.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned(),
            _ => self.path(line),
        };
        let entries = self.server.files().list(&*self.folder).await?;
        let is_file = |name: &str| {
            entries.iter().any(|entry| entry.name == name && entry.kind == EntryKind::File)
        };
        if is_file(line) {
            return Ok(self.server.files().read(path).await?.content);
        }
        self.folder = path;
        self.list().await
    }

    /// Lists the folder, with a mark before files that have changed.
    pub(crate) async fn list(&self) -> Result<String, CallError> {
        let changes = self.server.vcs().status().await?;
        let mut lines = Vec::new();
        for entry in self.server.files().list(&*self.folder).await? {
            let path = self.path(&entry.name);
            let change = changes.iter().find(|change| change.file == path);
            let mark = change.map(|change| change.status.to_string()).unwrap_or_default();
            let slash = if entry.kind == EntryKind::Directory { "/" } else { "" };
            lines.push(format!("{mark:>8} {}{slash}", entry.name));
        }
        Ok(lines.join("\n"))
    }

    async fn diff(&self) -> Result<String, CallError> {
        let mut text = String::new();
        for file in self.server.vcs().diff(VcsDiffMode::Git).await? {
            text += &format!("{} +{} -{}\n", file.file, file.additions, file.deletions);
            text += &file.patch.unwrap_or_default();
        }
        Ok(text)
    }

    fn path(&self, name: &str) -> String {
        if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }
}
