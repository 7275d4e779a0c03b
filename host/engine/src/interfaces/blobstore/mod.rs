//! `wasi:blobstore`: what a function keeps in containers. Content goes in and out in pieces, and never stands whole in the host's memory
//! unless the guest takes it whole.
//!
//! Containers are made by manifests: to create one is to open it, and to delete one removes its blobs.

mod streams;

use std::sync::Arc;

use gust_core::{Code, Problem, state::check_key};
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use self::streams::{Download, Upload};
use super::keyvalue::Refused;
use crate::{
    host::Host,
    state::{self, BlobId, BlobSource},
};

/// The interfaces of this module.
pub(super) const INTERFACES: &[&str] =
    &["wasi:blobstore/blobstore", "wasi:blobstore/container", "wasi:blobstore/types"];

/// The only release of `wasi:blobstore` that is spoken.
pub(super) const VERSION: &str = "0.2.0-draft";

/// The most of a blob that a guest may take whole, in bytes.
const WHOLE_BYTES_MAX: u64 = 64 << 20;

/// Names that a guest gets in one call.
const NAMES_MAX: u64 = 1000;

mod bindings {
    wasmtime::component::bindgen!({
        path: ["../../wit/deps/wasi-io-0.2.1", "../../wit/deps/wasi-blobstore-0.2.0-draft"],
        inline: "
            package gust:blobs;
            world blobs {
                import wasi:blobstore/blobstore@0.2.0-draft;
                import wasi:blobstore/container@0.2.0-draft;
                import wasi:blobstore/types@0.2.0-draft;
            }
        ",
        world: "gust:blobs/blobs",
        imports: {
            "wasi:blobstore/blobstore.create-container": trappable,
            "wasi:blobstore/blobstore.get-container": trappable,
            "wasi:blobstore/blobstore.container-exists": trappable,
            "wasi:blobstore/types.[static]outgoing-value.new-outgoing-value": trappable,
            "wasi:blobstore/types.[method]outgoing-value.outgoing-value-write-body": async | trappable,
            "wasi:blobstore/types.[static]incoming-value.incoming-value-consume-async": trappable,
            "wasi:blobstore/types.[method]incoming-value.size": trappable,
            "wasi:blobstore/container.[method]container.name": trappable,
            "wasi:blobstore/container.[method]container.info": trappable,
            "wasi:blobstore/container.[method]container.write-data": trappable,
            "wasi:blobstore/container.[method]container.list-objects": trappable,
            default: async | trappable,
        },
        with: {
            "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
            "wasi:blobstore/container.container": super::Container,
            "wasi:blobstore/container.stream-object-names": super::Names,
            "wasi:blobstore/types.outgoing-value": super::Outgoing,
            "wasi:blobstore/types.incoming-value": super::Incoming,
        },
    });
}

use bindings::wasi::blobstore::{
    blobstore,
    container::{self, ContainerMetadata, ObjectMetadata},
    types::{self, ObjectId},
};

/// Adds them.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    types::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    container::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)?;
    blobstore::add_to_linker::<Host, HasSelf<Host>>(linker, |host| host)
}

/// A container that a guest has open.
pub struct Container {
    name: String,
    container: Arc<dyn state::Container>,
}

/// The names of a container's blobs, as far as they are not read.
pub struct Names {
    container: Arc<dyn state::Container>,
    after: String,
}

/// A blob that a guest writes.
#[derive(Default)]
pub struct Outgoing {
    upload: Option<Upload>,
    /// What it becomes when it is finished.
    becomes: Option<BlobId>,
}

/// A part of a blob that a guest may read.
pub struct Incoming {
    blob: Arc<dyn BlobSource>,
    from: u64,
    /// The first byte that is not part of it.
    to: u64,
}

/// What an interface without an error of its own gives.
type Told<T> = wasmtime::Result<Result<T, String>>;

/// What a guest is told of a refusal: its text, and the guest goes on.
fn told<T>(result: Result<T, Refused>) -> Told<T> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Refused::Problem(problem)) => Ok(Err(problem.detail)),
        Err(Refused::Denied) => Ok(Err("it is not allowed".to_owned())),
        Err(Refused::Trap(error)) => Err(error),
    }
}

/// What a function keeps, and a container of it.
type MayUse<'a> = (&'a Arc<dyn state::State>, Arc<dyn state::Container>);

fn no_blob(name: &str) -> Refused {
    let name: String = name.chars().take(64).collect();
    Problem::new(Code::StateNotFound, format!("there is no blob {name:?}")).into()
}

fn invalid(detail: impl Into<String>) -> Refused {
    Problem::new(Code::StateInvalid, detail).into()
}

impl Host {
    /// The state of a function that may use this container.
    fn may_use(&self, container: &str) -> Result<MayUse<'_>, Refused> {
        let found = self.state().and_then(|state| Some((state, state.container(container)?)));
        found.ok_or_else(|| invalid(self.refusal("blob", container)))
    }

    fn open_container(&mut self, name: String) -> Result<Resource<Container>, Refused> {
        let (_, container) = self.may_use(&name)?;
        Ok(self.give(Container { name, container })?)
    }

    fn container(&mut self, container: &Resource<Container>) -> Result<Arc<dyn state::Container>, Refused> {
        Ok(self.resources().get(container)?.container.clone())
    }

    async fn part(
        &mut self,
        container: &Resource<Container>,
        name: String,
        (start, end): (u64, u64),
    ) -> Result<Resource<Incoming>, Refused> {
        let shown = name.clone();
        let blob = self.container(container)?.read(name).await?.ok_or_else(|| no_blob(&shown))?;
        let size_bytes = blob.size_bytes();
        let is_whole = start == 0;
        if start > end || (start >= size_bytes && !is_whole) {
            return Err(invalid(format!("bytes {start} to {end} are not a part of {size_bytes} bytes")));
        }
        let to = end.saturating_add(1).min(size_bytes);
        Ok(self.give(Incoming { blob, from: start, to })?)
    }

    async fn known(&mut self, container: &Resource<Container>, name: String) -> Result<ObjectMetadata, Refused> {
        let Container { name: within, container } = self.resources().get(container)?;
        let (within, container) = (within.clone(), container.clone());
        let blob = container.blob(name.clone()).await?.ok_or_else(|| no_blob(&name))?;
        Ok(ObjectMetadata { name, container: within, created_at: blob.created_unix_ms / 1000, size: blob.size_bytes })
    }

    async fn next_names(&mut self, names: &Resource<Names>, max: u64) -> Result<(Vec<String>, bool), Refused> {
        let max = usize::try_from(max.min(NAMES_MAX)).unwrap_or_default();
        let Names { container, after } = self.resources().get(names)?;
        let found = container.clone().names(after.clone(), max).await?;
        let is_end = found.len() < max;
        if let Some(last) = found.last() {
            self.resources().get_mut(names)?.after.clone_from(last);
        }
        Ok((found, is_end))
    }

    async fn finish_upload(&mut self, outgoing: Resource<Outgoing>) -> Result<(), Refused> {
        let Outgoing { upload, becomes } = self.resources().delete(outgoing)?;
        let Some(id) = becomes else { return Ok(()) };
        let sink = match upload {
            Some(upload) => upload.finish().await?,
            // Nothing was written.
            None => self.may_use(&id.container)?.0.begin_blob().await?,
        };
        Ok(sink.keep(id).await?)
    }

    async fn copy(&mut self, from: ObjectId, to: ObjectId, is_move: bool) -> Result<(), Refused> {
        check_key(&to.object)?;
        self.may_use(&to.container)?;
        let (state, _) = self.may_use(&from.container)?;
        let id = |ObjectId { container, object }| BlobId { container, name: object };
        let copying = state.copy_blob(id(from), id(to), is_move);
        Ok(copying.await?)
    }
}

impl blobstore::Host for Host {
    fn create_container(&mut self, name: String) -> Told<Resource<Container>> {
        told(self.open_container(name))
    }

    fn get_container(&mut self, name: String) -> Told<Resource<Container>> {
        told(self.open_container(name))
    }

    async fn delete_container(&mut self, name: String) -> Told<()> {
        let clearing = match self.may_use(&name) {
            Ok((_, container)) => container.clear(),
            Err(refused) => return told(Err(refused)),
        };
        told(clearing.await.map_err(Refused::from))
    }

    fn container_exists(&mut self, name: String) -> Told<bool> {
        Ok(Ok(self.may_use(&name).is_ok()))
    }

    async fn copy_object(&mut self, from: ObjectId, to: ObjectId) -> Told<()> {
        told(self.copy(from, to, false).await)
    }

    async fn move_object(&mut self, from: ObjectId, to: ObjectId) -> Told<()> {
        told(self.copy(from, to, true).await)
    }
}

impl container::Host for Host {}

impl container::HostContainer for Host {
    fn name(&mut self, container: Resource<Container>) -> Told<String> {
        Ok(Ok(self.resources().get(&container)?.name.clone()))
    }

    /// It is there as long as a manifest names it, so nobody made it at a time.
    fn info(&mut self, container: Resource<Container>) -> Told<ContainerMetadata> {
        let name = self.resources().get(&container)?.name.clone();
        Ok(Ok(ContainerMetadata { name, created_at: 0 }))
    }

    async fn get_data(
        &mut self,
        container: Resource<Container>,
        name: String,
        start: u64,
        end: u64,
    ) -> Told<Resource<Incoming>> {
        told(self.part(&container, name, (start, end)).await)
    }

    /// Content that is written before and after it is given a name; it is there when it is finished.
    fn write_data(&mut self, container: Resource<Container>, name: String, data: Resource<Outgoing>) -> Told<()> {
        if let Err(problem) = check_key(&name) {
            return told(Err(problem.into()));
        }
        let container = self.resources().get(&container)?.name.clone();
        self.resources().get_mut(&data)?.becomes = Some(BlobId { container, name });
        Ok(Ok(()))
    }

    fn list_objects(&mut self, container: Resource<Container>) -> Told<Resource<Names>> {
        let container = self.resources().get(&container)?.container.clone();
        Ok(Ok(self.give(Names { container, after: String::new() })?))
    }

    async fn delete_object(&mut self, container: Resource<Container>, name: String) -> Told<()> {
        container::HostContainer::delete_objects(self, container, vec![name]).await
    }

    async fn delete_objects(&mut self, container: Resource<Container>, names: Vec<String>) -> Told<()> {
        let removing = self.resources().get(&container)?.container.remove(names);
        told(removing.await.map_err(Refused::from))
    }

    async fn has_object(&mut self, container: Resource<Container>, name: String) -> Told<bool> {
        let looking = self.resources().get(&container)?.container.blob(name);
        told(looking.await.map(|blob| blob.is_some()).map_err(Refused::from))
    }

    async fn object_info(&mut self, container: Resource<Container>, name: String) -> Told<ObjectMetadata> {
        told(self.known(&container, name).await)
    }

    async fn clear(&mut self, container: Resource<Container>) -> Told<()> {
        let clearing = self.resources().get(&container)?.container.clear();
        told(clearing.await.map_err(Refused::from))
    }

    async fn drop(&mut self, container: Resource<Container>) -> wasmtime::Result<()> {
        self.resources().delete(container)?;
        Ok(())
    }
}

impl container::HostStreamObjectNames for Host {
    async fn read_stream_object_names(&mut self, names: Resource<Names>, len: u64) -> Told<(Vec<String>, bool)> {
        told(self.next_names(&names, len).await)
    }

    async fn skip_stream_object_names(&mut self, names: Resource<Names>, num: u64) -> Told<(u64, bool)> {
        let next = self.next_names(&names, num).await;
        told(next.map(|(skipped, is_end)| (skipped.len() as u64, is_end)))
    }

    async fn drop(&mut self, names: Resource<Names>) -> wasmtime::Result<()> {
        self.resources().delete(names)?;
        Ok(())
    }
}

impl types::Host for Host {}

impl types::HostOutgoingValue for Host {
    fn new_outgoing_value(&mut self) -> wasmtime::Result<Resource<Outgoing>> {
        Ok(self.give(Outgoing::default())?)
    }

    /// At most once. A guest that may use no container has nothing to write to.
    async fn outgoing_value_write_body(
        &mut self,
        outgoing: Resource<Outgoing>,
    ) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        let is_taken = self.resources().get(&outgoing)?.upload.is_some();
        let Some(state) = self.state().filter(|_| !is_taken) else { return Ok(Err(())) };
        let beginning = state.begin_blob();
        let upload = match beginning.await {
            Ok(sink) => Upload::begin(sink),
            Err(problem) => Upload::failed(problem),
        };
        let stream: DynOutputStream = Box::new(upload.stream());
        self.resources().get_mut(&outgoing)?.upload = Some(upload);
        Ok(Ok(self.give(stream)?))
    }

    async fn finish(&mut self, outgoing: Resource<Outgoing>) -> Told<()> {
        told(self.finish_upload(outgoing).await)
    }

    async fn drop(&mut self, outgoing: Resource<Outgoing>) -> wasmtime::Result<()> {
        self.resources().delete(outgoing)?;
        Ok(())
    }
}

impl types::HostIncomingValue for Host {
    async fn incoming_value_consume_sync(&mut self, incoming: Resource<Incoming>) -> Told<Vec<u8>> {
        let bytes_max = WHOLE_BYTES_MAX.min(self.terms().limits.memory_bytes());
        let incoming = self.resources().delete(incoming)?;
        let bytes = incoming.to - incoming.from;
        if bytes > bytes_max {
            let text = format!("{bytes} bytes are too many to be taken whole; take them as a stream");
            return told(Err(invalid(text)));
        }
        told(incoming.whole().await.map_err(Refused::from))
    }

    fn incoming_value_consume_async(&mut self, incoming: Resource<Incoming>) -> Told<Resource<DynInputStream>> {
        let Incoming { blob, from, to } = self.resources().delete(incoming)?;
        let stream: DynInputStream = Box::new(Download::new(blob, from, to));
        Ok(Ok(self.give(stream)?))
    }

    fn size(&mut self, incoming: Resource<Incoming>) -> wasmtime::Result<u64> {
        let Incoming { from, to, .. } = self.resources().get(&incoming)?;
        Ok(to - from)
    }

    async fn drop(&mut self, incoming: Resource<Incoming>) -> wasmtime::Result<()> {
        self.resources().delete(incoming)?;
        Ok(())
    }
}

impl Incoming {
    async fn whole(self) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.to - self.from).unwrap_or_default());
        loop {
            let at = self.from + bytes.len() as u64;
            let left = usize::try_from(self.to - at).unwrap_or(usize::MAX);
            let piece =
                if left == 0 { break } else { self.blob.clone().read(at, left.min(streams::PIECE_BYTES)).await? };
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}
