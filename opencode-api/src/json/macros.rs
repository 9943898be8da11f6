//! One macro for each form of type. The generated code calls them.

/// `Serialize` and `Deserialize` of a [`JsonType`](super::JsonType).
macro_rules! json_serde {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serde::Serialize::serialize(&$crate::json::JsonType::write(self), serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::json::deserialize(deserializer)
            }
        }
    };
}

/// `Debug` that shows the name of a type alone.
macro_rules! hidden_debug {
    ($name:ident) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

/// A struct: fields by name, and a field `unknown` for all others.
macro_rules! json_struct {
    (
        $name:ident [$($tag:literal = $value:literal)?]
        { $($field:ident: $need:ident $wire:literal,)* }
    ) => {
        impl $crate::json::JsonType for $name {
            fn read(json: opencode_config::Json) -> Result<Self, $crate::json::Malformed> {
                #[allow(unused_mut, reason = "a struct can have no known fields")]
                let mut fields = $crate::json::Fields::of(json)?;
                $(fields.tag($tag, $value)?;)?
                Ok(Self { $($field: fields.$need($wire)?,)* unknown: fields.rest() })
            }

            fn write(&self) -> opencode_config::Json {
                #[allow(unused_mut, reason = "a struct can have no known fields")]
                let mut entries = $crate::json::Entries::default();
                $(entries.tag($tag, $value);)?
                $(entries.$need($wire, &self.$field);)*
                entries.with(&self.unknown)
            }
        }

        $crate::json::json_serde!($name);
    };
}

/// An enum of texts, with a variant `Other` for all others.
macro_rules! json_enum {
    ($name:ident { $($variant:ident $wire:literal,)* }) => {
        impl $name {
            /// Returns the text that stands for the value in JSON.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $wire,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($wire => Self::$variant,)*
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::json::JsonType for $name {
            fn read(json: opencode_config::Json) -> Result<Self, $crate::json::Malformed> {
                match json.as_str() {
                    Some(text) => Ok(Self::from(text)),
                    None => Err($crate::json::Malformed::new("a string", &json)),
                }
            }

            fn write(&self) -> opencode_config::Json {
                opencode_config::Json::from(self.as_str())
            }
        }

        $crate::json::json_serde!($name);
    };
}

/// A union whose objects differ by the text of one field, with a variant `Unknown` for all others.
macro_rules! json_union {
    ($name:ident [$tag:literal] { $($variant:ident $value:literal,)* }) => {
        impl $name {
            #[doc = concat!("Returns the value of `", $tag, "`; empty if an unknown value has none.")]
            pub fn tag(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $value,)*
                    Self::Unknown(json) => {
                        let tag = json.get($tag).and_then(opencode_config::Json::as_str);
                        tag.unwrap_or_default()
                    }
                }
            }
        }

        impl $crate::json::JsonType for $name {
            fn read(json: opencode_config::Json) -> Result<Self, $crate::json::Malformed> {
                match json.get($tag).and_then(opencode_config::Json::as_str) {
                    $(Some($value) => $crate::json::JsonType::read(json).map(Self::$variant),)*
                    _ => Ok(Self::Unknown(json)),
                }
            }

            fn write(&self) -> opencode_config::Json {
                match self {
                    $(Self::$variant(value) => $crate::json::JsonType::write(value),)*
                    Self::Unknown(json) => json.clone(),
                }
            }
        }

        $crate::json::json_serde!($name);
    };
}

/// A union whose values differ in form: the first form that fits is read. A variant `Unknown` takes
/// all others.
macro_rules! json_variants {
    ($name:ident { $($variant:ident $form:ident($($rule:literal),*),)* }) => {
        impl $crate::json::JsonType for $name {
            const IS_NULLABLE: bool = true;

            fn read(json: opencode_config::Json) -> Result<Self, $crate::json::Malformed> {
                $(
                    if $crate::json::json_form!(json $form($($rule),*)) {
                        return $crate::json::JsonType::read(json).map(Self::$variant);
                    }
                )*
                Ok(Self::Unknown(json))
            }

            fn write(&self) -> opencode_config::Json {
                match self {
                    $(Self::$variant(value) => $crate::json::JsonType::write(value),)*
                    Self::Unknown(json) => json.clone(),
                }
            }
        }

        $crate::json::json_serde!($name);
    };
}

/// Whether a value has one of the forms of [`json_variants`].
macro_rules! json_form {
    ($json:ident string()) => {
        matches!($json, opencode_config::Json::String(_))
    };
    ($json:ident boolean()) => {
        matches!($json, opencode_config::Json::Bool(_))
    };
    ($json:ident number()) => {
        matches!($json, opencode_config::Json::Number(_))
    };
    ($json:ident array()) => {
        matches!($json, opencode_config::Json::Array(_))
    };
    ($json:ident object()) => {
        matches!($json, opencode_config::Json::Object(_))
    };
    ($json:ident tagged($name:literal, $value:literal)) => {
        $crate::json::is_tagged(&$json, $name, $value)
    };
    ($json:ident keys($($key:literal),+)) => {
        $crate::json::has_keys(&$json, &[$($key),+])
    };
}

/// The union of all events, by type, with a variant `Unknown` for all others.
macro_rules! json_events {
    ($name:ident { $($variant:ident $wire:literal,)* }) => {
        impl $name {
            /// Returns the type of the event, for example `session.idle`.
            pub fn event_type(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $wire,)*
                    Self::Unknown { event_type, .. } => event_type,
                }
            }

            pub(crate) fn read(
                event_type: &str,
                data: opencode_config::Json,
            ) -> Result<Self, $crate::json::Malformed> {
                match event_type {
                    $($wire => $crate::json::JsonType::read(data).map(Self::$variant),)*
                    _ => Ok(Self::Unknown { event_type: event_type.to_owned(), data }),
                }
            }

            /// Returns the properties as JSON.
            pub fn content(&self) -> opencode_config::Json {
                match self {
                    $(Self::$variant(data) => $crate::json::JsonType::write(data),)*
                    Self::Unknown { data, .. } => data.clone(),
                }
            }
        }
    };
}

pub(crate) use {
    hidden_debug, json_enum, json_events, json_form, json_serde, json_struct, json_union,
    json_variants,
};
