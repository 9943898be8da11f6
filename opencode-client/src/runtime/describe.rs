//! Readable forms of errors: the message, followed by the messages of the causes.

use std::error::Error;

/// Returns the message of an error and of all causes, on one line, separated by colons.
///
/// A cause whose message ends the text so far is left out.
pub(crate) fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let message = cause.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        source = cause.source();
    }
    text
}

/// Implements `Debug` of an error as [`describe`] prints the error.
///
/// A program whose `main` returns the error prints `Debug`, and a report has thousands of
/// characters there.
macro_rules! debug_as_chain {
    ($error:ty) => {
        impl std::fmt::Debug for $error {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::runtime::describe::describe(self))
            }
        }
    };
}

pub(crate) use debug_as_chain;

#[cfg(test)]
mod tests {
    #[derive(thiserror::Error)]
    enum Failure {
        #[error("cannot tidy up")]
        Tidy(#[source] Box<Self>),
        #[error("cannot tidy up: the broom is lost")]
        Quoting(#[source] Box<Self>),
        #[error("the broom is lost")]
        Lost,
    }

    debug_as_chain!(Failure);

    #[test]
    fn debug_prints_every_message_of_the_chain_once() {
        let text = "cannot tidy up: the broom is lost";
        assert_eq!(format!("{:?}", Failure::Tidy(Box::new(Failure::Lost))), text);
        assert_eq!(format!("{:?}", Failure::Quoting(Box::new(Failure::Lost))), text);
    }
}
