//! Server-sent events (WHATWG HTML, section 9.2).

use std::fmt::Write as _;

use serde::Serialize;

use super::outgoing::{Stream, Writer, stream};
use crate::Error;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    name: Option<String>,
    id: Option<String>,
    data: String,
}

impl Event {
    /// One with this text, of any number of lines.
    pub fn data(data: impl Into<String>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// One with this value as JSON.
    pub fn json(data: &impl Serialize) -> Result<Self, Error> {
        Ok(Self::data(serde_json::to_string(data)?))
    }

    /// Under this name, which whoever listens can tell it by.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// With this id, which a client that comes back sends as `last-event-id`.
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// As it is sent. A line's end in a name or an id would be another field, so it is taken away.
    fn text(&self) -> String {
        let mut text = String::new();
        let fields = [("event", &self.name), ("id", &self.id)];
        for (field, value) in fields.into_iter().filter_map(|(field, value)| Some((field, value.as_ref()?))) {
            let _ = writeln!(text, "{field}: {}", value.replace(['\r', '\n', '\0'], ""));
        }
        for line in self.data.replace("\r\n", "\n").replace('\r', "\n").split('\n') {
            let _ = writeln!(text, "data: {line}");
        }
        text.push('\n');
        text
    }
}

impl Writer {
    /// Writes an event.
    pub async fn send(&mut self, event: &Event) -> Result<(), Error> {
        self.write(event.text()).await
    }
}

/// A body of events that `write` sends: `text/event-stream`.
pub fn events<F>(write: impl FnOnce(Writer) -> F + 'static) -> Stream
where
    F: Future<Output = Result<(), Error>> + 'static,
{
    stream(write).of_type("text/event-stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_fields_and_an_empty_line() {
        assert_eq!(Event::data("a\nb\r\nc\rd").text(), "data: a\ndata: b\ndata: c\ndata: d\n\n");
        let event = Event::json(&[1]).unwrap().named("tick\ndata: forged").with_id("7");
        assert_eq!(event.text(), "event: tickdata: forged\nid: 7\ndata: [1]\n\n");
        assert_eq!(Event::default().text(), "data: \n\n");
    }
}
