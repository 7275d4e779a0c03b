//! Key-values that outlive a request: in buckets, which the functions of an app share.
//!
//! ```
//! # fn main() -> Result<(), gust_sdk::Error> {
//! use gust_sdk::kv;
//!
//! let carts = kv::bucket("carts")?;
//! carts.set("42", b"apples")?;
//! assert_eq!(carts.get("42")?.unwrap(), b"apples");
//! assert_eq!(carts.increment("visits", 1)?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! A function uses the buckets that its manifest names: `[allow] kv = ["carts"]`. What is set is on the disk when the call returns.
//!
//! A component imports `wasi:keyvalue` 0.2.0-draft2 for this, each interface of it only where it is called; [`Bucket::set_for`] is gust's
//! own. Outside of a component, as in a test on the developer's own machine, buckets are in memory, each thread's apart from the others'.

use std::{collections::VecDeque, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// How often [`Bucket::update`] tries before it gives up.
const TRIES_MAX: u32 = 1000;

/// A bucket of key-values.
pub struct Bucket {
    name: String,
    bucket: imp::Bucket,
}

/// Opens a bucket, which the function's manifest names.
pub fn bucket(name: &str) -> Result<Bucket, Error> {
    Ok(Bucket { name: name.to_owned(), bucket: imp::Bucket::open(name)? })
}

impl Bucket {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a key, where it has one.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.bucket.get(key)
    }

    /// The same of a value that is JSON.
    pub fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        Ok(self.get(key)?.map(|value| serde_json::from_slice(&value)).transpose()?)
    }

    /// Sets the value of a key.
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
        self.bucket.set(key, value.as_ref())
    }

    /// Sets the value of a key, as JSON.
    pub fn set_json(&self, key: &str, value: &impl Serialize) -> Result<(), Error> {
        self.set(key, serde_json::to_vec(value)?)
    }

    /// Sets a value that is gone after this time.
    pub fn set_for(&self, key: &str, value: impl AsRef<[u8]>, ttl: Duration) -> Result<(), Error> {
        self.bucket.set_for(key, value.as_ref(), ttl)
    }

    /// Removes a key, where it is there.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.bucket.delete(key)
    }

    /// Whether a key has a value.
    pub fn exists(&self, key: &str) -> Result<bool, Error> {
        self.bucket.exists(key)
    }

    /// All keys, read page by page.
    pub fn keys(&self) -> Keys<'_> {
        Keys { bucket: self, page: VecDeque::new(), next: Some(None) }
    }

    /// Adds to a number, which is kept in decimal digits and is 0 where there is none. Gives what it is now.
    pub fn increment(&self, key: &str, by: i64) -> Result<i64, Error> {
        self.bucket.increment(key, by)
    }

    /// Makes a new value of the old one. Nobody else's change is lost: where there was one meanwhile, `change` is asked again. Gives the
    /// new value.
    pub fn update(&self, key: &str, mut change: impl FnMut(Option<Vec<u8>>) -> Vec<u8>) -> Result<Vec<u8>, Error> {
        let mut cas = self.bucket.cas(key)?;
        for _ in 0..TRIES_MAX {
            let value = change(cas.current()?);
            match cas.swap(&value)? {
                None => return Ok(value),
                Some(again) => cas = again,
            }
        }
        Err(Error::failed(format!("{key:?} was changed by others each of {TRIES_MAX} times")))
    }
}

/// The keys of a bucket.
pub struct Keys<'a> {
    bucket: &'a Bucket,
    page: VecDeque<String>,
    /// Where the next page begins; none after the last one.
    next: Option<Option<String>>,
}

impl Iterator for Keys<'_> {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.page.is_empty() {
            let (page, next) = match self.bucket.bucket.keys(self.next.take()?) {
                Ok(page) => page,
                Err(error) => return Some(Err(error)),
            };
            self.page = page.into();
            self.next = next.map(Some);
        }
        self.page.pop_front().map(Ok)
    }
}

#[cfg(target_arch = "wasm32")]
mod imp {
    use std::time::Duration;

    use crate::Error;

    wit_bindgen::generate!({
        path: ["wit/deps/wasi-keyvalue-0.2.0-draft2", "wit/deps/gust-keyvalue-0.1.0"],
        inline: "
            package gust:kv;
            world kv {
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:keyvalue/atomics@0.2.0-draft2;
                import gust:keyvalue/expiry@0.1.0;
            }
        ",
        world: "gust:kv/kv",
        generate_all,
    });

    use gust::keyvalue::expiry;
    use wasi::keyvalue::{atomics, store};

    pub(super) struct Bucket(store::Bucket);

    pub(super) struct Cas(atomics::Cas);

    impl Bucket {
        pub(super) fn open(name: &str) -> Result<Self, Error> {
            store::open(name).map(Self).map_err(|error| match error {
                store::Error::NoSuchStore => Error::failed(format!("there is no bucket {name:?}")),
                store::Error::AccessDenied => Error::failed(format!(
                    "the bucket {name:?} is not allowed; add it to the function's gust.toml: [allow] kv = [{name:?}]"
                )),
                store::Error::Other(text) => Error::failed(text),
            })
        }

        pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
            self.0.get(key).map_err(failed)
        }

        pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
            self.0.set(key, value).map_err(failed)
        }

        pub(super) fn set_for(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
            let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            expiry::set_for(&self.0, key, value, ttl_ms).map_err(failed)
        }

        pub(super) fn delete(&self, key: &str) -> Result<(), Error> {
            self.0.delete(key).map_err(failed)
        }

        pub(super) fn exists(&self, key: &str) -> Result<bool, Error> {
            self.0.exists(key).map_err(failed)
        }

        pub(super) fn keys(&self, cursor: Option<String>) -> Result<(Vec<String>, Option<String>), Error> {
            let page = self.0.list_keys(cursor.as_deref()).map_err(failed)?;
            Ok((page.keys, page.cursor))
        }

        pub(super) fn increment(&self, key: &str, by: i64) -> Result<i64, Error> {
            atomics::increment(&self.0, key, by).map_err(failed)
        }

        pub(super) fn cas(&self, key: &str) -> Result<Cas, Error> {
            atomics::Cas::new(&self.0, key).map(Cas).map_err(failed)
        }
    }

    impl Cas {
        pub(super) fn current(&self) -> Result<Option<Vec<u8>>, Error> {
            self.0.current().map_err(failed)
        }

        /// None where it was done, else what to try again with.
        pub(super) fn swap(self, value: &[u8]) -> Result<Option<Self>, Error> {
            match atomics::swap(self.0, value) {
                Ok(()) => Ok(None),
                Err(atomics::CasError::CasFailed(again)) => Ok(Some(Self(again))),
                Err(atomics::CasError::StoreError(error)) => Err(failed(error)),
            }
        }
    }

    fn failed(error: store::Error) -> Error {
        match error {
            store::Error::NoSuchStore => Error::failed("there is no such bucket"),
            store::Error::AccessDenied => Error::failed("the bucket is not allowed"),
            store::Error::Other(text) => Error::failed(text),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod imp {
    use std::{
        cell::RefCell,
        collections::BTreeMap,
        time::{Duration, Instant},
    };

    use crate::Error;

    #[derive(Clone)]
    struct Kept {
        value: Vec<u8>,
        until: Option<Instant>,
    }

    thread_local! {
        static BUCKETS: RefCell<BTreeMap<(String, String), Kept>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(super) struct Bucket(String);

    pub(super) struct Cas {
        bucket: String,
        key: String,
        read: RefCell<Option<Vec<u8>>>,
    }

    impl Bucket {
        pub(super) fn open(name: &str) -> Result<Self, Error> {
            Ok(Self(name.to_owned()))
        }

        fn of_key(&self, key: &str) -> (String, String) {
            (self.0.clone(), key.to_owned())
        }

        pub(super) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
            let now = Instant::now();
            let kept = BUCKETS.with_borrow(|buckets| buckets.get(&self.of_key(key)).cloned());
            Ok(kept.filter(|kept| kept.until.is_none_or(|until| until > now)).map(|kept| kept.value))
        }

        pub(super) fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
            let kept = Kept { value: value.to_vec(), until: None };
            BUCKETS.with_borrow_mut(|buckets| buckets.insert(self.of_key(key), kept));
            Ok(())
        }

        pub(super) fn set_for(&self, key: &str, value: &[u8], ttl: Duration) -> Result<(), Error> {
            let kept = Kept { value: value.to_vec(), until: Instant::now().checked_add(ttl) };
            BUCKETS.with_borrow_mut(|buckets| buckets.insert(self.of_key(key), kept));
            Ok(())
        }

        pub(super) fn delete(&self, key: &str) -> Result<(), Error> {
            BUCKETS.with_borrow_mut(|buckets| buckets.remove(&self.of_key(key)));
            Ok(())
        }

        pub(super) fn exists(&self, key: &str) -> Result<bool, Error> {
            Ok(self.get(key)?.is_some())
        }

        pub(super) fn keys(&self, _: Option<String>) -> Result<(Vec<String>, Option<String>), Error> {
            let own = |(bucket, key): &(String, String)| (*bucket == self.0).then(|| key.clone());
            let keys: Vec<String> = BUCKETS.with_borrow(|buckets| buckets.keys().filter_map(own).collect());
            Ok((keys.into_iter().filter(|key| matches!(self.exists(key), Ok(true))).collect(), None))
        }

        pub(super) fn increment(&self, key: &str, by: i64) -> Result<i64, Error> {
            let number = match self.get(key)? {
                None => 0,
                Some(value) => String::from_utf8(value)?.parse::<i64>()?,
            };
            let sum = number.checked_add(by).ok_or_else(|| Error::failed("the number would be too large"))?;
            self.set(key, sum.to_string().as_bytes())?;
            Ok(sum)
        }

        pub(super) fn cas(&self, key: &str) -> Result<Cas, Error> {
            Ok(Cas { bucket: self.0.clone(), key: key.to_owned(), read: RefCell::new(self.get(key)?) })
        }
    }

    impl Cas {
        pub(super) fn current(&self) -> Result<Option<Vec<u8>>, Error> {
            let now = Bucket(self.bucket.clone()).get(&self.key)?;
            self.read.replace(now.clone());
            Ok(now)
        }

        pub(super) fn swap(self, value: &[u8]) -> Result<Option<Self>, Error> {
            let bucket = Bucket(self.bucket.clone());
            if bucket.get(&self.key)? != *self.read.borrow() {
                return Ok(Some(self));
            }
            bucket.set(&self.key, value)?;
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_tested_without_a_host() {
        let carts = bucket("carts").unwrap();
        carts.set_json("1", &vec!["apples"]).unwrap();
        assert_eq!(carts.get_json::<Vec<String>>("1").unwrap().unwrap(), ["apples"]);
        assert!(bucket("others").unwrap().get("1").unwrap().is_none());
        carts.set_for("2", "gone", Duration::ZERO).unwrap();
        assert!(!carts.exists("2").unwrap());
        assert_eq!((carts.increment("n", 5).unwrap(), carts.increment("n", -2).unwrap()), (5, 3));
        let keys: Vec<String> = carts.keys().collect::<Result<_, _>>().unwrap();
        assert_eq!(keys, ["1", "n"]);
        carts.delete("1").unwrap();
        assert!(carts.get("1").unwrap().is_none());
    }

    #[test]
    fn an_update_is_made_again_where_somebody_else_was_first() {
        let carts = bucket("carts").unwrap();
        let mut asked = 0;
        let value = carts.update("k", |old| {
            asked += 1;
            if asked == 1 {
                bucket("carts").unwrap().set("k", "theirs").unwrap();
            }
            [old.unwrap_or_default(), b"+ours".to_vec()].concat()
        });
        assert_eq!((value.unwrap(), asked), (b"theirs+ours".to_vec(), 2));
    }
}
