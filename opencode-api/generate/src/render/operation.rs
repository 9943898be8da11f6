//! Operations: a constructor, setters, and the identity.

use super::writing::Writing;
use super::{Argument, Body, OperationDef, rust_text};
use crate::corrections;
use crate::document::Reply;
use crate::naming;
use crate::types::RustType;

/// Operations whose reply waits for the model.
const TURNS: [&str; 8] = [
    "session.command",
    "session.init",
    "session.prompt",
    "session.shell",
    "session.summarize",
    "v2.session.compact",
    "v2.session.wait",
    "tui.control.next",
];

/// Operations that open a WebSocket.
pub(super) const SOCKETS: [&str; 2] = ["pty.connect", "v2.pty.connect"];

/// Writes an operation.
pub(crate) fn write(def: &OperationDef<'_>, out: &mut Writing) {
    let name = &def.name;
    out.defines(name);
    for rust in def.inputs().iter().chain(&def.reply) {
        out.uses(rust);
    }
    out.doc(0, &about(def));
    let has_no_arguments = def.required().next().is_none() && !matches!(def.body, Body::Whole(_));
    out.push("#[derive(Clone, Debug, PartialEq)]\n");
    out.push(&format!("pub struct {name} {{\n    call: Call,\n}}\n\nimpl {name} {{\n"));
    write_new(def, out);
    let place = def.place();
    let is_place = |of: &&Argument| place.is_some_and(|(_, names)| names.contains(&&*of.wire));
    for argument in def.query.iter().filter(|of| !of.is_required && !is_place(of)) {
        let doc = format!("Sets the query parameter `{}`.", argument.wire);
        write_with(argument, "query", &doc, out);
    }
    if let Body::Fields(fields) = &def.body {
        for argument in fields.iter().filter(|argument| !argument.is_required) {
            let doc = format!("Sets the field `{}` of the body.", argument.wire);
            write_with(argument, "field", &doc, out);
        }
    }
    out.push("}\n\n");
    if has_no_arguments {
        out.push(&format!(
            "impl Default for {name} {{\n    fn default() -> Self {{\n        Self::new()\n    \
             }}\n}}\n\n"
        ));
    }
    if let Some((of, _)) = place {
        out.push(&format!("{of}!({name});\n"));
    }
    let (read, output) = def.output();
    let operation = def.operation;
    let (id, method, path) = (&operation.id, &operation.method, &operation.path);
    let decoding = format!("{}, {read} -> {output}", def.pace());
    // rustfmt leaves arguments with arrows alone.
    let identity = format!("{name}, {id:?}, {:?},", def.since);
    let lines = [identity, format!("{method:?} {path:?},"), decoding];
    let single = format!("operation!({});\n\n", lines.join(" "));
    if single.len() <= 102 {
        out.push(&single);
    } else {
        out.push(&format!("operation!(\n    {}\n);\n\n", lines.join("\n    ")));
    }
}

impl OperationDef<'_> {
    pub(super) fn required(&self) -> impl Iterator<Item = &Argument> {
        let fields = match &self.body {
            Body::Fields(fields) => fields.as_slice(),
            Body::None | Body::Whole(_) => &[],
        };
        self.path.iter().chain(&self.query).chain(fields).filter(|of| of.is_required)
    }

    /// The macro for the parameters of the place that the operation is about, if it has both.
    fn place(&self) -> Option<(&'static str, [&'static str; 2])> {
        let forms = [
            ("in_directory", ["directory", "workspace"]),
            ("in_location", ["location[directory]", "location[workspace]"]),
        ];
        forms.into_iter().find(|(_, names)| {
            let has = |name| self.query.iter().any(|of| of.wire == name && !of.is_required);
            names.iter().all(|name| has(*name))
        })
    }

    /// The function that decodes the reply, and the type.
    fn output(&self) -> (&'static str, String) {
        if SOCKETS.contains(&&*self.operation.id) {
            return ("bytes", "Bytes".to_owned());
        }
        match (&self.operation.reply, &self.reply) {
            (Reply::Json(_), Some(rust)) => ("json", rust_text(rust)),
            (Reply::Text, _) => ("text", "String".to_owned()),
            (Reply::Bytes | Reply::Events, _) => ("bytes", "Bytes".to_owned()),
            (Reply::Json(_), None) | (Reply::Nothing, _) => ("nothing", "()".to_owned()),
        }
    }

    fn pace(&self) -> &'static str {
        let has_directory = self.query.iter().any(|argument| argument.name.ends_with("directory"));
        if TURNS.contains(&&*self.operation.id) {
            "Turn"
        } else if has_directory {
            "Boot"
        } else {
            "Quick"
        }
    }
}

/// Returns the summary of the operation, and the request.
pub(super) fn summary(def: &OperationDef<'_>) -> (String, String) {
    let operation = def.operation;
    let article = if matches!(&*def.verb, "List" | "Find" | "Authenticate") { "" } else { "the " };
    let (verb, object) = (
        naming::third_person(&def.verb),
        naming::prose(def.object.strip_prefix("Next").unwrap_or(&def.object)),
    );
    let request = format!("{} {}", operation.method, operation.path);
    (format!("{verb} {article}{object}"), request)
}

fn about(def: &OperationDef<'_>) -> String {
    let operation = def.operation;
    let (act, request) = summary(def);
    let mut text = format!("{act}. `{request}`.\n\n");
    text += &format!("Operation `{}`, since {}.", operation.id, def.since);
    if matches!(operation.reply, Reply::Events) {
        text += " The reply is a stream of events without an end: the sender has to hand over the \
                 body as the body arrives.";
    }
    if SOCKETS.contains(&&*operation.id) {
        text += " The request opens a WebSocket, for which the sender adds the headers of the \
                 handshake.";
    }
    if !operation.errors.is_empty() {
        let errors = operation.errors.iter().map(|(status, names)| {
            let short = |name: &String| match &**name {
                // A second schema of the same name.
                other if other.ends_with("Error1") => format!("`{}`", other.trim_end_matches('1')),
                other => format!("`{}`", other.replace("effect_HttpApiError_", "")),
            };
            let mut names: Vec<_> = names.iter().map(short).collect();
            names.dedup();
            if names.is_empty() {
                status.clone()
            } else {
                format!("{status} {}", names.join(" or "))
            }
        });
        text += &format!("\n\nErrors by status: {}.", errors.collect::<Vec<_>>().join(", "));
    }
    text
}

/// Type of a parameter, and the statement that converts the argument.
fn parameter(argument: &Argument) -> (String, Option<String>) {
    let name = &argument.name;
    let target = match &argument.rust {
        RustType::Id(id) => (*id).to_owned(),
        RustType::Text => "String".to_owned(),
        other => return (format!("{name}: {}", rust_text(other)), None),
    };
    let convert = format!("let {name}: {target} = {name}.into();\n");
    (format!("{name}: impl Into<{target}>"), Some(convert))
}

fn write_new(def: &OperationDef<'_>, out: &mut Writing) {
    let mut parameters = Vec::new();
    let mut statements = String::new();
    for argument in def.required() {
        let (parameter, convert) = parameter(argument);
        parameters.push(parameter);
        statements += &convert.unwrap_or_default();
    }
    if let Body::Whole(rust) = &def.body {
        parameters.push(format!("body: {}", rust_text(rust)));
    }
    let doc = match parameters.len() {
        0 => "Creates the operation.",
        _ => "Creates the operation with the required values.",
    };
    out.doc(4, doc);
    let path: Vec<_> = def.path.iter().map(|of| format!("{}.as_str()", of.name)).collect();
    let mut call = format!("Call::new(Self::ROUTE, &[{}])", path.join(", "));
    match &def.body {
        Body::None => {}
        Body::Fields(_) => call += ".with_object()",
        Body::Whole(_) => call += ".with_body(&body)",
    }
    for (operation, header, value) in corrections::HEADERS {
        if operation == def.operation.id {
            call += &format!(".with_header({header:?}, {value:?})");
        }
    }
    let mut sets = String::new();
    for argument in def.query.iter().filter(|of| of.is_required) {
        sets += &format!("call.query({:?}, {});\n", argument.wire, argument.name);
    }
    if let Body::Fields(fields) = &def.body {
        for argument in fields.iter().filter(|of| of.is_required) {
            sets += &format!("call.field({:?}, &{});\n", argument.wire, argument.name);
        }
    }
    out.push(&format!("pub fn new({}) -> Self {{\n{statements}", parameters.join(", ")));
    if sets.is_empty() {
        out.push(&format!("Self {{ call: {call} }}\n}}\n"));
    } else {
        out.push(&format!("let mut call = {call};\n{sets}Self {{ call }}\n}}\n"));
    }
}

fn write_with(argument: &Argument, set: &str, doc: &str, out: &mut Writing) {
    let (parameter, convert) = parameter(argument);
    let name = &argument.name;
    let by = if set == "field" { "&" } else { "" };
    out.push("\n");
    out.doc(4, doc);
    out.push(&format!(
        "pub fn with_{name}(mut self, {parameter}) -> Self {{\n{}self.call.{set}({:?}, {by}{name});\n\
         self\n}}\n",
        convert.unwrap_or_default(),
        argument.wire,
    ));
}
