//! Blocking forms of async methods whose results need no wrapping.

/// Defines methods that call those of the async type with the same name: `wait` for async methods,
/// `get` for others.
macro_rules! forward {
    ($type:literal: $($kind:ident $name:ident($($argument:ident: $of:ty),*) -> $output:ty;)*) => {
        $(forward!(@$kind $type, $name, ($($argument: $of),*), $output);)*
    };
    (@wait $type:literal, $name:ident, ($($argument:ident: $of:ty),*), $output:ty) => {
        #[doc = forward!(@about $type, $name)]
        ///
        /// # Errors
        ///
        /// The errors of the async method.
        pub fn $name(&self, $($argument: $of),*) -> $output {
            self.0.wait(self.0.$name($($argument),*))
        }
    };
    (@get $type:literal, $name:ident, ($($argument:ident: $of:ty),*), $output:ty) => {
        #[doc = forward!(@about $type, $name)]
        pub fn $name(&self, $($argument: $of),*) -> $output {
            self.0.$name($($argument),*)
        }
    };
    (@about $type:literal, $name:ident) => {
        concat!(
            "Blocking form of [`", $type, "::", stringify!($name), "`](crate::", $type, "::",
            stringify!($name), ").",
        )
    };
}

pub(super) use forward;
