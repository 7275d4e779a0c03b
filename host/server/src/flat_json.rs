//! One flat object of JSON, written into a buffer.
//!
//! For the log's line of each request, where deriving the same costs twice as much: most of its texts are such that they need
//! no escaping, which whoever writes them knows.

/// An object that is being written.
pub(crate) struct Object<'a> {
    out: &'a mut Vec<u8>,
    digits: itoa::Buffer,
    /// What comes before the next key.
    separator: u8,
}

impl<'a> Object<'a> {
    /// Begins one at the end of `out`.
    pub(crate) fn begin(out: &'a mut Vec<u8>) -> Self {
        Self { out, digits: itoa::Buffer::new(), separator: b'{' }
    }

    /// A text that needs no escaping: visible ASCII without quotes and backslashes.
    pub(crate) fn plain(&mut self, key: &'static str, value: &str) {
        debug_assert!(value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\'), "{value:?}");
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// Any text.
    pub(crate) fn text(&mut self, key: &'static str, value: &str) {
        self.key(key);
        // Writing a text into memory cannot fail.
        let _ = serde_json::to_writer(&mut *self.out, value);
    }

    /// A number.
    pub(crate) fn number(&mut self, key: &'static str, value: u64) {
        self.key(key);
        self.out.extend_from_slice(self.digits.format(value).as_bytes());
    }

    /// Ends it. It has a field at least.
    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &'static str) {
        self.out.extend_from_slice(&[self.separator, b'"']);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.separator = b',';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_json() {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        object.plain("method", "!#$%&'*+-.^_`|~09AZaz");
        object.number("most", u64::MAX);
        object.text("any", "\"\\\n\u{0}é");
        object.end();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"method": "!#$%&'*+-.^_`|~09AZaz", "most": u64::MAX, "any": "\"\\\n\u{0}é"})
        );
    }
}
