//! The form of a group: a caller, borrowed.

/// Defines a group.
macro_rules! group {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[derive(Debug)]
        #[must_use = "a group does nothing by itself"]
        pub struct $name<'a, C> {
            caller: &'a C,
        }

        #[allow(dead_code, reason = "not every group needs every method")]
        impl<'a, C: opencode_proto::api::Caller> $name<'a, C> {
            pub(super) fn new(caller: &'a C) -> Self {
                Self { caller }
            }

            pub(crate) fn caller(&self) -> &'a C {
                self.caller
            }

            fn carry_out<O>(&self, operation: O) -> C::Called<O>
            where
                O: opencode_proto::api::Operation<Output: Send> + Send + Sync + 'static,
            {
                self.caller.carry_out(operation)
            }
        }
    };
}

pub(crate) use group;

group! {
    /// The groups below `/api`, a preview in this version of OpenCode.
    NextGroups
}
