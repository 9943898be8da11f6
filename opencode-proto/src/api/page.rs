use bytes::Bytes;
use http::{Request, Response};

use super::{ApiError, ListMessages, MessageWithParts, Operation, Pace, Repeat};

/// Operation whose reply can be one page of a list, with a cursor of the next page.
///
/// A page has as many items as the operation asks for (`with_limit`). Without a limit, most lists
/// are one page with all items.
pub trait Paged: Operation + Sized {
    /// Item of the list.
    type Item;

    /// Decodes the reply as a page, whose items are in the order of the whole list.
    ///
    /// # Errors
    ///
    /// The errors of [`decode`](Operation::decode).
    fn decode_page(&self, response: Response<Bytes>) -> Result<Page<Self>, ApiError>;
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page<O: Paged> {
    /// Items of the page.
    pub items: Vec<O::Item>,
    /// Operation that reads the next page; `None` for the last page.
    pub next: Option<O>,
}

impl<O: Paged> Page<O> {
    /// Creates a page from items, and the operation for the next page.
    pub fn new(items: Vec<O::Item>, next: Option<O>) -> Self {
        Self { items, next }
    }
}

/// Reads one page of a list, by the operation of the list.
///
/// ```
/// use http::Response;
/// use opencode_proto::api::{ListMessages, Operation, ReadPage};
///
/// let read = ReadPage::new(ListMessages::new("ses_1").with_limit(1));
/// let reply = Response::builder()
///     .header("x-next-cursor", "abc")
///     .body(r#"[{"info":{"id":"msg_2","role":"assistant"},"parts":[]}]"#.into())?;
/// let page = read.decode(reply)?;
/// assert_eq!(page.items[0].info.id, "msg_2");
/// let next = page.next.unwrap();
/// assert_eq!(next.request().uri(), "/session/ses_1/message?limit=1&before=abc");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPage<O> {
    list: O,
}

impl<O: Paged> ReadPage<O> {
    /// Reads the page that this operation reads.
    pub fn new(list: O) -> Self {
        Self { list }
    }
}

impl<O: Paged> Operation for ReadPage<O> {
    type Output = Page<O>;

    fn request(&self) -> Request<Bytes> {
        self.list.request()
    }

    fn decode(&self, response: Response<Bytes>) -> Result<Page<O>, ApiError> {
        let page = self.list.decode_page(response.clone())?;
        let (request, next) = (self.request(), page.next.as_ref().map(Operation::request));
        if next.is_some_and(|next| next.uri() == request.uri()) {
            // The list would never end.
            let error = <serde_json::Error as serde::de::Error>::custom(
                "the cursor of the next page is that of this page",
            );
            let path = request.uri().path();
            return Err(ApiError::unreadable(request.method().clone(), path, response, error));
        }
        Ok(page)
    }

    fn repeat(&self) -> Repeat {
        self.list.repeat()
    }

    fn pace(&self) -> Pace {
        self.list.pace()
    }
}

/// Messages from the newest on.
impl Paged for ListMessages {
    type Item = MessageWithParts;

    fn decode_page(&self, response: Response<Bytes>) -> Result<Page<Self>, ApiError> {
        let page = self.decode(response)?;
        let next = page.next.map(|cursor| self.clone().with_before(cursor));
        Ok(Page::new(page.messages.into_iter().rev().collect(), next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ApiErrorKind, MessageCursor};

    #[test]
    fn a_cursor_that_repeats_is_an_error() {
        let list = ListMessages::new("ses_1").with_limit(1).with_before(MessageCursor::from("abc"));
        let reply = Response::builder().header("x-next-cursor", "abc").body("[]".into()).unwrap();
        let error = ReadPage::new(list).decode(reply).unwrap_err();
        let ApiErrorKind::Unreadable(reason) = &error.kind else { panic!("{error:?}") };
        assert_eq!(reason.to_string(), "the cursor of the next page is that of this page");
        assert_eq!(error.path, "/session/ses_1/message");
    }

    #[test]
    fn messages_come_from_the_newest_on() {
        let body = r#"[{"info":{"id":"msg_1","role":"user"},"parts":[]},
            {"info":{"id":"msg_2","role":"assistant"},"parts":[]}]"#;
        let read = ReadPage::new(ListMessages::new("ses_1"));
        let page = read.decode(Response::new(body.into())).unwrap();
        let ids: Vec<_> = page.items.iter().map(|message| message.info.id.as_str()).collect();
        assert_eq!(ids, ["msg_2", "msg_1"]);
        assert_eq!(page.next, None);
    }
}
