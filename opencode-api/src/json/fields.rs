use opencode_config::{Json, JsonObject};

use super::{JsonType, Malformed};

/// Fields of an object that is read, each taken once.
pub(crate) struct Fields {
    entries: Vec<(String, Option<Json>)>,
    /// Where the next field is looked for first: OpenCode writes fields in the order of its
    /// schemas.
    next: usize,
}

impl Fields {
    pub(crate) fn of(json: Json) -> Result<Self, Malformed> {
        let object = JsonObject::read(json)?;
        let entries = object.into_iter().map(|(name, value)| (name, Some(value))).collect();
        Ok(Self { entries, next: 0 })
    }

    /// Takes the field whose value shows the type of the object.
    pub(crate) fn tag(&mut self, name: &str, value: &str) -> Result<(), Malformed> {
        let index = self.find(name).ok_or_else(|| Malformed::missing(name))?;
        let found = self.entries[index].1.take().unwrap_or_default();
        if found.as_str() == Some(value) {
            return Ok(());
        }
        Err(Malformed::new(format!("`{value}`"), &found).at_field(name))
    }

    pub(crate) fn required<T: JsonType>(&mut self, name: &str) -> Result<T, Malformed> {
        let index = self.find(name).ok_or_else(|| Malformed::missing(name))?;
        let value = self.entries[index].1.take().unwrap_or_default();
        T::read(value).map_err(|error| error.at_field(name))
    }

    /// Takes a field that can be absent. A `null` that the type does not have stays with the
    /// unknown fields, so that writing gives the same object again.
    pub(crate) fn optional<T: JsonType>(&mut self, name: &str) -> Result<Option<T>, Malformed> {
        let Some(index) = self.find(name) else { return Ok(None) };
        let slot = &mut self.entries[index].1;
        if !T::IS_NULLABLE && *slot == Some(Json::Null) {
            return Ok(None);
        }
        let value = slot.take().unwrap_or_default();
        T::read(value).map(Some).map_err(|error| error.at_field(name))
    }

    /// Returns the fields that were not taken.
    pub(crate) fn rest(self) -> JsonObject {
        self.entries.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn find(&mut self, name: &str) -> Option<usize> {
        let matches = |index: &usize| {
            let (known, value) = &self.entries[*index];
            value.is_some() && known == name
        };
        let mut places = (self.next..self.entries.len()).chain(0..self.next);
        let index = places.find(matches)?;
        self.next = index + 1;
        Some(index)
    }
}

/// Fields of an object that is written.
#[derive(Default)]
pub(crate) struct Entries(Vec<(String, Json)>);

impl Entries {
    pub(crate) fn tag(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), Json::from(value)));
    }

    pub(crate) fn required<T: JsonType>(&mut self, name: &str, value: &T) {
        self.0.push((name.to_owned(), value.write()));
    }

    pub(crate) fn optional<T: JsonType>(&mut self, name: &str, value: &Option<T>) {
        if let Some(value) = value {
            self.required(name, value);
        }
    }

    /// Returns the object with the unknown fields, of which none replaces a known one.
    pub(crate) fn with(self, unknown: &JsonObject) -> Json {
        let mut object: JsonObject = self.0.into_iter().collect();
        for (name, value) in unknown {
            if !object.contains_key(name) {
                object.insert(name, value.clone());
            }
        }
        Json::Object(object)
    }
}

/// Returns whether the value is an object with these keys.
pub(crate) fn has_keys(json: &Json, keys: &[&str]) -> bool {
    json.as_object().is_some_and(|object| keys.iter().all(|key| object.contains_key(key)))
}

/// Returns whether the value is an object with this text in a field.
pub(crate) fn is_tagged(json: &Json, name: &str, value: &str) -> bool {
    json.get(name).and_then(Json::as_str) == Some(value)
}
