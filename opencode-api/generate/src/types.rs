//! Types of Rust for the schemas of a document.

mod definition;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Document, Field, Operation, Reply, Schema};
use crate::naming;
pub(crate) use definition::{FieldDef, Origin, RustType, Shape, TypeDef, Variant, names};
use tables::{ENVELOPES, FIRST, ID_FIELDS, IDS, INLINE, REPLIES};

/// All types of a document.
pub(crate) struct Types<'a> {
    document: &'a Document,
    pub(crate) defs: BTreeMap<String, TypeDef>,
    /// Names of inline types, by field and schema.
    inline: BTreeMap<String, String>,
    /// Names of tags, by the schema of the object.
    tags: BTreeMap<String, String>,
    /// Schemas of inline types, by name.
    shapes: BTreeMap<String, Schema>,
    resolving: BTreeSet<String>,
    /// Names that two types would have.
    pub(crate) clashes: Vec<String>,
}

impl<'a> Types<'a> {
    pub(crate) fn new(document: &'a Document) -> Self {
        let mut types = Self {
            document,
            defs: BTreeMap::new(),
            inline: BTreeMap::new(),
            tags: BTreeMap::new(),
            shapes: BTreeMap::new(),
            resolving: BTreeSet::new(),
            clashes: Vec::new(),
        };
        for (_, schema) in &document.schemas {
            types.collect_tags(schema);
        }
        for operation in &document.operations {
            types.operation_schemas(operation).into_iter().for_each(|of| types.collect_tags(of));
        }
        FIRST.iter().for_each(|schema| drop(types.component(schema)));
        types
    }

    fn operation_schemas(&self, operation: &'a Operation) -> Vec<&'a Schema> {
        let reply = match &operation.reply {
            Reply::Json(schema) => Some(schema),
            Reply::Bytes | Reply::Events | Reply::Nothing | Reply::Text => None,
        };
        operation.body.iter().chain(reply).collect()
    }

    /// Notes which field tells the objects of a union apart.
    fn collect_tags(&mut self, schema: &'a Schema) {
        match schema {
            Schema::Union(variants) => {
                if let Some(tag) = self.tag_of(variants) {
                    for variant in variants {
                        let object = format!("{:?}", self.document.resolve(variant));
                        self.tags.insert(object, tag.clone());
                    }
                }
                variants.iter().for_each(|variant| self.collect_tags(variant));
            }
            Schema::List(inner) | Schema::Map(inner) => self.collect_tags(inner),
            Schema::Object(fields) => {
                fields.iter().for_each(|field| self.collect_tags(&field.schema));
            }
            Schema::Any
            | Schema::Bool
            | Schema::Integer { .. }
            | Schema::Null
            | Schema::Number
            | Schema::Ref(_)
            | Schema::Text { .. }
            | Schema::Texts(_) => {}
        }
    }

    fn tag_of(&self, variants: &[Schema]) -> Option<String> {
        let tag_value = |variant: &Schema, tag: &str| {
            let fields = self.document.fields(variant);
            let field = fields.iter().find(|field| field.name == tag && field.is_required)?;
            match &field.schema {
                Schema::Texts(texts) if texts.len() == 1 => Some(texts[0].clone()),
                _ => None,
            }
        };
        let candidates = self.document.fields(variants.first()?).iter();
        let mut tags = candidates.map(|field| field.name.clone());
        tags.find(|tag| {
            let values: Option<BTreeSet<_>> =
                variants.iter().map(|variant| tag_value(variant, tag)).collect();
            values.is_some_and(|values| values.len() == variants.len())
        })
    }

    /// Returns the type for the properties of an event.
    pub(crate) fn event(&mut self, event_type: &str, properties: &Schema) -> RustType {
        let name = format!("{}Event", naming::pascal(event_type));
        let fields = self.document.fields(properties).to_vec();
        self.define_struct(&name, Origin::Event(event_type.to_owned()), &fields, None);
        RustType::Named(name)
    }

    /// Returns the type of a reply.
    pub(crate) fn reply(&mut self, operation: &Operation, schema: &Schema) -> RustType {
        let known = REPLIES.iter().find(|(id, _)| *id == operation.id);
        let hint = match known {
            Some((_, name)) => (*name).to_owned(),
            None => naming::operation(&operation.id, &operation.method).1 + "Reply",
        };
        let origin = Origin::Reply(operation.id.clone());
        if let Schema::Object(fields) = schema {
            let names: Vec<_> = fields.iter().map(|field| &*field.name).collect();
            if let [data] = &fields[..]
                && names == ["data"]
            {
                let inner = self.resolve(&data.schema, &hint, &origin);
                return RustType::Wrapped("Data", Box::new(inner));
            }
            if let [_, data] = &fields[..]
                && names == ["location", "data"]
            {
                let inner = self.resolve(&data.schema, &hint, &origin);
                return RustType::Wrapped("Located", Box::new(inner));
            }
        }
        match schema {
            Schema::List(inner) => RustType::List(Box::new(self.resolve(inner, &hint, &origin))),
            _ => self.resolve(schema, &hint, &origin),
        }
    }

    /// Returns the type of a field.
    pub(crate) fn field(&mut self, owner: &str, field: &Field) -> RustType {
        if let Some((_, id)) = ID_FIELDS.iter().find(|(name, _)| *name == field.name)
            && matches!(field.schema, Schema::Text { .. })
        {
            return RustType::Id(id);
        }
        let hint = format!("{owner}{}", naming::pascal(&field.name));
        let origin = Origin::Field { of: owner.to_owned(), name: field.name.clone() };
        self.resolve(&field.schema, &hint, &origin)
    }

    /// Returns the type for a schema, and defines new types on the way.
    fn resolve(&mut self, schema: &Schema, hint: &str, origin: &Origin) -> RustType {
        match schema {
            Schema::Any | Schema::Null => RustType::Json,
            Schema::Bool => RustType::Bool,
            Schema::Integer { may_be_negative: false } => RustType::Unsigned,
            Schema::Integer { may_be_negative: true } => RustType::Signed,
            Schema::Number => RustType::Float,
            Schema::Text { pattern } => {
                let pattern = pattern.as_deref().unwrap_or_default();
                let id = IDS.iter().find(|(prefix, _)| pattern.starts_with(prefix));
                id.map_or(RustType::Text, |(_, id)| RustType::Id(id))
            }
            Schema::Ref(name) => self.component(name),
            Schema::List(inner) => {
                RustType::List(Box::new(self.resolve(inner, &singular(hint), origin)))
            }
            Schema::Map(inner) if **inner == Schema::Any => RustType::Object,
            Schema::Map(inner) => {
                RustType::Map(Box::new(self.resolve(inner, &singular(hint), origin)))
            }
            Schema::Union(variants) if variants.contains(&Schema::Null) => {
                let mut others: Vec<_> =
                    variants.iter().filter(|variant| **variant != Schema::Null).cloned().collect();
                let inner = match others.len() {
                    1 => others.remove(0),
                    _ => Schema::Union(others),
                };
                match self.resolve(&inner, hint, origin) {
                    RustType::Json => RustType::Json,
                    inner => RustType::Nullable(Box::new(inner)),
                }
            }
            Schema::Object(fields) if fields.is_empty() => RustType::Object,
            Schema::Object(_) | Schema::Texts(_) | Schema::Union(_) => {
                let place = match origin {
                    Origin::Field { name, .. } => name.clone(),
                    Origin::Schema(_) | Origin::Reply(_) | Origin::Event(_) => String::new(),
                };
                let key = format!("{place} {schema:?}");
                if let Some(name) = self.inline.get(&key) {
                    return RustType::Named(name.clone());
                }
                let known = INLINE.iter().find(|(known, _)| *known == hint);
                let mut name = known.map_or(hint, |(_, name)| name).to_owned();
                self.inline.insert(key, name.clone());
                match self.shapes.get(&name) {
                    Some(shape) if shape == schema => return RustType::Named(name),
                    Some(_) => {
                        self.clashes.push(format!("{name}, for {origin:?}"));
                        name.push_str("Clash");
                    }
                    None => {}
                }
                self.shapes.insert(name.clone(), schema.clone());
                self.define(&name, origin.clone(), schema);
                RustType::Named(name)
            }
        }
    }

    fn component(&mut self, schema: &str) -> RustType {
        if let Some((_, name)) = ENVELOPES.iter().find(|(known, _)| *known == schema) {
            return RustType::Named((*name).to_owned());
        }
        let name = naming::type_name(schema);
        let origin = Origin::Schema(schema.to_owned());
        let resolved = self.document.schema(schema).cloned().unwrap_or(Schema::Any);
        match &resolved {
            Schema::Object(fields) if fields.is_empty() => RustType::Object,
            Schema::Object(_) | Schema::Texts(_) | Schema::Union(_) => {
                if !self.defs.contains_key(&name) && self.resolving.insert(name.clone()) {
                    self.define(&name, origin, &resolved);
                }
                RustType::Named(name)
            }
            // A list, a map or a plain value needs no name of its own.
            _ => self.resolve(&resolved, &name, &origin),
        }
    }

    fn define(&mut self, name: &str, origin: Origin, schema: &Schema) {
        match schema {
            Schema::Object(fields) => {
                let tag = self.tags.get(&format!("{schema:?}")).cloned();
                self.define_struct(name, origin, fields, tag);
            }
            Schema::Texts(texts) => {
                let variants = texts.iter().map(|text| (naming::pascal(text), text.clone()));
                let shape = Shape::Texts(variants.collect());
                self.add(name, origin, shape);
            }
            Schema::Union(variants) => {
                let shape = match self.tag_of(variants) {
                    Some(tag) => self.tagged(name, tag, variants),
                    None => self.forms(name, variants),
                };
                self.add(name, origin, shape);
            }
            _ => unreachable!("only named forms are defined: {schema:?}"),
        }
    }

    fn define_struct(&mut self, name: &str, origin: Origin, fields: &[Field], tag: Option<String>) {
        let (mut defs, mut value) = (Vec::new(), None);
        for field in fields {
            if let (Some(tag), Schema::Texts(texts)) = (&tag, &field.schema)
                && *tag == field.name
            {
                value = Some((tag.clone(), texts[0].clone()));
                continue;
            }
            defs.push(FieldDef {
                name: naming::field(&field.name),
                wire: field.name.clone(),
                rust: self.field(name, field),
                is_required: field.is_required,
            });
        }
        self.add(name, origin, Shape::Struct { tag: value, fields: defs });
    }

    fn tagged(&mut self, name: &str, tag: String, variants: &[Schema]) -> Shape {
        let mut found = Vec::new();
        for variant in variants {
            let fields = self.document.fields(variant);
            let field = fields.iter().find(|field| field.name == tag);
            let Some(Schema::Texts(texts)) = field.map(|field| &field.schema) else { continue };
            let rule = texts[0].clone();
            let of = naming::pascal(&rule);
            let origin = Origin::Field { of: name.to_owned(), name: rule.clone() };
            let rust = self.resolve(variant, &format!("{name}{of}"), &origin);
            found.push(Variant { name: of, rule, rust });
        }
        if found.iter().all(|variant| variant.name.ends_with("Error") && variant.name.len() > 5) {
            found.iter_mut().for_each(|variant| {
                // `Unknown` is the variant for all others.
                if variant.name != "UnknownError" {
                    variant.name = variant.name.trim_end_matches("Error").to_owned();
                }
            });
        }
        Shape::Tagged { tag, variants: found }
    }

    fn forms(&mut self, name: &str, variants: &[Schema]) -> Shape {
        let mut found = Vec::new();
        for schema in variants {
            let resolved = self.document.resolve(schema).clone();
            let (of, rule, rank) = match &resolved {
                Schema::Text { .. } => ("Text".to_owned(), "string()".to_owned(), 0),
                Schema::Texts(_) => ("Named".to_owned(), "string()".to_owned(), 0),
                Schema::Bool => ("Bool".to_owned(), "boolean()".to_owned(), 0),
                Schema::Integer { .. } | Schema::Number => {
                    ("Number".to_owned(), "number()".to_owned(), 0)
                }
                Schema::List(_) => ("List".to_owned(), "array()".to_owned(), 0),
                Schema::Map(_) => ("Map".to_owned(), "object()".to_owned(), 1_000),
                Schema::Object(fields) => {
                    let (of, rule) = self.object_form(schema, &resolved, fields);
                    (of, rule, 500 - fields.len())
                }
                other => unreachable!("a form of {name}: {other:?}"),
            };
            let origin = Origin::Field { of: name.to_owned(), name: of.clone() };
            let rust = self.resolve(schema, &format!("{name}{of}"), &origin);
            found.push((rank, Variant { name: of, rule, rust }));
        }
        found.sort_by_key(|(rank, _)| *rank);
        Shape::Forms(found.into_iter().map(|(_, variant)| variant).collect())
    }

    /// Returns the name of an object in a union without a tag, and how to recognize the object.
    fn object_form(
        &self,
        schema: &Schema,
        resolved: &Schema,
        fields: &[Field],
    ) -> (String, String) {
        let required: Vec<_> =
            fields.iter().filter(|field| field.is_required).map(|field| &*field.name).collect();
        let tag = self.tags.get(&format!("{resolved:?}")).and_then(|tag| {
            let field = fields.iter().find(|field| field.name == *tag)?;
            match &field.schema {
                Schema::Texts(texts) => Some((tag, &texts[0])),
                _ => None,
            }
        });
        let name = match (schema, tag, required.last()) {
            (_, Some((_, value)), _) => naming::pascal(value),
            (Schema::Ref(name), ..) => naming::type_name(name),
            (_, None, Some(key)) => naming::pascal(key),
            (_, None, None) => "Object".to_owned(),
        };
        let rule = match tag {
            Some((tag, value)) => format!("tagged({tag:?}, {value:?})"),
            None if required.is_empty() => "object()".to_owned(),
            None => {
                let keys: Vec<_> = required.iter().map(|key| format!("{key:?}")).collect();
                format!("keys({})", keys.join(", "))
            }
        };
        (name, rule)
    }

    fn add(&mut self, name: &str, origin: Origin, shape: Shape) {
        let def = TypeDef { name: name.to_owned(), origin, shape, is_input: false };
        if let Some(known) = self.defs.insert(name.to_owned(), def) {
            self.clashes.push(format!("{name}, for {:?}", known.origin));
        }
    }

    /// Marks a type and all types in it as made by programs.
    pub(crate) fn mark_input(&mut self, rust: &RustType) {
        for name in names(rust) {
            let Some(def) = self.defs.get_mut(&name) else { continue };
            if std::mem::replace(&mut def.is_input, true) {
                continue;
            }
            let inner = def.types();
            inner.iter().for_each(|rust| self.mark_input(rust));
        }
    }

    /// Estimates the bytes of a value, to keep the variants of a union alike.
    pub(crate) fn size(&self, rust: &RustType) -> usize {
        match rust {
            RustType::Bool => 1,
            RustType::Float | RustType::Signed | RustType::Unsigned => 8,
            RustType::Id(_) => 16,
            RustType::Json
            | RustType::List(_)
            | RustType::Map(_)
            | RustType::Object
            | RustType::Text => 24,
            RustType::Nullable(inner) => 8 + self.size(inner),
            RustType::Wrapped(_, inner) => 200 + self.size(inner),
            RustType::Named(name) => match self.defs.get(name).map(|def| &def.shape) {
                Some(Shape::Struct { fields, .. }) => {
                    let size = |field: &FieldDef| {
                        self.size(&field.rust) + if field.is_required { 0 } else { 8 }
                    };
                    24 + fields.iter().map(size).sum::<usize>()
                }
                Some(Shape::Texts(_)) => 24,
                Some(Shape::Tagged { variants, .. } | Shape::Forms(variants)) => {
                    let sizes = variants.iter().map(|variant| self.variant_size(&variant.rust));
                    8 + sizes.max().unwrap_or(24)
                }
                None => 200,
            },
        }
    }

    /// Returns whether a variant of a union is kept in a box.
    pub(crate) fn is_boxed(&self, rust: &RustType) -> bool {
        self.size(rust) > 120
    }

    fn variant_size(&self, rust: &RustType) -> usize {
        if self.is_boxed(rust) { 8 } else { self.size(rust) }
    }
}

/// `Option`, of `Options`.
fn singular(name: &str) -> String {
    if let Some(stem) = name.strip_suffix("ches") {
        return format!("{stem}ch");
    }
    if let Some(stem) = name.strip_suffix("ies") {
        return format!("{stem}y");
    }
    match name.strip_suffix('s') {
        Some(stem) if !stem.ends_with('s') && !stem.ends_with('u') => stem.to_owned(),
        _ => name.to_owned(),
    }
}
