//! Lists with a cursor of the next page.

use bytes::Bytes;
use http::Response;
use opencode_proto::ApiError;
use opencode_proto::api::{Operation, Page, Paged};

use crate::event::NextEvent;
use crate::experimental::{GlobalSession, ListGlobalSessions};
use crate::message::{ListMessages, MessageWithParts};
use crate::next::message::{ListNextMessages, NextMessage};
use crate::next::session::{ListNextSessions, NextSession, ReadNextSessionHistory};

/// Messages from the newest on. Without a limit, the reply has all messages.
impl Paged for ListMessages {
    type Item = MessageWithParts;

    fn decode_page(&self, response: Response<Bytes>) -> Result<Page<Self>, ApiError> {
        let next = next_cursor(&response).map(|cursor| self.clone().with_before(cursor));
        let messages = self.decode(response)?;
        Ok(Page::new(messages.into_iter().rev().collect(), next))
    }
}

/// Sessions of all projects, from the one that changed last on.
impl Paged for ListGlobalSessions {
    type Item = GlobalSession;

    fn decode_page(&self, response: Response<Bytes>) -> Result<Page<Self>, ApiError> {
        let cursor = next_cursor(&response).and_then(|cursor| cursor.parse().ok());
        let next = cursor.map(|cursor| self.clone().with_cursor(cursor));
        Ok(Page::new(self.decode(response)?, next))
    }
}

/// Sessions in the order of the operation.
impl Paged for ListNextSessions {
    type Item = NextSession;

    fn decode_page(&self, response: Response<Bytes>) -> Result<Page<Self>, ApiError> {
        let page = self.decode(response)?;
        let next = page.cursor.next.map(|cursor| self.clone().with_cursor(cursor));
        Ok(Page::new(page.data, next))
    }
}

/// Messages in the order of the operation.
impl Paged for ListNextMessages {
    type Item = NextMessage;

    fn decode_page(&self, response: Response<Bytes>) -> Result<Page<Self>, ApiError> {
        let page = self.decode(response)?;
        let next = page.cursor.next.map(|cursor| self.clone().with_cursor(cursor));
        Ok(Page::new(page.data, next))
    }
}

/// Events of a session from the oldest on.
impl Paged for ReadNextSessionHistory {
    type Item = NextEvent;

    fn decode_page(&self, response: Response<Bytes>) -> Result<Page<Self>, ApiError> {
        let history = self.decode(response)?;
        let last = history.data.last().and_then(|event| event.durable.as_ref());
        let next = last.filter(|_| history.has_more);
        let next = next.map(|position| self.clone().with_after(position.seq.to_string()));
        Ok(Page::new(history.data, next))
    }
}

fn next_cursor(response: &Response<Bytes>) -> Option<String> {
    let cursor = response.headers().get("x-next-cursor")?;
    cursor.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_read_with_the_cursor() {
        let list = ListGlobalSessions::new().with_limit(2);
        let reply = Response::builder().header("x-next-cursor", "17").body("[]".into()).unwrap();
        let next = list.decode_page(reply).unwrap().next.unwrap();
        assert_eq!(next.request().uri(), "/experimental/session?limit=2&cursor=17");
        let list = ListNextSessions::new().with_cursor("a");
        let body = r#"{"data":[],"cursor":{"previous":"x","next":"b"}}"#;
        let next = list.decode_page(Response::new(body.into())).unwrap().next.unwrap();
        assert_eq!(next.request().uri(), "/api/session?cursor=b");
        let body = r#"{"data":[],"cursor":{}}"#;
        assert_eq!(list.decode_page(Response::new(body.into())).unwrap().next, None);
    }

    #[test]
    fn a_history_goes_on_after_the_last_event() {
        let read = ReadNextSessionHistory::new("ses_1");
        let body = |more: bool| {
            let event = r#"{"type":"session.next.agent.switched","data":{"timestamp":1,
                "sessionID":"ses_1","messageID":"msg_1","agent":"build"},
                "durable":{"aggregateID":"ses_1","seq":7,"version":1}}"#;
            Response::new(format!(r#"{{"data":[{event}],"hasMore":{more}}}"#).into())
        };
        let next = read.decode_page(body(true)).unwrap().next.unwrap();
        assert_eq!(next.request().uri(), "/api/session/ses_1/history?after=7");
        assert_eq!(read.decode_page(body(false)).unwrap().next, None);
    }
}
