//! Replies of the `/api/*` operations, which wrap their content.

use opencode_config::{Json, JsonObject};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::json::{Entries, Fields, JsonType, Malformed};
use crate::shared::LocationInfo;

/// Content of a reply of `/api/*`, with the fields around the content.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Data<T> {
    /// The content.
    pub data: T,
    /// Fields that this version of the crate does not know.
    pub unknown: JsonObject,
}

/// Content of a reply of `/api/*` about one place, with the place.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Located<T> {
    /// The directory that the server used.
    pub location: LocationInfo,
    /// The content.
    pub data: T,
    /// Fields that this version of the crate does not know.
    pub unknown: JsonObject,
}

impl<T: JsonType> JsonType for Data<T> {
    fn read(json: Json) -> Result<Self, Malformed> {
        let mut fields = Fields::of(json)?;
        Ok(Self { data: fields.required("data")?, unknown: fields.rest() })
    }

    fn write(&self) -> Json {
        let mut entries = Entries::default();
        entries.required("data", &self.data);
        entries.with(&self.unknown)
    }
}

impl<T: JsonType> JsonType for Located<T> {
    fn read(json: Json) -> Result<Self, Malformed> {
        let mut fields = Fields::of(json)?;
        let location = fields.required("location")?;
        Ok(Self { location, data: fields.required("data")?, unknown: fields.rest() })
    }

    fn write(&self) -> Json {
        let mut entries = Entries::default();
        entries.required("location", &self.location);
        entries.required("data", &self.data);
        entries.with(&self.unknown)
    }
}

impl<T: Serialize> Serialize for Data<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("data", &self.data)?;
        self.unknown.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

impl<T: Serialize> Serialize for Located<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("location", &self.location)?;
        map.serialize_entry("data", &self.data)?;
        self.unknown.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}
