//! Structs, enums and unions.

use super::rust_text;
use super::writing::{Writing, invocation};
use crate::naming;
use crate::types::{FieldDef, Origin, RustType, Shape, TypeDef, Types, Variant};

/// Types that hold keys or tokens: `Debug` shows none of their fields.
const SECRETS: [&str; 11] = [
    "ApiAuth",
    "McpLocalConfig",
    "McpOauthConfig",
    "McpRemoteConfig",
    "NextModelRequest",
    "Oauth",
    "Provider",
    "ProviderConfigOptions",
    "ProviderRequest",
    "PtyTicket",
    "WellKnownAuth",
];

/// Writes a type.
pub(crate) fn write(def: &TypeDef, types: &Types<'_>, out: &mut Writing) {
    out.defines(&def.name);
    def.types().iter().for_each(|rust| out.uses(rust));
    out.doc(0, &about(def));
    match &def.shape {
        Shape::Struct { tag, fields } => write_struct(def, tag.as_ref(), fields, out),
        Shape::Texts(variants) => write_texts(&def.name, variants, out),
        Shape::Tagged { tag, variants } => {
            let doc = |variant: &Variant| format!("`{tag}` is `{}`.", variant.rule);
            write_union(&def.name, variants, &doc, types, out);
            if def.is_input {
                write_conversions(&def.name, variants, types, out);
            }
            let items: Vec<_> =
                variants.iter().map(|of| format!("{} {:?}", of.name, of.rule)).collect();
            out.push(&invocation(&format!("json_union!({} [{tag:?}]", def.name), &items));
        }
        Shape::Forms(variants) => {
            write_union(&def.name, variants, &form_doc, types, out);
            let items: Vec<_> =
                variants.iter().map(|of| format!("{} {}", of.name, of.rule)).collect();
            out.push(&invocation(&format!("json_variants!({}", def.name), &items));
        }
    }
    out.push("\n");
}

fn about(def: &TypeDef) -> String {
    let words = naming::prose(&def.name);
    let mut chars = words.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let subject = format!("{first}{}", chars.as_str());
    match &def.origin {
        Origin::Schema(schema) => format!("{subject}: schema `{schema}` of OpenCode."),
        Origin::Field { of, name } => match &def.shape {
            Shape::Texts(_) => format!("Values of `{name}` in `{of}`."),
            Shape::Struct { .. } | Shape::Tagged { .. } | Shape::Forms(_) => {
                format!("Content of `{name}` in `{of}`.")
            }
        },
        Origin::Reply(operation) => format!("{subject}, in the reply to `{operation}`."),
        Origin::Event(event_type) => format!("Properties of the event `{event_type}`."),
    }
}

fn write_struct(
    def: &TypeDef,
    tag: Option<&(String, String)>,
    fields: &[FieldDef],
    out: &mut Writing,
) {
    let has_default = def.is_input && fields.iter().all(|field| !field.is_required);
    let is_secret = SECRETS.contains(&&*def.name);
    let debug = if is_secret { "" } else { "Debug, " };
    let default = if has_default { "Default, " } else { "" };
    out.push(&format!("#[derive(Clone, {debug}{default}PartialEq)]\n#[non_exhaustive]\n"));
    let booleans = fields.iter().filter(|of| of.is_required && of.rust == RustType::Bool);
    if booleans.count() > 3 {
        out.push("#[allow(clippy::struct_excessive_bools, reason = \"as OpenCode has them\")]\n");
    }
    out.push(&format!("pub struct {} {{\n", def.name));
    for field in fields {
        out.doc(4, &field_doc(field));
        out.push(&format!("    pub {}: {},\n", field.name, field_type(field)));
    }
    out.doc(4, "Fields that this version of the crate does not know.");
    out.push("    pub unknown: JsonObject,\n}\n\n");
    if is_secret {
        out.push(&format!("hidden_debug!({});\n\n", def.name));
    }
    if def.is_input {
        write_constructor(&def.name, fields, has_default, out);
    }
    let tag = tag.map(|(name, value)| format!("{name:?} = {value:?}")).unwrap_or_default();
    let need = |field: &FieldDef| if field.is_required { "required" } else { "optional" };
    let item = |field: &FieldDef| format!("{}: {} {:?}", field.name, need(field), field.wire);
    let items: Vec<_> = fields.iter().map(item).collect();
    out.push(&invocation(&format!("json_struct!({} [{tag}]", def.name), &items));
}

fn field_type(field: &FieldDef) -> String {
    let rust = rust_text(&field.rust);
    if field.is_required { rust } else { format!("Option<{rust}>") }
}

fn field_doc(field: &FieldDef) -> String {
    let kind = kind(&field.rust);
    if field.is_required {
        format!("Field `{}`: {kind}.", field.wire)
    } else {
        format!("Field `{}`, which can be absent: {kind}.", field.wire)
    }
}

/// Describes a type in running text.
pub(crate) fn kind(rust: &RustType) -> String {
    match rust {
        RustType::Bool => "a boolean".to_owned(),
        RustType::Float => "a number".to_owned(),
        RustType::Id(id) => match *id {
            "CallId" => "id of a tool call".to_owned(),
            "MessageId" => "id of a message".to_owned(),
            "PartId" => "id of a part".to_owned(),
            "PermissionId" => "id of a permission request".to_owned(),
            "QuestionId" => "id of a question request".to_owned(),
            _ => "id of a session".to_owned(),
        },
        RustType::Json => "any JSON".to_owned(),
        RustType::List(inner) => format!("a list, each {}", kind(inner)),
        RustType::Map(inner) => format!("a map, each value {}", kind(inner)),
        RustType::Named(name) => format!("the {}", naming::prose(name)),
        RustType::Nullable(inner) => format!("{}, or `null`", kind(inner)),
        RustType::Object => "any object".to_owned(),
        RustType::Signed => "an integer".to_owned(),
        RustType::Text => "a string".to_owned(),
        RustType::Unsigned => "an integer from 0".to_owned(),
        RustType::Wrapped(_, inner) => kind(inner),
    }
}

fn write_constructor(name: &str, fields: &[FieldDef], has_default: bool, out: &mut Writing) {
    out.push(&format!("impl {name} {{\n"));
    if has_default {
        out.doc(4, "Creates a value without any of the fields.");
        out.push("    pub fn new() -> Self {\n        Self::default()\n    }\n}\n\n");
        return;
    }
    out.doc(4, "Creates a value with the required fields.");
    let required: Vec<_> = fields.iter().filter(|field| field.is_required).collect();
    if required.len() > 7 {
        out.push("    #[allow(clippy::too_many_arguments, reason = \"all are required\")]\n");
    }
    out.push("    pub fn new(\n");
    for field in &required {
        let rust = match &field.rust {
            RustType::Id(id) => format!("impl Into<{id}>"),
            RustType::Text => "impl Into<String>".to_owned(),
            other => rust_text(other),
        };
        out.push(&format!("        {}: {rust},\n", field.name));
    }
    out.push("    ) -> Self {\n        Self {\n");
    for field in fields {
        let value = match (&field.rust, field.is_required) {
            (_, false) => ": None".to_owned(),
            (RustType::Id(_) | RustType::Text, true) => format!(": {}.into()", field.name),
            _ => String::new(),
        };
        out.push(&format!("            {}{value},\n", field.name));
    }
    out.push("            unknown: JsonObject::new(),\n        }\n    }\n}\n\n");
}

fn write_texts(name: &str, variants: &[(String, String)], out: &mut Writing) {
    out.push("#[derive(Clone, Debug, PartialEq, Eq, Hash)]\n#[non_exhaustive]\n");
    out.push(&format!("pub enum {name} {{\n"));
    for (variant, wire) in variants {
        out.doc(4, &format!("The value `{wire}` of OpenCode."));
        out.push(&format!("    {variant},\n"));
    }
    out.doc(4, "A value that this version of the crate does not know.");
    out.push("    Other(String),\n}\n\n");
    let items: Vec<_> =
        variants.iter().map(|(variant, wire)| format!("{variant} {wire:?}")).collect();
    out.push(&invocation(&format!("json_enum!({name}"), &items));
}

fn write_union(
    name: &str,
    variants: &[Variant],
    doc: &dyn Fn(&Variant) -> String,
    types: &Types<'_>,
    out: &mut Writing,
) {
    out.push("#[derive(Clone, Debug, PartialEq)]\n#[non_exhaustive]\n");
    out.push(&format!("pub enum {name} {{\n"));
    for variant in variants {
        out.doc(4, &doc(variant));
        let rust = rust_text(&variant.rust);
        let rust = if types.is_boxed(&variant.rust) { format!("Box<{rust}>") } else { rust };
        out.push(&format!("    {}({rust}),\n", variant.name));
    }
    out.doc(4, "A value that this version of the crate does not know.");
    out.push("    Unknown(Json),\n}\n\n");
}

/// Writes a conversion from the content of each variant, for values that a program makes.
fn write_conversions(name: &str, variants: &[Variant], types: &Types<'_>, out: &mut Writing) {
    for variant in variants {
        let (rust, of) = (rust_text(&variant.rust), &variant.name);
        let value = if types.is_boxed(&variant.rust) { "Box::new(value)" } else { "value" };
        out.push(&format!(
            "impl From<{rust}> for {name} {{\nfn from(value: {rust}) -> Self {{\nSelf::{of}({value})\n\
             }}\n}}\n\n"
        ));
    }
}

fn form_doc(variant: &Variant) -> String {
    let (form, arguments) = variant.rule.split_once('(').unwrap_or((&variant.rule, ""));
    let arguments = arguments.trim_end_matches(')').replace('"', "`");
    match form {
        "tagged" => {
            let (tag, value) = arguments.split_once(", ").unwrap_or((&arguments, ""));
            format!("An object whose {tag} is {value}.")
        }
        "keys" => format!("An object with {arguments}."),
        "string" => "The value is a string.".to_owned(),
        "boolean" => "The value is a boolean.".to_owned(),
        "number" => "The value is a number.".to_owned(),
        "array" => "The value is a list.".to_owned(),
        _ => "The value is an object.".to_owned(),
    }
}
