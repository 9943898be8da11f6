//! Ids of sessions, messages, parts, calls and requests. Every event carries some, so a clone
//! shares the text.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the id in OpenCode's spelling.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.into())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id.into())
            }
        }

        impl From<&$name> for $name {
            fn from(id: &$name) -> Self {
                id.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                *self.0 == *other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                *self.0 == **other
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// Id of a tool call, given by the model's provider (`call_…` with most).
    CallId
}
id! {
    /// Id of a message (`msg_…`).
    MessageId
}
id! {
    /// Id of a part of a message (`prt_…`).
    PartId
}
id! {
    /// Id of a permission request (`per_…`).
    PermissionId
}
id! {
    /// Id of a question request (`que_…`).
    QuestionId
}
id! {
    /// Id of a session (`ses_…`).
    ///
    /// All ids are alike: compared with text, cloned without a copy, and serialized as strings.
    ///
    /// ```
    /// use opencode_proto::SessionId;
    ///
    /// let session = SessionId::from("ses_1");
    /// assert_eq!(session, "ses_1");
    /// assert_eq!(serde_json::to_string(&session)?, r#""ses_1""#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    SessionId
}
