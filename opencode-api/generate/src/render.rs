//! The files of the crate.

mod event;
mod group;
mod operation;
mod type_def;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use crate::document::{Document, Operation, Reply, Schema};
use crate::since::Since;
use crate::types::{Origin, RustType, TypeDef, Types, names};
use crate::{homes, naming};
use writing::Writing;

/// An operation with its types.
pub(crate) struct OperationDef<'a> {
    pub(crate) operation: &'a Operation,
    pub(crate) name: String,
    pub(crate) verb: String,
    pub(crate) object: String,
    pub(crate) path: Vec<Argument>,
    pub(crate) query: Vec<Argument>,
    pub(crate) body: Body,
    pub(crate) reply: Option<RustType>,
    /// The first version with the route.
    pub(crate) since: String,
}

/// A value that an operation sends.
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) wire: String,
    pub(crate) rust: RustType,
    pub(crate) is_required: bool,
}

/// The body that an operation sends.
pub(crate) enum Body {
    None,
    Fields(Vec<Argument>),
    Whole(RustType),
}

/// Modules with types that are written by hand, by type.
const BY_HAND: [(&str, &str); 6] = [
    ("Data", "reply"),
    ("Event", "envelope"),
    ("EventPosition", "envelope"),
    ("GlobalEvent", "envelope"),
    ("Located", "reply"),
    ("NextEvent", "envelope"),
];

/// Types that code by hand uses, and where it expects them.
const EXPECTED: [(&str, &str); 2] = [("LocationInfo", "shared"), ("LocationRef", "shared")];

/// Renders all files, by the path below `src`.
pub(crate) fn render(
    document: &Document,
    since: &Since,
) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut types = Types::new(document);
    let mut operations = Vec::new();
    for operation in &document.operations {
        let version = since.of(&operation.method, &operation.path);
        let version = version.ok_or_else(|| {
            format!("no first version of {} {}", operation.method, operation.path)
        })?;
        operations.push(OperationDef::new(operation, version, &mut types));
    }
    operations.sort_by(|one, other| one.name.cmp(&other.name));
    let mut events = Vec::new();
    for event in &document.events {
        events.push((event, types.event(&event.event_type, &event.properties)));
    }
    // These events are sent too, by `tui.publish`.
    for (event, rust) in &events {
        if event.event_type.starts_with("tui.") {
            types.mark_input(rust);
        }
    }
    for operation in &operations {
        operation.inputs().iter().for_each(|rust| types.mark_input(rust));
    }
    if !types.clashes.is_empty() {
        return Err(format!("two types have one name:\n{}", types.clashes.join("\n")).into());
    }
    let homes = choose_homes(&types, &operations, &events)?;

    let mut files: BTreeMap<String, Writing> = BTreeMap::new();
    for operation in &operations {
        let file = homes::of_operation(&operation.operation.id);
        operation::write(operation, files.entry(file.to_owned()).or_default());
    }
    for def in types.defs.values() {
        let file = homes.get(&def.name).ok_or_else(|| format!("{} has no file", def.name))?;
        type_def::write(def, &types, files.entry(file.clone()).or_default());
    }
    event::write(&events, &types, files.entry("event".to_owned()).or_default());
    check_circles(&files, &homes)?;

    let mut rendered = BTreeMap::new();
    let names: Vec<String> = files.keys().cloned().collect();
    for (file, writing) in &files {
        let children: Vec<_> = names
            .iter()
            .filter_map(|name| name.strip_prefix(&format!("{file}/")).map(|child| (name, child)))
            .map(|(name, child)| (child, files[name].items()))
            .collect();
        rendered.insert(format!("{file}.rs"), writing.file(file, &children, &homes));
    }
    rendered.insert("next.rs".to_owned(), next_module(&names));
    let groups = group::render(&operations, &homes)?;
    rendered.extend(groups.files);
    let contract = contract(&operations, document, &types, &homes, &groups.methods);
    rendered.insert("contract.rs".to_owned(), contract);
    Ok(rendered)
}

impl<'a> OperationDef<'a> {
    fn new(operation: &'a Operation, since: &str, types: &mut Types<'_>) -> Self {
        let (verb, object) = naming::operation(&operation.id, &operation.method);
        let mut argument = |wire: &str, schema: &Schema, is_required, owner: &str| {
            let field = crate::document::Field {
                name: wire.to_owned(),
                schema: schema.clone(),
                is_required,
            };
            let rust = types.field(owner, &field);
            Argument { name: naming::field(wire), wire: wire.to_owned(), rust, is_required }
        };
        let path = operation
            .path_parameters
            .iter()
            .map(|(name, schema)| argument(name, schema, true, &object))
            .collect();
        let mut query: Vec<Argument> = operation
            .query
            .iter()
            .map(|field| argument(&field.name, &field.schema, field.is_required, &object))
            .collect();
        // Counts, and times in milliseconds.
        for argument in &mut query {
            if argument.rust == RustType::Float {
                argument.rust = RustType::Unsigned;
            }
        }
        let owner = format!("{verb}{object}");
        let body = match &operation.body {
            None => Body::None,
            Some(Schema::Object(fields)) => {
                let fields = fields
                    .iter()
                    .map(|field| argument(&field.name, &field.schema, field.is_required, &owner));
                Body::Fields(fields.collect())
            }
            // Only the form of an event without an id is accepted here.
            Some(Schema::Union(variants))
                if variants.iter().all(
                    |variant| matches!(variant, Schema::Ref(name) if name.starts_with("Event")),
                ) =>
            {
                Body::Whole(RustType::Named("Event".to_owned()))
            }
            Some(schema) => Body::Whole(argument("body", schema, true, &owner).rust),
        };
        let reply = match &operation.reply {
            Reply::Json(schema) => Some(types.reply(operation, schema)),
            Reply::Bytes | Reply::Events | Reply::Nothing | Reply::Text => None,
        };
        let name = format!("{verb}{object}");
        let since = since.to_owned();
        Self { operation, name, verb, object, path, query, body, reply, since }
    }

    /// The types of values that a program sends.
    pub(crate) fn inputs(&self) -> Vec<RustType> {
        let body: Vec<RustType> = match &self.body {
            Body::None => Vec::new(),
            Body::Fields(fields) => fields.iter().map(|field| field.rust.clone()).collect(),
            Body::Whole(rust) => vec![rust.clone()],
        };
        let query = self.query.iter().map(|argument| argument.rust.clone());
        body.into_iter().chain(query).collect()
    }
}

/// Chooses the file of each type.
fn choose_homes(
    types: &Types<'_>,
    operations: &[OperationDef<'_>],
    events: &[(&crate::document::EventSchema, RustType)],
) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for operation in operations {
        let file = homes::of_operation(&operation.operation.id);
        for rust in operation.inputs().iter().chain(&operation.reply) {
            mark_users(types, rust, file, &mut users);
        }
    }
    let mut homes: BTreeMap<String, String> = BTreeMap::new();
    for (event, rust) in events {
        let file = event::file(&event.event_type);
        for name in names(rust) {
            homes.insert(name, file.to_owned());
        }
        mark_users(types, rust, "event", &mut users);
    }
    let mut unassigned = Vec::new();
    for name in types.defs.keys() {
        if homes.contains_key(name) {
            continue;
        }
        let files = users.get(name).ok_or_else(|| format!("nothing uses {name}"))?;
        let groups: BTreeSet<&str> = files.iter().map(|file| homes::group(file)).collect();
        let home = match (homes::of_type(name), files.len(), groups.len()) {
            (Some(home), ..) => home.to_owned(),
            (None, 1, _) => files.iter().next().cloned().unwrap_or_default(),
            (None, _, 1) => groups.first().copied().unwrap_or_default().to_owned(),
            _ if groups.iter().all(|group| group.starts_with("next/")) => "next/common".to_owned(),
            _ => {
                unassigned.push(format!("{name}: {files:?}"));
                "shared".to_owned()
            }
        };
        homes.insert(name.clone(), home);
    }
    if std::env::var_os("OPENCODE_GENERATE_TRACE").is_some() {
        println!("{}", unassigned.join("\n"));
    }
    for (name, module) in BY_HAND {
        homes.insert(name.to_owned(), module.to_owned());
    }
    for (name, file) in EXPECTED {
        if homes.get(name).map(String::as_str) != Some(file) {
            return Err(format!("{name} is not in {file}").into());
        }
    }
    Ok(homes)
}

fn mark_users(
    types: &Types<'_>,
    rust: &RustType,
    file: &str,
    users: &mut BTreeMap<String, BTreeSet<String>>,
) {
    for name in names(rust) {
        if !users.entry(name.clone()).or_default().insert(file.to_owned()) {
            continue;
        }
        let inner = types.defs.get(&name).map(TypeDef::types).unwrap_or_default();
        inner.iter().for_each(|rust| mark_users(types, rust, file, users));
    }
}

/// Refuses files that import one another in a circle, directly or through others.
fn check_circles(
    files: &BTreeMap<String, Writing>,
    homes: &BTreeMap<String, String>,
) -> Result<(), Box<dyn Error>> {
    check_groups(files, homes, homes::group)?;
    check_groups(files, homes, |file| file.split('/').next().unwrap_or(file))
}

fn check_groups(
    files: &BTreeMap<String, Writing>,
    homes: &BTreeMap<String, String>,
    group_of: impl for<'f> Fn(&'f str) -> &'f str,
) -> Result<(), Box<dyn Error>> {
    let mut reach: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for (file, writing) in files {
        let group = group_of(file);
        for name in &writing.names {
            let home = homes.get(name).ok_or_else(|| format!("{name} has no home"))?;
            let to = group_of(home);
            if to != group {
                reach.entry(group).or_default().insert(to, format!("{file} uses {name} of {home}"));
            }
        }
    }
    // Hand-written code between groups.
    for (from, to) in [("envelope", "event"), ("envelope", "shared"), ("reply", "shared")] {
        reach.entry(from).or_default().insert(to, format!("{from} is written by hand"));
    }
    for start in reach.keys() {
        let mut open = vec![(*start, Vec::<String>::new())];
        let mut seen = BTreeSet::new();
        while let Some((at, trail)) = open.pop() {
            for (next, why) in reach.get(at).into_iter().flatten() {
                let mut trail = trail.clone();
                trail.push(why.clone());
                if next == start {
                    return Err(format!("a circle of files:\n{}", trail.join("\n")).into());
                }
                if seen.insert(*next) {
                    open.push((next, trail));
                }
            }
        }
    }
    Ok(())
}

/// The module of the second generation, which only declares others.
fn next_module(names: &[String]) -> String {
    let mut text = "//! The second generation of the API, `/api/*`: a preview in this version of \
                    OpenCode.\n\n"
        .to_owned();
    let children = names.iter().filter_map(|name| name.strip_prefix("next/"));
    for child in children.filter(|child| !child.contains('/')) {
        text += &format!("pub mod {child};\n");
    }
    text
}

/// The table of everything that the crate has.
fn contract(
    operations: &[OperationDef<'_>],
    document: &Document,
    types: &Types<'_>,
    homes: &BTreeMap<String, String>,
    methods: &[(String, String)],
) -> String {
    let mut text = "//! Tables of all operations and all event types.\n\nuse \
                    opencode_config::Json;\n\nuse crate::Route;\nuse crate::json::recode;\n\n\
                    /// All operations.\n"
        .to_owned();
    text += &format!("pub const OPERATIONS: [Route; {}] = [\n", operations.len());
    for operation in operations {
        let module = homes::group(homes::of_operation(&operation.operation.id)).replace('/', "::");
        text += &format!("crate::{module}::{}::ROUTE,\n", operation.name);
    }
    text += "];\n\n/// All types of events, in alphabetical order.\n";
    text += &format!("pub const EVENT_TYPES: [&str; {}] = [\n", document.events.len());
    for event in &document.events {
        text += &format!("{:?},\n", event.event_type);
    }
    text += "];\n\n/// Short methods of [`Groups`](crate::Groups), by the id of the operation.\n";
    text += &format!("pub const METHODS: [(&str, &str); {}] = [\n", methods.len());
    for (operation, method) in methods {
        text += &format!("({operation:?}, {method:?}),\n");
    }
    text += "];\n\n/// Reads the reply to an operation and writes the value again.\n///\n/// `None` \
             for an operation whose reply is no JSON.\n#[doc(hidden)]\npub fn recode_reply(operation_id: \
             &str, json: Json) -> Option<Result<Json, String>> {\nSome(match operation_id {\n";
    for operation in operations {
        if let Some(rust) = &operation.reply {
            text += &format!(
                "{:?} => recode::<{}>(json),\n",
                operation.operation.id,
                full_text(rust, homes)
            );
        }
    }
    text += "_ => return None,\n})\n}\n\n/// Reads a value of a schema and writes the value \
             again.\n///\n/// `None` for a schema without a type of its own.\n#[doc(hidden)]\npub fn \
             recode_schema(schema: &str, json: Json) -> Option<Result<Json, String>> {\n\
             Some(match schema {\n";
    for def in types.defs.values() {
        // The items of a list have their origin in the schema of the list.
        if let Origin::Schema(schema) = &def.origin
            && naming::type_name(schema) == def.name
        {
            let rust = RustType::Named(def.name.clone());
            text += &format!("{schema:?} => recode::<{}>(json),\n", full_text(&rust, homes));
        }
    }
    text + "_ => return None,\n})\n}\n"
}

/// Returns the type in Rust, with the path of each name.
fn full_text(rust: &RustType, homes: &BTreeMap<String, String>) -> String {
    let path = |name: &str| {
        let module = homes.get(name).map(|home| homes::group(home).replace('/', "::"));
        module.map_or_else(|| name.to_owned(), |module| format!("crate::{module}::{name}"))
    };
    match rust {
        RustType::Id(id) => format!("opencode_proto::{id}"),
        RustType::Json => "opencode_config::Json".to_owned(),
        RustType::List(inner) => format!("Vec<{}>", full_text(inner, homes)),
        RustType::Map(inner) => format!("crate::OrderedMap<{}>", full_text(inner, homes)),
        RustType::Named(name) => path(name),
        RustType::Nullable(inner) => format!("Option<{}>", full_text(inner, homes)),
        RustType::Object => "opencode_config::JsonObject".to_owned(),
        RustType::Wrapped(name, inner) => format!("{}<{}>", path(name), full_text(inner, homes)),
        other => rust_text(other),
    }
}

/// Returns the type in Rust.
pub(crate) fn rust_text(rust: &RustType) -> String {
    match rust {
        RustType::Bool => "bool".to_owned(),
        RustType::Float => "f64".to_owned(),
        RustType::Id(id) => (*id).to_owned(),
        RustType::Json => "Json".to_owned(),
        RustType::List(inner) => format!("Vec<{}>", rust_text(inner)),
        RustType::Map(inner) => format!("OrderedMap<{}>", rust_text(inner)),
        RustType::Named(name) => name.clone(),
        RustType::Nullable(inner) => format!("Option<{}>", rust_text(inner)),
        RustType::Object => "JsonObject".to_owned(),
        RustType::Signed => "i64".to_owned(),
        RustType::Text => "String".to_owned(),
        RustType::Unsigned => "u64".to_owned(),
        RustType::Wrapped(name, inner) => format!("{name}<{}>", rust_text(inner)),
    }
}
