//! The order in which two values are dropped, as a type.

/// Two values, of which the first is dropped before the second.
///
/// The order of fields says the same, until somebody sorts them.
#[derive(Debug)]
pub(crate) struct DropOrder<A, B> {
    first: Option<A>,
    second: Option<B>,
}

impl<A, B> DropOrder<A, B> {
    pub(crate) fn new(first: A, second: B) -> Self {
        Self { first: Some(first), second: Some(second) }
    }

    pub(crate) fn first(&self) -> &A {
        self.first.as_ref().expect(WHOLE)
    }

    pub(crate) fn first_mut(&mut self) -> &mut A {
        self.first.as_mut().expect(WHOLE)
    }

    pub(crate) fn second(&self) -> &B {
        self.second.as_ref().expect(WHOLE)
    }

    pub(crate) fn second_mut(&mut self) -> &mut B {
        self.second.as_mut().expect(WHOLE)
    }

    /// Hands both values over, in whose order they are dropped is then up to the caller.
    pub(crate) fn into_parts(mut self) -> (A, B) {
        (self.first.take().expect(WHOLE), self.second.take().expect(WHOLE))
    }
}

const WHOLE: &str = "both values stay until the drop";

impl<A, B> Drop for DropOrder<A, B> {
    fn drop(&mut self) {
        drop(self.first.take());
        drop(self.second.take());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// Writes its name down when it is dropped.
    struct Noted(&'static str, Rc<RefCell<Vec<&'static str>>>);

    impl Drop for Noted {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }

    fn both() -> (DropOrder<Noted, Noted>, Rc<RefCell<Vec<&'static str>>>) {
        let dropped = Rc::new(RefCell::new(Vec::new()));
        let noted = |name| Noted(name, Rc::clone(&dropped));
        (DropOrder::new(noted("first"), noted("second")), Rc::clone(&dropped))
    }

    #[test]
    fn the_first_value_is_dropped_before_the_second() {
        let (mut order, dropped) = both();
        assert_eq!((order.first().0, order.second().0), ("first", "second"));
        (order.first_mut().0, order.second_mut().0) = ("one", "two");
        drop(order);
        assert_eq!(*dropped.borrow(), ["one", "two"]);
    }

    #[test]
    fn the_parts_belong_to_the_caller() {
        let (order, dropped) = both();
        let (first, second) = order.into_parts();
        assert!(dropped.borrow().is_empty());
        drop(second);
        drop(first);
        assert_eq!(*dropped.borrow(), ["second", "first"]);
    }
}
