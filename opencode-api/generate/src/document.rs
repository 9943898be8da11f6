//! The parts of an OpenAPI document that the code is made from.

use std::error::Error;

use opencode_config::Json;

use crate::corrections;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A document: schemas by name, operations, and event types.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) schemas: Vec<(String, Schema)>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) events: Vec<EventSchema>,
}

/// An operation of the API.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    /// In capitals.
    pub(crate) method: String,
    pub(crate) path: String,
    /// Parameters of the path, in its order.
    pub(crate) path_parameters: Vec<(String, Schema)>,
    pub(crate) query: Vec<Field>,
    pub(crate) body: Option<Schema>,
    pub(crate) reply: Reply,
    /// Statuses other than of success, with the names of the schemas.
    pub(crate) errors: Vec<(String, Vec<String>)>,
}

/// Content of a successful reply.
#[derive(Debug)]
pub(crate) enum Reply {
    Nothing,
    Json(Schema),
    Text,
    Bytes,
    Events,
}

/// An event type with its properties, which are the same on all streams.
#[derive(Debug)]
pub(crate) struct EventSchema {
    pub(crate) event_type: String,
    pub(crate) properties: Schema,
}

/// A type of JSON values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Schema {
    Any,
    Null,
    Bool,
    Integer {
        may_be_negative: bool,
    },
    Number,
    Text {
        pattern: Option<String>,
    },
    /// One of these texts.
    Texts(Vec<String>),
    Ref(String),
    List(Box<Self>),
    Map(Box<Self>),
    Object(Vec<Field>),
    Union(Vec<Self>),
}

/// A field of an object, or a parameter of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) schema: Schema,
    pub(crate) is_required: bool,
}

impl Document {
    /// Reads a document.
    pub(crate) fn read(json: &Json) -> Result<Self> {
        let named = at(json, "components")?;
        let mut schemas = Vec::new();
        for (name, schema) in entries(at(named, "schemas")?) {
            schemas.push((name.to_owned(), Schema::read(schema)?));
        }
        let mut operations = Vec::new();
        for (path, methods) in entries(at(json, "paths")?) {
            for (method, operation) in entries(methods) {
                let read = Operation::read(method, path, operation);
                operations.push(read.map_err(|error| format!("{method} {path}: {error}"))?);
            }
        }
        let mut document = Self { schemas, operations, events: Vec::new() };
        document.events = document.read_events()?;
        Ok(document)
    }

    /// Returns the schema of this name.
    pub(crate) fn schema(&self, name: &str) -> Option<&Schema> {
        self.schemas.iter().find(|(known, _)| known == name).map(|(_, schema)| schema)
    }

    /// Follows a reference to the schema itself.
    pub(crate) fn resolve<'a>(&'a self, schema: &'a Schema) -> &'a Schema {
        match schema {
            Schema::Ref(name) => self.schema(name).map_or(schema, |schema| self.resolve(schema)),
            _ => schema,
        }
    }

    /// Returns the fields of an object.
    pub(crate) fn fields<'a>(&'a self, schema: &'a Schema) -> &'a [Field] {
        match self.resolve(schema) {
            Schema::Object(fields) => fields,
            _ => &[],
        }
    }

    /// Returns the events of the three streams, which must agree with one another.
    fn read_events(&self) -> Result<Vec<EventSchema>> {
        let mut events: Vec<EventSchema> = Vec::new();
        for (union, field) in [("Event", "properties"), ("V2Event", "data")] {
            let Some(Schema::Union(variants)) = self.schema(union) else {
                return Err(format!("`{union}` is no union").into());
            };
            for variant in variants {
                let fields = self.fields(variant);
                let find = |name: &str| fields.iter().find(|field| field.name == name);
                let event_type = find("type").map(|field| self.resolve(&field.schema));
                let Some(Schema::Texts(texts)) = event_type else {
                    return Err(format!("an event of `{union}` has no type: {fields:?}").into());
                };
                let properties = find(field).ok_or_else(|| format!("{texts:?} lacks {field}"))?;
                let properties = self.resolve(&properties.schema).clone();
                match events.iter().find(|event| event.event_type == texts[0]) {
                    Some(known) if known.properties != properties => {
                        return Err(format!("two streams differ on {}", texts[0]).into());
                    }
                    Some(_) => {}
                    None => events.push(EventSchema { event_type: texts[0].clone(), properties }),
                }
            }
        }
        for (event_type, properties) in corrections::EVENTS {
            let properties = Schema::read(&properties.parse()?)?;
            events.push(EventSchema { event_type: event_type.to_owned(), properties });
        }
        events.sort_by(|one, other| one.event_type.cmp(&other.event_type));
        Ok(events)
    }
}

impl Operation {
    fn read(method: &str, path: &str, json: &Json) -> Result<Self> {
        let id = text(json, "operationId").ok_or("no operationId")?.to_owned();
        let mut path_parameters = Vec::new();
        let mut query = Vec::new();
        for parameter in list(json.get("parameters")) {
            let name = text(parameter, "name").ok_or("a parameter without a name")?.to_owned();
            let schema = Schema::read(at(parameter, "schema")?)?;
            let is_required = parameter.get("required").and_then(Json::as_bool) == Some(true);
            match (text(parameter, "in"), &schema) {
                (Some("path"), _) => path_parameters.push((name, schema)),
                // An object in a query has one parameter for each field: `location[directory]`.
                (Some("query"), Schema::Object(fields)) => {
                    query.extend(fields.iter().map(|of| Field {
                        name: format!("{name}[{}]", of.name),
                        is_required: is_required && of.is_required,
                        ..of.clone()
                    }))
                }
                (Some("query"), _) => query.push(Field { name, schema, is_required }),
                (place, _) => return Err(format!("parameter {name} in {place:?}").into()),
            }
        }
        path_parameters.sort_by_key(|(name, _)| path.find(&format!("{{{name}}}")));
        for (operation, name) in corrections::PATH_PARAMETERS {
            if operation == id {
                path_parameters.push((name.to_owned(), Schema::Text { pattern: None }));
            }
        }
        let body = match json.get("requestBody") {
            Some(body) => Some(Schema::read(at(first_content(body)?.1, "schema")?)?),
            None => None,
        };
        let (mut reply, mut errors) = (Reply::Nothing, Vec::new());
        for (status, response) in entries(at(json, "responses")?) {
            if !status.starts_with('2') {
                errors.push((status.to_owned(), error_names(response)));
            } else if response.get("content").is_some() {
                let (kind, content) = first_content(response)?;
                reply = match kind {
                    "application/json" => Reply::Json(Schema::read(at(content, "schema")?)?),
                    "text/event-stream" => Reply::Events,
                    _ if kind.starts_with("text/") => Reply::Text,
                    _ => Reply::Bytes,
                };
            }
        }
        let (method, path) = (method.to_uppercase(), path.to_owned());
        Ok(Self { id, method, path, path_parameters, query, body, reply, errors })
    }
}

impl Schema {
    fn read(json: &Json) -> Result<Self> {
        if let Some(reference) = text(json, "$ref") {
            let name = reference.rsplit('/').next().unwrap_or(reference);
            return Ok(Self::Ref(name.to_owned()));
        }
        if let Some(variants) = json.get("anyOf").or_else(|| json.get("oneOf")) {
            let variants = list(Some(variants)).map(Self::read).collect::<Result<Vec<_>>>()?;
            return Ok(Self::union(variants));
        }
        Ok(match text(json, "type") {
            None => Self::Any,
            Some("null") => Self::Null,
            Some("boolean") => Self::Bool,
            Some("integer") => {
                let minimum = json.get("minimum").or_else(|| json.get("exclusiveMinimum"));
                let minimum = minimum.and_then(Json::as_number).map(|number| number.as_f64());
                Self::Integer { may_be_negative: minimum.is_none_or(|minimum| minimum < 0.0) }
            }
            Some("number") => Self::Number,
            Some("string") if json.get("enum").is_some() => {
                let texts = list(json.get("enum")).filter_map(Json::as_str);
                let texts: Vec<_> = texts.map(str::to_owned).collect();
                // A boolean in a query.
                if texts == ["true", "false"] { Self::Bool } else { Self::Texts(texts) }
            }
            Some("string") => Self::Text { pattern: text(json, "pattern").map(str::to_owned) },
            // A list with a schema for each place.
            Some("array") if json.get("prefixItems").is_some() => Self::List(Box::new(Self::Any)),
            Some("array") => Self::List(Box::new(Self::read(at(json, "items")?)?)),
            Some("object") => Self::read_object(json)?,
            Some(other) => return Err(format!("schema of type {other}").into()),
        })
    }

    fn read_object(json: &Json) -> Result<Self> {
        let Some(properties) = json.get("properties") else {
            let values = json.get("additionalProperties");
            let values = values.filter(|values| values.as_object().is_some());
            return Ok(Self::Map(Box::new(match values {
                Some(values) => Self::read(values)?,
                None => Self::Any,
            })));
        };
        let required: Vec<&str> = list(json.get("required")).filter_map(Json::as_str).collect();
        let mut fields = Vec::new();
        for (name, schema) in entries(properties) {
            let is_required = required.contains(&name);
            fields.push(Field { name: name.to_owned(), schema: Self::read(schema)?, is_required });
        }
        Ok(Self::Object(fields))
    }

    /// Returns the union, or a plain type that is one for our purposes.
    fn union(mut variants: Vec<Self>) -> Self {
        // Numbers that JSON does not have are written as texts.
        let is_number = variants.first() == Some(&Self::Number)
            && variants.iter().skip(1).all(|variant| matches!(variant, Self::Texts(_)));
        if is_number {
            return Self::Number;
        }
        if variants == [Self::Bool, Self::Bool] {
            return Self::Bool;
        }
        // Known texts and any text: every enum of texts is open.
        if variants.iter().any(|variant| matches!(variant, Self::Texts(_))) {
            variants.retain(|variant| !matches!(variant, Self::Text { .. }));
        }
        match <[Self; 1]>::try_from(variants) {
            Ok([single]) => single,
            Err(variants) => Self::Union(variants),
        }
    }
}

/// The names of the schemas of an error.
fn error_names(response: &Json) -> Vec<String> {
    let Ok((_, content)) = first_content(response) else { return Vec::new() };
    let Some(schema) = content.get("schema") else { return Vec::new() };
    match Schema::read(schema) {
        Ok(Schema::Ref(name)) => vec![name],
        Ok(Schema::Union(variants)) => {
            let names = variants.into_iter().filter_map(|variant| match variant {
                Schema::Ref(name) => Some(name),
                _ => None,
            });
            names.collect()
        }
        _ => Vec::new(),
    }
}

fn first_content(json: &Json) -> Result<(&str, &Json)> {
    Ok(entries(at(json, "content")?).next().ok_or("no content")?)
}

fn at<'a>(json: &'a Json, key: &str) -> Result<&'a Json> {
    json.get(key).ok_or_else(|| format!("no `{key}`").into())
}

fn text<'a>(json: &'a Json, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Json::as_str)
}

fn entries(json: &Json) -> impl Iterator<Item = (&str, &Json)> {
    json.as_object().into_iter().flatten()
}

fn list(json: Option<&Json>) -> impl Iterator<Item = &Json> {
    json.and_then(Json::as_array).into_iter().flatten()
}
