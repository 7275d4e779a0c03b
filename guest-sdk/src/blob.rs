//! Blobs that outlive a request: in containers, which the functions of an app share.
//!
//! ```
//! # fn main() -> Result<(), gust_sdk::Error> {
//! use gust_sdk::blob;
//!
//! let pictures = blob::container("pictures")?;
//! pictures.put("a.jpg", b"a picture")?;
//! assert_eq!(pictures.get("a.jpg")?.unwrap(), b"a picture");
//! assert_eq!(pictures.range("a.jpg", 2..9)?.unwrap(), b"picture");
//! # Ok(())
//! # }
//! ```
//!
//! A function uses the containers that its manifest names: `[allow] blob = ["pictures"]`. What is large is written and read in pieces, by
//! [`Container::writer`] and [`Container::reader`].
//!
//! A component imports `wasi:blobstore` 0.2.0-draft for this, and only where it is called. Outside of a component, as in a test on the
//! developer's own machine, containers are in memory, each thread's apart from the others'.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    ops::Range,
};

use crate::Error;

/// A container of blobs.
pub struct Container {
    name: String,
    container: imp::Container,
}

/// What is known of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Its size in bytes.
    pub size: u64,
    /// When it was written: seconds since 1970-01-01T00:00Z.
    pub created_unix_s: u64,
}

/// Opens a container, which the function's manifest names.
pub fn container(name: &str) -> Result<Container, Error> {
    Ok(Container { name: name.to_owned(), container: imp::Container::open(name)? })
}

impl Container {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A whole blob, where it is there.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.read(name, 0..u64::MAX)
    }

    /// A part of a blob, where it is there. What is beyond its end is left out.
    pub fn range(&self, name: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, Error> {
        self.read(name, range)
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Option<Vec<u8>>, Error> {
        let Some(reader) = self.container.reader(name, range)? else { return Ok(None) };
        let mut reader = Reader(reader);
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a blob. One that is there is replaced.
    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), Error> {
        let mut writer = self.writer(name)?;
        writer.write_all(content.as_ref())?;
        writer.finish()
    }

    /// A blob to be read in pieces, where it is there.
    pub fn reader(&self, name: &str) -> Result<Option<Reader>, Error> {
        Ok(self.container.reader(name, 0..u64::MAX)?.map(Reader))
    }

    /// A blob to be written in pieces. It is there when it is [finished](Writer::finish), and not before.
    pub fn writer(&self, name: &str) -> Result<Writer, Error> {
        Ok(Writer(self.container.writer(name)?))
    }

    /// What is known of a blob, where it is there.
    pub fn info(&self, name: &str) -> Result<Option<Info>, Error> {
        self.container.info(name)
    }

    /// Whether a blob is there.
    pub fn exists(&self, name: &str) -> Result<bool, Error> {
        self.container.exists(name)
    }

    /// Removes a blob, where it is there.
    pub fn delete(&self, name: &str) -> Result<(), Error> {
        self.container.delete(name)
    }

    /// The names of all blobs, read page by page.
    pub fn list(&self) -> Result<Names, Error> {
        Ok(Names { names: self.container.names()?, page: VecDeque::new(), is_at_end: false })
    }
}

/// A blob that is read in pieces.
pub struct Reader(imp::Reader);

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// A blob that is written in pieces. Dropping it unfinished leaves what was there before.
pub struct Writer(imp::Writer);

impl Writer {
    /// Ends it: the blob is there, and on the disk.
    pub fn finish(self) -> Result<(), Error> {
        self.0.finish()
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The names of a container's blobs.
pub struct Names {
    names: imp::Names,
    page: VecDeque<String>,
    is_at_end: bool,
}

/// Names that are asked for at a time.
const PAGE_NAMES: u64 = 1000;

impl Iterator for Names {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.is_at_end {
            match self.names.next(PAGE_NAMES) {
                Ok((page, is_at_end)) => {
                    self.page = page.into();
                    self.is_at_end = is_at_end || self.page.is_empty();
                }
                Err(error) => {
                    self.is_at_end = true;
                    return Some(Err(error));
                }
            }
        }
        self.page.pop_front().map(Ok)
    }
}

#[cfg(target_arch = "wasm32")]
mod imp {
    use std::{io, ops::Range};

    use super::Info;
    use crate::Error;

    wit_bindgen::generate!({
        path: ["wit/deps/wasi-io-0.2.1", "wit/deps/wasi-blobstore-0.2.0-draft"],
        inline: "
            package gust:blob;
            world blob {
                import wasi:blobstore/blobstore@0.2.0-draft;
                import wasi:blobstore/container@0.2.0-draft;
                import wasi:blobstore/types@0.2.0-draft;
            }
        ",
        world: "gust:blob/blob",
        generate_all,
    });

    use wasi::{
        blobstore::{blobstore, container, types},
        io::streams::{InputStream, OutputStream, StreamError},
    };

    pub(super) struct Container(container::Container);

    pub(super) struct Reader(Option<InputStream>);

    pub(super) struct Writer {
        /// The stream goes before the value that it is of.
        stream: OutputStream,
        value: types::OutgoingValue,
    }

    pub(super) struct Names(container::StreamObjectNames);

    impl Container {
        pub(super) fn open(name: &str) -> Result<Self, Error> {
            blobstore::get_container(name).map(Self).map_err(Error::failed)
        }

        pub(super) fn exists(&self, name: &str) -> Result<bool, Error> {
            self.0.has_object(name).map_err(Error::failed)
        }

        pub(super) fn reader(&self, name: &str, range: Range<u64>) -> Result<Option<Reader>, Error> {
            let Some(info) = self.info(name)? else { return Ok(None) };
            // A part is told by its last byte, and there is none of nothing.
            let end = range.end.min(info.size);
            if range.start >= end {
                return Ok(Some(Reader(None)));
            }
            let value = self.0.get_data(name, range.start, end - 1).map_err(Error::failed)?;
            let stream = types::IncomingValue::incoming_value_consume_async(value).map_err(Error::failed)?;
            Ok(Some(Reader(Some(stream))))
        }

        pub(super) fn writer(&self, name: &str) -> Result<Writer, Error> {
            let value = types::OutgoingValue::new_outgoing_value();
            self.0.write_data(name, &value).map_err(Error::failed)?;
            let stream = value.outgoing_value_write_body();
            let stream = stream.map_err(|()| Error::failed("the host takes no content for a blob"))?;
            Ok(Writer { stream, value })
        }

        pub(super) fn info(&self, name: &str) -> Result<Option<Info>, Error> {
            if !self.exists(name)? {
                return Ok(None);
            }
            let info = self.0.object_info(name).map_err(Error::failed)?;
            Ok(Some(Info { size: info.size, created_unix_s: info.created_at }))
        }

        pub(super) fn delete(&self, name: &str) -> Result<(), Error> {
            self.0.delete_object(name).map_err(Error::failed)
        }

        pub(super) fn names(&self) -> Result<Names, Error> {
            self.0.list_objects().map(Names).map_err(Error::failed)
        }
    }

    impl Reader {
        pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(stream) = &self.0 else { return Ok(0) };
            if buffer.is_empty() {
                return Ok(0);
            }
            match stream.blocking_read(buffer.len() as u64) {
                Ok(piece) => {
                    let (now, _) = buffer.split_at_mut(piece.len());
                    now.copy_from_slice(&piece);
                    Ok(piece.len())
                }
                Err(StreamError::Closed) => Ok(0),
                Err(error) => Err(broken_off(error)),
            }
        }
    }

    impl Writer {
        pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            loop {
                let permitted = usize::try_from(self.stream.check_write().map_err(broken_off)?).unwrap_or(usize::MAX);
                if permitted > 0 || bytes.is_empty() {
                    let (now, _) = bytes.split_at(permitted.min(bytes.len()));
                    self.stream.write(now).map_err(broken_off)?;
                    return Ok(now.len());
                }
                self.stream.subscribe().block();
            }
        }

        pub(super) fn finish(self) -> Result<(), Error> {
            let Self { stream, value } = self;
            stream.blocking_flush().map_err(broken_off)?;
            drop(stream);
            types::OutgoingValue::finish(value).map_err(Error::failed)
        }
    }

    impl Names {
        pub(super) fn next(&mut self, max: u64) -> Result<(Vec<String>, bool), Error> {
            self.0.read_stream_object_names(max).map_err(Error::failed)
        }
    }

    fn broken_off(error: StreamError) -> io::Error {
        match error {
            StreamError::Closed => io::Error::from(io::ErrorKind::BrokenPipe),
            StreamError::LastOperationFailed(error) => io::Error::other(error.to_debug_string()),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod imp {
    use std::{
        cell::RefCell,
        collections::BTreeMap,
        io::{self, Cursor, Read as _},
        ops::Range,
        time::{SystemTime, UNIX_EPOCH},
    };

    use super::Info;
    use crate::Error;

    struct Kept {
        content: Vec<u8>,
        created_unix_s: u64,
    }

    thread_local! {
        static CONTAINERS: RefCell<BTreeMap<(String, String), Kept>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(super) struct Container(String);

    pub(super) struct Reader(Cursor<Vec<u8>>);

    pub(super) struct Writer {
        to: (String, String),
        content: Vec<u8>,
    }

    pub(super) struct Names(Vec<String>);

    impl Container {
        pub(super) fn open(name: &str) -> Result<Self, Error> {
            Ok(Self(name.to_owned()))
        }

        fn of_name(&self, name: &str) -> (String, String) {
            (self.0.clone(), name.to_owned())
        }

        pub(super) fn exists(&self, name: &str) -> Result<bool, Error> {
            Ok(self.info(name)?.is_some())
        }

        pub(super) fn reader(&self, name: &str, range: Range<u64>) -> Result<Option<Reader>, Error> {
            let part = |kept: &Kept| {
                let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(kept.content.len());
                kept.content.get(at(range.start)..at(range.end)).unwrap_or_default().to_vec()
            };
            let found = CONTAINERS.with_borrow(|containers| containers.get(&self.of_name(name)).map(part));
            Ok(found.map(|part| Reader(Cursor::new(part))))
        }

        pub(super) fn writer(&self, name: &str) -> Result<Writer, Error> {
            Ok(Writer { to: self.of_name(name), content: Vec::new() })
        }

        pub(super) fn info(&self, name: &str) -> Result<Option<Info>, Error> {
            let info = |kept: &Kept| Info { size: kept.content.len() as u64, created_unix_s: kept.created_unix_s };
            Ok(CONTAINERS.with_borrow(|containers| containers.get(&self.of_name(name)).map(info)))
        }

        pub(super) fn delete(&self, name: &str) -> Result<(), Error> {
            CONTAINERS.with_borrow_mut(|containers| containers.remove(&self.of_name(name)));
            Ok(())
        }

        pub(super) fn names(&self) -> Result<Names, Error> {
            let own = |(container, name): &(String, String)| (*container == self.0).then(|| name.clone());
            Ok(Names(CONTAINERS.with_borrow(|containers| containers.keys().filter_map(own).collect())))
        }
    }

    impl Reader {
        pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Writer {
        pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.content.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        pub(super) fn finish(self) -> Result<(), Error> {
            let created_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let kept = Kept { content: self.content, created_unix_s };
            CONTAINERS.with_borrow_mut(|containers| containers.insert(self.to, kept));
            Ok(())
        }
    }

    impl Names {
        pub(super) fn next(&mut self, _: u64) -> Result<(Vec<String>, bool), Error> {
            Ok((std::mem::take(&mut self.0), true))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_tested_without_a_host() {
        let pictures = container("pictures").unwrap();
        let mut writer = pictures.writer("a").unwrap();
        writer.write_all(b"in ").unwrap();
        assert!(!pictures.exists("a").unwrap(), "it is not finished");
        writer.write_all(b"pieces").unwrap();
        writer.finish().unwrap();
        assert_eq!(pictures.get("a").unwrap().unwrap(), b"in pieces");
        assert_eq!(pictures.range("a", 3..100).unwrap().unwrap(), b"pieces");
        assert_eq!((pictures.range("a", 100..200).unwrap().unwrap(), pictures.get("b").unwrap()), (vec![], None));
        assert_eq!(pictures.info("a").unwrap().unwrap().size, 9);
        assert_eq!(pictures.list().unwrap().collect::<Result<Vec<_>, _>>().unwrap(), ["a"]);
        pictures.delete("a").unwrap();
        assert!(pictures.reader("a").unwrap().is_none());
    }
}
