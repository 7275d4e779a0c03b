//! The one thread that writes. It takes all that waits for it, makes one transaction of it, waits for the disk once, and then tells
//! everyone: what costs most, the wait, is shared by as many as write at the same time.
//!
//! Whoever asks for something that cannot be fails alone, and before anything of it is written. Where the disk fails, all fail.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use gust_core::AppName;
use rusqlite::{Connection, Transaction};

use super::{accounts::Accounts, expiry};
use crate::{StoreError, change::change};

/// What is written in one transaction at most.
const BATCH_JOBS_MAX: usize = 4096;

/// The same in bytes.
const BATCH_BYTES_MAX: u64 = 16 << 20;

/// What may wait to be written, in bytes.
const WAITING_BYTES_MAX: u64 = 128 << 20;

/// What one job costs besides what it holds, in bytes.
const JOB_BYTES: u64 = 256;

/// Something to be written.
trait Job: Send {
    /// What waits with it, in bytes.
    fn bytes(&self) -> u64;

    /// Does it. Fails where the disk does.
    fn make(&mut self, writing: &mut Writing<'_>) -> Result<(), StoreError>;

    /// Tells whoever asked for it.
    fn end(self: Box<Self>, failed: Option<&StoreError>);
}

/// A transaction, and what it changes besides the rows.
pub(super) struct Writing<'a> {
    /// The transaction.
    pub(super) transaction: &'a Transaction<'a>,
    accounts: &'a Accounts,
    /// What was counted, by app.
    grown: &'a mut Vec<(AppName, i64)>,
    last_version: &'a mut u64,
    /// When the first expires of what was set.
    pub(super) expires_unix_ms: Option<u64>,
}

impl Writing<'_> {
    /// Counts what an app stores more or less, which is more only within `bytes_max`.
    pub(super) fn grow(&mut self, app: &AppName, bytes: i64, bytes_max: u64) -> Result<(), StoreError> {
        self.accounts.grow(app, bytes, bytes_max)?;
        match self.grown.iter_mut().find(|(grown, _)| grown == app) {
            Some((_, grown)) => *grown += bytes,
            None => self.grown.push((app.clone(), bytes)),
        }
        Ok(())
    }

    /// Counts that no app stores anything.
    pub(super) fn forget_accounts(&mut self) -> Result<(), StoreError> {
        for app in self.accounts.apps() {
            let stored_bytes = i64::try_from(self.accounts.stored_bytes(&app)).unwrap_or(i64::MAX);
            self.grow(&app, -stored_bytes, 0)?;
        }
        Ok(())
    }

    /// A version that nothing had.
    pub(super) fn version(&mut self) -> u64 {
        *self.last_version += 1;
        *self.last_version
    }

    /// Notes when something expires that is set.
    pub(super) fn expires(&mut self, unix_ms: Option<u64>) {
        self.expires_unix_ms = [self.expires_unix_ms, unix_ms].into_iter().flatten().min();
    }

    fn note_accounts(&self) -> Result<(), StoreError> {
        let text = "insert or replace into accounts values (?1, ?2)";
        let mut note = self.transaction.prepare_cached(text)?;
        for (app, _) in &*self.grown {
            note.execute((app.as_str(), self.accounts.stored_bytes(app)))?;
        }
        self.transaction.prepare_cached("update versions set last = ?1")?.execute([*self.last_version])?;
        Ok(())
    }
}

struct Asked<T, M, A> {
    bytes: u64,
    make: Option<M>,
    made: Option<Result<T, StoreError>>,
    answer: A,
}

impl<T, M, A> Job for Asked<T, M, A>
where
    T: Send,
    M: FnOnce(&mut Writing<'_>) -> Result<T, StoreError> + Send,
    A: FnOnce(Result<T, StoreError>) + Send,
{
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn make(&mut self, writing: &mut Writing<'_>) -> Result<(), StoreError> {
        let Some(make) = self.make.take() else { return Ok(()) };
        match make(writing) {
            Err(error) if error.is_of_the_disk() => Err(error),
            made => {
                self.made = Some(made);
                Ok(())
            }
        }
    }

    fn end(self: Box<Self>, failed: Option<&StoreError>) {
        let result = match (failed, self.made) {
            // It was told that it cannot be, which holds whatever became of the others.
            (_, Some(Err(error))) => Err(error),
            (None, Some(made)) => made,
            (failed, _) => Err(StoreError::Unwritten {
                is_full: matches!(failed, Some(StoreError::Full(_))),
                why: failed.map_or_else(|| "the host is going down".to_owned(), StoreError::to_string),
            }),
        };
        (self.answer)(result);
    }
}

/// The way to that thread. Dropping it waits until all is written.
pub(super) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    waiting_bytes: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(database: Connection, accounts: Arc<Accounts>) -> Result<Self, StoreError> {
        let last_version = database.query_row("select last from versions", [], |row| row.get(0))?;
        let (jobs, received) = mpsc::channel();
        let waiting_bytes = Arc::<AtomicU64>::default();
        let mut desk = Desk { database, accounts, last_version, waiting_bytes: waiting_bytes.clone(), sweep_at: None };
        desk.plan_sweep(expiry::first(&desk.database)?);
        let thread = thread::Builder::new().name("gust-state".to_owned()).spawn(move || desk.run(&received));
        let thread = thread.map_err(StoreError::io("starting the thread that writes"))?;
        Ok(Self { jobs: Some(jobs), waiting_bytes, thread: Some(thread) })
    }

    /// Has something written, of so many bytes. `answer` is called by the thread that writes when it is on the disk, or is not.
    pub(super) fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        make: impl FnOnce(&mut Writing<'_>) -> Result<T, StoreError> + Send + 'static,
        answer: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        let bytes = bytes as u64 + JOB_BYTES;
        let waiting = self.waiting_bytes.fetch_add(bytes, Relaxed);
        let job = Box::new(Asked { bytes, make: Some(make), made: None, answer });
        match &self.jobs {
            Some(jobs) if waiting <= WAITING_BYTES_MAX => {
                if let Err(refused) = jobs.send(job) {
                    self.waiting_bytes.fetch_sub(bytes, Relaxed);
                    refused.0.end(None);
                }
            }
            _ => {
                self.waiting_bytes.fetch_sub(bytes, Relaxed);
                (job.answer)(Err(StoreError::StateBusy("changes of state wait")));
            }
        }
    }

    /// Has something written, and waits for it.
    pub(super) fn write_and_wait<T: Send + 'static>(
        &self,
        make: impl FnOnce(&mut Writing<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = mpsc::channel();
        self.write(0, make, move |result| drop(answer.send(result)));
        let gone = |_| StoreError::Unwritten { is_full: false, why: "the thread that writes is gone".to_owned() };
        answered.recv().map_err(gone)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // What it panicked with was told already.
            let _ = thread.join();
        }
    }
}

/// What that thread has.
struct Desk {
    database: Connection,
    accounts: Arc<Accounts>,
    last_version: u64,
    waiting_bytes: Arc<AtomicU64>,
    /// When to look for what expired.
    sweep_at: Option<Instant>,
}

impl Desk {
    fn run(&mut self, jobs: &Receiver<Box<dyn Job>>) {
        loop {
            let first = match self.sweep_at {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => jobs.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match first {
                Ok(first) => self.write(batch(first, jobs)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.sweep_at.is_some_and(|at| at <= Instant::now()) {
                self.sweep();
            }
        }
    }

    fn write(&mut self, mut batch: Vec<Box<dyn Job>>) {
        let bytes: u64 = batch.iter().map(|job| job.bytes()).sum();
        let committed = self.commit(|writing| batch.iter_mut().try_for_each(|job| job.make(writing)));
        if let Err(error) = &committed {
            tracing::error!(%error, changes = batch.len(), "what functions keep could not be written");
        }
        for job in batch {
            job.end(committed.as_ref().err());
        }
        self.waiting_bytes.fetch_sub(bytes, Relaxed);
    }

    /// Removes some of what expired, and plans when to go on.
    fn sweep(&mut self) {
        let swept = self.commit(expiry::sweep);
        self.sweep_at = None;
        match swept.and_then(|()| expiry::first(&self.database)) {
            Ok(first) => self.plan_sweep(first),
            Err(error) => {
                tracing::warn!(%error, "what expired could not be removed");
                self.sweep_at = Some(Instant::now() + expiry::PAUSE_MAX);
            }
        }
    }

    fn plan_sweep(&mut self, expires_unix_ms: Option<u64>) {
        let Some(expires_unix_ms) = expires_unix_ms else { return };
        let in_ms = expires_unix_ms.saturating_sub(super::unix_ms());
        let pause = Duration::from_millis(in_ms).clamp(expiry::PAUSE_MIN, expiry::PAUSE_MAX);
        let at = Instant::now() + pause;
        self.sweep_at = Some(self.sweep_at.map_or(at, |planned| planned.min(at)));
    }

    /// One transaction. Where it fails nothing is changed, and nothing counted.
    fn commit(&mut self, make: impl FnOnce(&mut Writing<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let (mut grown, mut last_version) = (Vec::new(), self.last_version);
        let committed = change(&mut self.database, |transaction| {
            let mut writing = Writing {
                transaction,
                accounts: &self.accounts,
                grown: &mut grown,
                last_version: &mut last_version,
                expires_unix_ms: None,
            };
            make(&mut writing)?;
            writing.note_accounts()?;
            Ok::<_, StoreError>(writing.expires_unix_ms)
        });
        // Also where it failed, for nothing may get a version that something had for a moment.
        self.last_version = last_version;
        match committed {
            Ok(expires_unix_ms) => {
                self.plan_sweep(expires_unix_ms);
                Ok(())
            }
            Err(error) => {
                grown.iter().for_each(|(app, bytes)| self.accounts.undo(app, *bytes));
                Err(error)
            }
        }
    }
}

/// The first, and all that wait behind it, as far as they fit.
fn batch(first: Box<dyn Job>, jobs: &Receiver<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let mut bytes = first.bytes();
    let mut batch = vec![first];
    while batch.len() < BATCH_JOBS_MAX && bytes < BATCH_BYTES_MAX {
        let Ok(job) = jobs.try_recv() else { break };
        bytes += job.bytes();
        batch.push(job);
    }
    batch
}
