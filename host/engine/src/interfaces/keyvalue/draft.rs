//! Release `0.2.0-draft`: pages are numbered, numbers have no sign.

use wasmtime::component::{HasSelf, Linker, Resource};

use super::{Bucket, CURSORS_MAX, Pair, Refused};
use crate::host::Host;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/deps/wasi-keyvalue-0.2.0-draft",
        inline: "
            package gust:draft;
            world draft {
                import wasi:keyvalue/store@0.2.0-draft;
                import wasi:keyvalue/atomics@0.2.0-draft;
                import wasi:keyvalue/batch@0.2.0-draft;
            }
        ",
        world: "gust:draft/draft",
        imports: {
            "wasi:keyvalue/store.[method]bucket.set": async | trappable,
            "wasi:keyvalue/store.[method]bucket.delete": async | trappable,
            "wasi:keyvalue/store.[method]bucket.list-keys": async | trappable,
            "wasi:keyvalue/atomics.increment": async | trappable,
            "wasi:keyvalue/batch.set-many": async | trappable,
            "wasi:keyvalue/batch.delete-many": async | trappable,
            default: trappable,
        },
        with: { "wasi:keyvalue/store.bucket": super::super::Bucket },
        trappable_error_type: { "wasi:keyvalue/store.error" => super::super::Refused },
    });
}

use bindings::wasi::keyvalue::{atomics, batch, store};
use gust_core::{Code, Problem, state::Change};

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    store::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    atomics::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    batch::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)
}

impl store::Host for Host {
    fn open(&mut self, name: String) -> Result<Resource<Bucket>, Refused> {
        self.open_bucket(&name)
    }

    fn convert_error(&mut self, refused: Refused) -> wasmtime::Result<store::Error> {
        match refused {
            Refused::Denied => Ok(store::Error::AccessDenied),
            Refused::Problem(problem) => Ok(store::Error::Other(problem.detail)),
            Refused::Trap(error) => Err(error),
        }
    }
}

impl store::HostBucket for Host {
    fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Option<Vec<u8>>, Refused> {
        self.value(&bucket, &key)
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Result<(), Refused> {
        self.change(&bucket, Change::Set(vec![(key, value)]), None).await.map(drop)
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Result<(), Refused> {
        self.change(&bucket, Change::Delete(vec![key]), None).await.map(drop)
    }

    fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Result<bool, Refused> {
        Ok(self.bucket(&bucket)?.exists(&key)?)
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<u64>,
    ) -> Result<store::KeyResponse, Refused> {
        let cursors = &self.resources().get(&bucket)?.cursors;
        let after = match cursor.and_then(|cursor| usize::try_from(cursor).ok()) {
            None => String::new(),
            Some(cursor) => {
                cursors.get(cursor).cloned().ok_or_else(|| foreign("this bucket has given no such cursor"))?
            }
        };
        let (keys, last) = self.keys(&bucket, after).await?;
        let Some(last) = last else { return Ok(store::KeyResponse { keys, cursor: None }) };
        let cursors = &mut self.resources().get_mut(&bucket)?.cursors;
        let cursor = cursors.iter().position(|cursor| *cursor == last).unwrap_or(cursors.len());
        if cursor == CURSORS_MAX {
            return Err(foreign("the bucket has more keys than are listed with numbered cursors").into());
        }
        if cursor == cursors.len() {
            cursors.push(last);
        }
        Ok(store::KeyResponse { keys, cursor: Some(cursor as u64) })
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.resources().delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for Host {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: u64) -> Result<u64, Refused> {
        let number = Self::increment(self, &bucket, key, delta.into(), (0, u64::MAX.into())).await?;
        Ok(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl batch::Host for Host {
    fn get_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Result<Vec<Option<Pair>>, Refused> {
        self.values(&bucket, keys)
    }

    async fn set_many(&mut self, bucket: Resource<Bucket>, pairs: Vec<Pair>) -> Result<(), Refused> {
        self.change(&bucket, Change::Set(pairs), None).await.map(drop)
    }

    async fn delete_many(&mut self, bucket: Resource<Bucket>, keys: Vec<String>) -> Result<(), Refused> {
        self.change(&bucket, Change::Delete(keys), None).await.map(drop)
    }
}

fn foreign(detail: &str) -> Problem {
    Problem::new(Code::StateInvalid, detail)
}
