//! What a function keeps: the engine's traits over the store. A function reaches what its manifest names, in its own app.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use gust_core::{
    AppName, Code, Problem, StateName,
    state::{Blob, Change, Changed, PAGE_KEYS_MAX, Versioned, check_key},
};
use gust_engine::{BlobId, BlobSink, BlobSource, Bucket, Container, Pending, State};
use gust_store::{BlobReading, BlobWriting, Kept, Place, Store, StoreError};
use tokio::sync::oneshot;

use crate::{deployment::Terms, work::blocking};

/// What of the store a function of an app may use, where its manifest allows any. `bytes_max` is what the app may store now.
pub(crate) fn of(
    store: &Arc<Store>,
    app: &AppName,
    terms: &Terms,
    bytes_max: &Arc<AtomicU64>,
) -> Option<Arc<dyn State>> {
    let allow = &terms.allow;
    if allow.kv.is_empty() && allow.blob.is_empty() {
        return None;
    }
    let drawer = |name: &StateName| Drawer {
        store: store.clone(),
        place: Place::new(app, name),
        ttl: terms.kv.get(name).and_then(|bucket| bucket.ttl).map(|ttl| ttl.as_duration()),
        bytes_max: bytes_max.clone(),
    };
    let of_names = |names: &std::collections::BTreeSet<StateName>| {
        names.iter().map(|name| (name.clone(), Arc::new(drawer(name)))).collect::<Arc<[_]>>()
    };
    Some(Arc::new(Cabinet {
        store: store.clone(),
        app: app.clone(),
        bytes_max: bytes_max.clone(),
        buckets: of_names(&allow.kv),
        containers: of_names(&allow.blob),
    }))
}

/// All that a function may use.
struct Cabinet {
    store: Arc<Store>,
    app: AppName,
    bytes_max: Arc<AtomicU64>,
    buckets: Arc<[(StateName, Arc<Drawer>)]>,
    containers: Arc<[(StateName, Arc<Drawer>)]>,
}

/// One bucket or container.
struct Drawer {
    store: Arc<Store>,
    place: Place,
    /// How long what is set there is kept.
    ttl: Option<Duration>,
    bytes_max: Arc<AtomicU64>,
}

fn named<'a>(drawers: &'a [(StateName, Arc<Drawer>)], name: &str) -> Option<&'a Arc<Drawer>> {
    drawers.iter().find(|(known, _)| known.as_str() == name).map(|(_, drawer)| drawer)
}

impl State for Cabinet {
    fn bucket(&self, name: &str) -> Option<Arc<dyn Bucket>> {
        named(&self.buckets, name).map(|drawer| drawer.clone() as _)
    }

    fn container(&self, name: &str) -> Option<Arc<dyn Container>> {
        named(&self.containers, name).map(|drawer| drawer.clone() as _)
    }

    fn begin_blob(&self) -> Pending<Box<dyn BlobSink>> {
        let (store, app, bytes_max) = (self.store.clone(), self.app.clone(), self.bytes_max.load(Relaxed));
        let containers = self.containers.clone();
        at_leisure(move || {
            let writing = store.state().begin_blob(&app, bytes_max)?;
            Ok(Box::new(Sink { writing, containers }) as Box<dyn BlobSink>)
        })
    }

    fn copy_blob(&self, from: BlobId, to: BlobId, is_move: bool) -> Pending<()> {
        let (containers, bytes_max) = (self.containers.clone(), self.bytes_max.load(Relaxed));
        at_leisure(move || {
            let place = |id: &BlobId| named(&containers, &id.container).ok_or_else(|| not_there(id));
            let (source, target) = (place(&from)?, place(&to)?);
            let (from, to) = ((&source.place, from.name.as_str()), (&target.place, to.name.as_str()));
            let state = source.store.state();
            if is_move {
                state.move_blob(from, to)?
            } else {
                state.copy_blob(from, to, bytes_max)?
            }
            Ok(())
        })
    }
}

impl Bucket for Drawer {
    fn get(&self, key: &str) -> Result<Option<Versioned>, Problem> {
        check_key(key)?;
        self.store.state().get(&self.place, key).map_err(told)
    }

    fn exists(&self, key: &str) -> Result<bool, Problem> {
        check_key(key)?;
        self.store.state().exists(&self.place, key).map_err(told)
    }

    fn keys(&self, after: String) -> Pending<Vec<String>> {
        let (store, place) = (self.store.clone(), self.place.clone());
        at_leisure(move || Ok(store.state().keys(&place, "", &after, PAGE_KEYS_MAX)?))
    }

    fn change(&self, change: Change, ttl: Option<Duration>) -> Pending<Changed> {
        let kept = Kept { ttl: ttl.or(self.ttl), bytes_max: self.bytes_max.load(Relaxed) };
        let (answer, answered) = oneshot::channel();
        // Nobody may wait for it any more.
        self.store.state().change(&self.place, change, kept, move |changed| drop(answer.send(changed)));
        Box::pin(async move {
            let gone = |_| Problem::new(Code::HostDraining, "the host is going down");
            answered.await.map_err(gone)?.map_err(told)
        })
    }
}

impl Container for Drawer {
    fn blob(&self, name: String) -> Pending<Option<Blob>> {
        let (store, place) = (self.store.clone(), self.place.clone());
        at_leisure(move || Ok(store.state().blob(&place, &name)?))
    }

    fn read(&self, name: String) -> Pending<Option<Arc<dyn BlobSource>>> {
        let (store, place) = (self.store.clone(), self.place.clone());
        at_leisure(move || {
            let reading = store.state().read_blob(&place, &name)?;
            Ok(reading.map(|reading| Arc::new(Source(reading)) as Arc<dyn BlobSource>))
        })
    }

    fn names(&self, after: String, max: usize) -> Pending<Vec<String>> {
        let (store, place) = (self.store.clone(), self.place.clone());
        at_leisure(move || {
            let blobs = store.state().blobs(&place, "", &after, max)?;
            Ok(blobs.into_iter().map(|blob| blob.name).collect())
        })
    }

    fn remove(&self, names: Vec<String>) -> Pending<()> {
        let (store, place) = (self.store.clone(), self.place.clone());
        at_leisure(move || Ok(store.state().remove_blobs(&place, &names).map(drop)?))
    }

    fn clear(&self) -> Pending<()> {
        let (store, place) = (self.store.clone(), self.place.clone());
        at_leisure(move || Ok(store.state().clear_blobs(&place)?))
    }
}

/// A blob that a guest writes.
struct Sink {
    writing: BlobWriting,
    /// Where it may be kept.
    containers: Arc<[(StateName, Arc<Drawer>)]>,
}

impl BlobSink for Sink {
    fn write(mut self: Box<Self>, piece: Bytes) -> Pending<Box<dyn BlobSink>> {
        at_leisure(move || {
            self.writing.write(&piece)?;
            Ok(self as Box<dyn BlobSink>)
        })
    }

    fn keep(self: Box<Self>, id: BlobId) -> Pending<()> {
        at_leisure(move || {
            let drawer = named(&self.containers, &id.container).ok_or_else(|| not_there(&id))?;
            let written = self.writing.finish()?;
            drawer.store.state().keep_blob(&drawer.place, &id.name, written)?;
            Ok(())
        })
    }
}

/// A blob that a guest reads.
struct Source(BlobReading);

impl BlobSource for Source {
    fn size_bytes(&self) -> u64 {
        self.0.size_bytes
    }

    fn read(self: Arc<Self>, offset: u64, bytes_max: usize) -> Pending<Bytes> {
        at_leisure(move || {
            let mut piece = vec![0; bytes_max];
            let read = self.0.read_at(&mut piece, offset)?;
            piece.truncate(read);
            Ok(piece.into())
        })
    }
}

/// Begins what blocks, where it may. It is done also where nobody waits for it any more.
fn at_leisure<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Pending<T> {
    let working = tokio::spawn(blocking(work));
    Box::pin(async move {
        let lost = |_| Problem::new(Code::HostDraining, "the host is going down");
        working.await.map_err(lost)??.inspect_err(note)
    })
}

fn told(error: StoreError) -> Problem {
    let problem = error.into();
    note(&problem);
    problem
}

/// What the guest is not told stands in the host's log.
fn note(problem: &Problem) {
    if problem.code.source() == gust_core::Source::Host {
        tracing::error!(code = problem.code.as_str(), internal = problem.internal, "state: {}", problem.detail);
    }
}

fn not_there(id: &BlobId) -> Problem {
    Problem::new(Code::StateInvalid, format!("the container {:?} is not allowed", id.container))
}
