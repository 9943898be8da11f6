//! Which file of a crate imports which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::source::{Content, Import, Source, Type};

/// Re-exports of re-exports, at most.
const HOPS_MAX: usize = 20;

type No = usize;

/// The modules of a crate.
pub(crate) struct Graph {
    modules: Vec<Module>,
    /// By file: the files that it imports, each with one path that does.
    imports: BTreeMap<No, BTreeMap<No, String>>,
}

struct Module {
    path: Vec<String>,
    /// The module whose file this one is written in.
    file: No,
    parent: Option<No>,
    children: BTreeMap<String, No>,
    source: Source,
}

/// Files or rooms that import each other.
pub(crate) struct Circle {
    /// Paths of the modules, in alphabetical order.
    pub(crate) members: Vec<String>,
    /// The imports between them.
    pub(crate) imports: Vec<String>,
}

/// Where a path leads.
#[derive(Clone, Copy)]
enum Target {
    /// To an item of this module.
    Item(No),
    Module(No),
}

impl Graph {
    /// Loads all files of a crate, beginning with `lib.rs`.
    pub(crate) fn load(read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let text = read(Path::new("lib.rs")).expect("a library has a `lib.rs`");
        let mut graph = Self { modules: Vec::new(), imports: BTreeMap::new() };
        graph.add(read, Vec::new(), None, None, Source::parse(&text), Path::new(""));
        for no in 0..graph.modules.len() {
            graph.add_imports_of(no);
        }
        graph
    }

    fn add(
        &mut self,
        read: &dyn Fn(&Path) -> Option<String>,
        path: Vec<String>,
        parent: Option<No>,
        file: Option<No>,
        mut source: Source,
        folder: &Path,
    ) {
        let no = self.modules.len();
        let declared = std::mem::take(&mut source.modules);
        let file = file.unwrap_or(no);
        self.modules.push(Module {
            path: path.clone(),
            file,
            parent,
            children: BTreeMap::new(),
            source,
        });
        for declaration in declared {
            let mut path = path.clone();
            path.push(declaration.name.clone());
            let child = self.modules.len();
            let below = folder.join(&declaration.name);
            match declaration.content {
                Content::File(given) => {
                    let at = match given {
                        // A path counts from the folder of the file that gives it.
                        Some(given) => folder.parent().unwrap_or(folder).join(given),
                        None => below.with_extension("rs"),
                    };
                    let text = read(&at);
                    let text = text.unwrap_or_else(|| panic!("cannot read {}", at.display()));
                    self.add(read, path, Some(no), None, Source::parse(&text), &below);
                }
                Content::Inline(source) => {
                    self.add(read, path, Some(no), Some(file), source, &below);
                }
            }
            // Of two modules for different platforms, the first answers for both.
            self.modules[no].children.entry(declaration.name).or_insert(child);
        }
    }

    fn add_imports_of(&mut self, no: No) {
        let module = &self.modules[no];
        let mut found = Vec::new();
        for import in &module.source.imports {
            let target = match (&*import.name, self.resolve(no, &import.path, 0)) {
                ("*", Some(Target::Module(target))) => target,
                (_, Some(Target::Item(target))) => target,
                // Uses of a module are found at the place of the use.
                (_, Some(Target::Module(_)) | None) => continue,
            };
            let is_re_export =
                import.is_public && !module.source.words.contains(import.name.as_str());
            if !is_re_export {
                found.push((target, &import.path));
            }
        }
        for path in &module.source.paths {
            if let Some(Target::Item(target)) = self.resolve(no, path, 0) {
                found.push((target, path));
            }
        }
        let file = module.file;
        let found = found.into_iter().map(|(target, path)| (self.modules[target].file, path));
        let found: Vec<_> = found.map(|(target, path)| (target, path.join("::"))).collect();
        let imports = self.imports.entry(file).or_default();
        for (target, path) in found {
            if target != file {
                imports.entry(target).or_insert(path);
            }
        }
    }

    /// Where a path leads that is written in this module; `None`: out of the crate.
    fn resolve(&self, no: No, path: &[String], hops: usize) -> Option<Target> {
        assert!(hops < HOPS_MAX, "{path:?} leads nowhere");
        let (first, rest) = path.split_first()?;
        let module = &self.modules[no];
        match &**first {
            "crate" => self.descend(0, rest, hops),
            "self" => self.descend(no, rest, hops),
            "super" => self.descend(module.parent?, rest, hops),
            name => match module.children.get(name) {
                Some(child) => self.descend(*child, rest, hops),
                None => {
                    // An item that is imported already counts by the import.
                    let import = self.import(no, name)?;
                    let path = [&import.path[..], rest].concat();
                    (path.first() != Some(first)).then(|| self.resolve(no, &path, hops + 1))?
                }
            },
        }
    }

    fn descend(&self, no: No, path: &[String], hops: usize) -> Option<Target> {
        let Some((name, rest)) = path.split_first() else { return Some(Target::Module(no)) };
        let module = &self.modules[no];
        if name == "super" {
            return self.descend(module.parent?, rest, hops);
        }
        if let Some(child) = module.children.get(name) {
            return self.descend(*child, rest, hops);
        }
        if module.source.items.contains(name) {
            return Some(Target::Item(no));
        }
        if let Some(import) = self.import(no, name) {
            return self.resolve(no, &[&import.path[..], rest].concat(), hops + 1);
        }
        let globs = module.source.imports.iter().filter(|import| import.name == "*");
        for glob in globs {
            if let Some(Target::Module(from)) = self.resolve(no, &glob.path, hops + 1)
                && from != no
                && self.modules[from].source.items.contains(name)
            {
                return Some(Target::Item(from));
            }
        }
        // Made by a macro, or an item of another crate.
        None
    }

    fn import(&self, no: No, name: &str) -> Option<&Import> {
        self.modules[no].source.imports.iter().find(|import| import.name == name)
    }

    pub(crate) fn files(&self) -> usize {
        self.modules.iter().enumerate().filter(|(no, module)| module.file == *no).count()
    }

    pub(crate) fn imports(&self) -> usize {
        self.imports.values().map(BTreeMap::len).sum()
    }

    /// All types, each with the name of the module.
    pub(crate) fn types(&self) -> impl Iterator<Item = (String, &Type)> {
        self.modules.iter().enumerate().flat_map(move |(no, module)| {
            module.source.types.iter().map(move |found| (self.name(no), found))
        })
    }

    /// All public methods, each with the name of the type.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &(String, String)> {
        self.modules.iter().flat_map(|module| &module.source.methods)
    }

    /// The modules of the root that have files, with the number of their files.
    pub(crate) fn rooms(&self) -> BTreeMap<String, usize> {
        let mut rooms = BTreeMap::new();
        for (no, module) in self.modules.iter().enumerate() {
            if let Some(room) = module.path.first()
                && module.file == no
            {
                *rooms.entry(room.clone()).or_default() += 1;
            }
        }
        rooms
    }

    /// Files that import each other, directly or through others. A module that works with the
    /// module's own children is no circle.
    pub(crate) fn file_circles(&self) -> Vec<Circle> {
        let is_child = |from: No, to: No| {
            let (from, to) = (&self.modules[from].path, &self.modules[to].path);
            to.starts_with(from)
        };
        self.circles(|no| Some(self.name(no)), |from, to| !is_child(from, to))
    }

    /// Rooms side by side that import each other, at any depth.
    pub(crate) fn room_circles(&self) -> Vec<Circle> {
        let parents: BTreeSet<&[String]> =
            self.modules.iter().filter_map(|module| Some(module.path.split_last()?.1)).collect();
        let below = |parent: &[String], no: No| {
            let path = &self.modules[no].path;
            let is_below = path.starts_with(parent) && path.len() > parent.len();
            is_below.then(|| path[..=parent.len()].join("::"))
        };
        parents
            .into_iter()
            .flat_map(|parent| self.circles(|no| below(parent, no), |_, _| true))
            .collect()
    }

    /// The circles between groups of files, by the imports that count.
    fn circles(
        &self,
        group_of: impl Fn(No) -> Option<String>,
        counts: impl Fn(No, No) -> bool,
    ) -> Vec<Circle> {
        let mut imports: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (from, targets) in &self.imports {
            let Some(group) = group_of(*from) else { continue };
            let targets = targets.iter().filter(|(to, _)| counts(*from, **to));
            let targets = targets.filter_map(|(to, path)| {
                let why = format!("{} imports {path}", self.name(*from));
                group_of(*to).filter(|to| *to != group).map(|to| (to, why))
            });
            imports.entry(group.clone()).or_default().extend(targets);
        }
        let mut members: BTreeSet<BTreeSet<&str>> = BTreeSet::new();
        for group in imports.keys() {
            let ahead = reached(&imports, group);
            let circle: BTreeSet<_> =
                ahead.into_iter().filter(|to| reached(&imports, to).contains(&**group)).collect();
            members.insert(circle);
        }
        let circles = members.into_iter().filter(|circle| !circle.is_empty());
        let circles = circles.map(|circle| {
            let within = circle.iter().flat_map(|from| imports.get(*from)).flatten();
            let within = within.filter(|(to, _)| circle.contains(&***to));
            Circle {
                imports: within.map(|(to, why)| format!("{why} (to {to})")).collect(),
                members: circle.iter().map(|member| (*member).to_owned()).collect(),
            }
        });
        circles.collect()
    }

    fn name(&self, no: No) -> String {
        match &self.modules[no].path[..] {
            [] => "lib".to_owned(),
            path => path.join("::"),
        }
    }
}

/// Everything that is imported from here on, the start only when a circle leads back to it.
fn reached<'a>(
    imports: &'a BTreeMap<String, BTreeMap<String, String>>,
    start: &str,
) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = vec![start];
    while let Some(from) = open.pop() {
        for to in imports.get(from).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(&**to) {
                open.push(to);
            }
        }
    }
    reached
}
