//! Objects whose keys have an order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::{slice, vec};

use serde_json::Value;

use super::{Json, write_string};

/// A JSON object: values by key, in the order in which the keys were added.
///
/// Looking up a key takes time in proportion to the number of keys, which are few in configuration.
///
/// ```
/// use opencode_config::{Json, JsonObject};
///
/// let mut agent = JsonObject::new().with("mode", "subagent").with("steps", 20);
/// agent.insert("prompt", "{file:./reviewer.md}");
/// agent.insert("steps", 30);
/// assert_eq!(
///     agent.to_string(),
///     r#"{"mode":"subagent","steps":30,"prompt":"{file:./reviewer.md}"}"#,
/// );
/// assert_eq!(agent.get("mode").and_then(Json::as_str), Some("subagent"));
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
pub struct JsonObject {
    entries: Vec<(String, Json)>,
}

impl JsonObject {
    /// Creates an object without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` and returns the object, for building it in one expression.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Json>) -> Self {
        self.insert(key, value);
        self
    }

    /// Sets `key` and returns the earlier value.
    ///
    /// A key that the object has keeps the place; a new one becomes the last.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Json>) -> Option<Json> {
        let (key, value) = (key.into(), value.into());
        match self.get_mut(&key) {
            Some(slot) => Some(std::mem::replace(slot, value)),
            None => {
                self.entries.push((key, value));
                None
            }
        }
    }

    /// Removes `key` and returns the value. The other keys keep their order.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        let index = self.entries.iter().position(|(known, _)| known == key)?;
        Some(self.entries.remove(index).1)
    }

    /// Returns the value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    /// Returns the value of `key` for changes.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        self.entries.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Returns whether the object has `key`.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Returns the keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.iter().map(|(key, _)| key)
    }

    /// Returns the values in the order of their keys.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &Json> {
        self.iter().map(|(_, value)| value)
    }

    /// Returns the values for changes, in the order of their keys.
    pub fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut Json> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Returns the keys with their values, in order.
    #[must_use]
    pub fn iter(&self) -> JsonEntries<'_> {
        JsonEntries { entries: self.entries.iter() }
    }

    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether the object has no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Keys of a [`JsonObject`] with their values, in order.
#[derive(Clone, Debug)]
pub struct JsonEntries<'a> {
    entries: slice::Iter<'a, (String, Json)>,
}

impl<'a> Iterator for JsonEntries<'a> {
    type Item = (&'a str, &'a Json);

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next().map(|(key, value)| (key.as_str(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for JsonEntries<'_> {}

impl<'a> IntoIterator for &'a JsonObject {
    type Item = (&'a str, &'a Json);
    type IntoIter = JsonEntries<'a>;

    fn into_iter(self) -> JsonEntries<'a> {
        self.iter()
    }
}

impl IntoIterator for JsonObject {
    type Item = (String, Json);
    type IntoIter = vec::IntoIter<(String, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// Of a key given twice the last value counts, at the first place.
impl<K: Into<String>, V: Into<Json>> FromIterator<(K, V)> for JsonObject {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(pairs: T) -> Self {
        // An index, since a file can have a great many keys.
        let mut places = BTreeMap::new();
        let mut entries: Vec<(String, Json)> = Vec::new();
        for (key, value) in pairs {
            let (key, value) = (key.into(), value.into());
            match places.entry(key) {
                Entry::Vacant(vacant) => {
                    entries.push((vacant.key().clone(), value));
                    vacant.insert(entries.len() - 1);
                }
                Entry::Occupied(place) => entries[*place.get()].1 = value,
            }
        }
        Self { entries }
    }
}

/// Sets each key in turn, like [`insert`](JsonObject::insert).
impl<K: Into<String>, V: Into<Json>> Extend<(K, V)> for JsonObject {
    fn extend<T: IntoIterator<Item = (K, V)>>(&mut self, pairs: T) {
        pairs.into_iter().for_each(|(key, value)| drop(self.insert(key, value)));
    }
}

/// Keys come in the order of the `serde_json` map, which is alphabetical unless the program enables
/// `serde_json/preserve_order`.
impl From<serde_json::Map<String, Value>> for JsonObject {
    fn from(object: serde_json::Map<String, Value>) -> Self {
        object.into_iter().collect()
    }
}

impl fmt::Display for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (key, value)) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            write_string(f, key)?;
            write!(f, ":{value}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
