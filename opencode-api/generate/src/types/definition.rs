//! Types of Rust as values.

/// A type as it is written in a field or a signature.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RustType {
    Bool,
    Float,
    Id(&'static str),
    Json,
    List(Box<Self>),
    Map(Box<Self>),
    Named(String),
    Nullable(Box<Self>),
    Object,
    Signed,
    Text,
    Unsigned,
    /// A generic type around a reply of `/api/*`.
    Wrapped(&'static str, Box<Self>),
}

/// A type that is generated.
#[derive(Clone, Debug)]
pub(crate) struct TypeDef {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) shape: Shape,
    /// A program makes values of the type, to send them.
    pub(crate) is_input: bool,
}

/// The place of a type in the document.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    Schema(String),
    Field { of: String, name: String },
    Reply(String),
    Event(String),
}

/// Content of a generated type.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Struct { tag: Option<(String, String)>, fields: Vec<FieldDef> },
    Texts(Vec<(String, String)>),
    Tagged { tag: String, variants: Vec<Variant> },
    Forms(Vec<Variant>),
}

/// A field of a generated struct.
#[derive(Clone, Debug)]
pub(crate) struct FieldDef {
    pub(crate) name: String,
    pub(crate) wire: String,
    pub(crate) rust: RustType,
    pub(crate) is_required: bool,
}

/// A variant of a generated union.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) name: String,
    /// The text of the tag, or the rule by which the form is recognized.
    pub(crate) rule: String,
    pub(crate) rust: RustType,
}

impl TypeDef {
    /// Returns the types of fields and variants.
    pub(crate) fn types(&self) -> Vec<RustType> {
        match &self.shape {
            Shape::Struct { fields, .. } => fields.iter().map(|field| field.rust.clone()).collect(),
            Shape::Texts(_) => Vec::new(),
            Shape::Tagged { variants, .. } | Shape::Forms(variants) => {
                variants.iter().map(|variant| variant.rust.clone()).collect()
            }
        }
    }
}

/// Returns the names of types in a type.
pub(crate) fn names(rust: &RustType) -> Vec<String> {
    match rust {
        RustType::Named(name) => vec![name.clone()],
        RustType::List(inner) | RustType::Map(inner) | RustType::Nullable(inner) => names(inner),
        RustType::Wrapped(of, inner) => {
            let mut found = names(inner);
            found.push((*of).to_owned());
            found
        }
        RustType::Bool
        | RustType::Float
        | RustType::Id(_)
        | RustType::Json
        | RustType::Object
        | RustType::Signed
        | RustType::Text
        | RustType::Unsigned => Vec::new(),
    }
}
