//! Release `0.2.0-draft2`, which can compare and swap, and what gust has over it: values that are kept for a time.

use std::time::Duration;

use gust_core::state::{Change, Changed, check_ttl};
use wasmtime::component::{HasSelf, Linker, Resource};

use super::{Bucket, Cas, Pair, Refused};
use crate::host::Host;

mod bindings {
    wasmtime::component::bindgen!({
        path: ["../../wit/deps/wasi-keyvalue-0.2.0-draft2", "../../wit/deps/gust-keyvalue-0.1.0"],
        inline: "
            package gust:draft;
            world draft2 {
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:keyvalue/atomics@0.2.0-draft2;
                import wasi:keyvalue/batch@0.2.0-draft2;
                import gust:keyvalue/expiry@0.1.0;
            }
        ",
        world: "gust:draft/draft2",
        imports: {
            "wasi:keyvalue/store.[method]bucket.set": async | trappable,
            "wasi:keyvalue/store.[method]bucket.delete": async | trappable,
            "wasi:keyvalue/store.[method]bucket.list-keys": async | trappable,
            "wasi:keyvalue/atomics.increment": async | trappable,
            "wasi:keyvalue/atomics.swap": async | trappable,
            "wasi:keyvalue/batch.set-many": async | trappable,
            "wasi:keyvalue/batch.delete-many": async | trappable,
            "gust:keyvalue/expiry.set-for": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:keyvalue/store.bucket": super::super::Bucket,
            "wasi:keyvalue/atomics.cas": super::super::Cas,
        },
        trappable_error_type: { "wasi:keyvalue/store.error" => super::super::Refused },
    });
}

use bindings::{
    gust::keyvalue::expiry,
    wasi::keyvalue::{atomics, batch, store},
};

pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    store::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    atomics::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    batch::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    expiry::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)
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
        cursor: Option<String>,
    ) -> Result<store::KeyResponse, Refused> {
        let (keys, cursor) = self.keys(&bucket, cursor.unwrap_or_default()).await?;
        Ok(store::KeyResponse { keys, cursor })
    }

    fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.resources().delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for Host {
    async fn increment(&mut self, bucket: Resource<Bucket>, key: String, delta: i64) -> Result<i64, Refused> {
        let range = (i64::MIN.into(), i64::MAX.into());
        let number = Self::increment(self, &bucket, key, delta.into(), range).await?;
        Ok(i64::try_from(number).unwrap_or(i64::MAX))
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> wasmtime::Result<Result<(), atomics::CasError>> {
        let Cas { bucket, key, version } = self.resources().delete(cas)?;
        let change = Change::Swap { key: key.clone(), value, version };
        let refused = match bucket.change(change, None).await {
            Ok(Changed::Stale) => match bucket.get(&key) {
                Ok(now) => {
                    let version = now.map(|now| now.version);
                    return Ok(Err(atomics::CasError::CasFailed(self.give(Cas { bucket, key, version })?)));
                }
                Err(problem) => problem,
            },
            Ok(_) => return Ok(Ok(())),
            Err(problem) => problem,
        };
        let error = store::Host::convert_error(self, refused.into())?;
        Ok(Err(atomics::CasError::StoreError(error)))
    }
}

impl atomics::HostCas for Host {
    fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Result<Resource<Cas>, Refused> {
        let bucket = self.bucket(&bucket)?;
        let version = bucket.get(&key)?.map(|now| now.version);
        Ok(self.give(Cas { bucket, key, version })?)
    }

    /// The value as it is now, which is from then on the one that may be swapped.
    fn current(&mut self, cas: Resource<Cas>) -> Result<Option<Vec<u8>>, Refused> {
        let cas = self.resources().get_mut(&cas)?;
        let now = cas.bucket.get(&cas.key)?;
        cas.version = now.as_ref().map(|now| now.version);
        Ok(now.map(|now| now.value))
    }

    fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.resources().delete(cas)?;
        Ok(())
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

impl expiry::Host for Host {
    async fn set_for(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
        ttl_ms: u64,
    ) -> Result<(), Refused> {
        let ttl = Duration::from_millis(ttl_ms);
        check_ttl(ttl)?;
        self.change(&bucket, Change::Set(vec![(key, value)]), Some(ttl)).await.map(drop)
    }
}
