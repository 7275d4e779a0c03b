//! What the functions of an app may use together: requests a second, requests at a time, time that guests run in a day.
//!
//! An app without quotas pays nothing for them; one with quotas a few atomic operations a request, on what only its own
//! requests share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use gust_core::{Code, Problem, app::Quotas};
use gust_engine::{Place, Places, Share};

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// The quotas of an app, and what of them is used.
pub(crate) struct Quota {
    rate: Option<Arc<Rate>>,
    places: Option<(Arc<Places>, u32)>,
    cpu_us_per_day: Option<u64>,
    /// What its guests get of the processor where others want it too.
    pub(crate) share: Arc<Share>,
    /// What its functions may store, in bytes: as it is now for all that go on.
    pub(crate) storage_bytes_max: Arc<AtomicU64>,
    /// What guests ran today.
    pub(crate) cpu: Arc<CpuAccount>,
}

/// What an app's guests ran on a day, in microseconds.
#[derive(Default)]
pub(crate) struct CpuAccount {
    day: AtomicU64,
    us: AtomicU64,
}

/// Days since 1970-01-01.
pub(crate) fn day(unix_ms: u64) -> u64 {
    unix_ms / DAY_MS
}

impl CpuAccount {
    /// Begins with what was noted of a day.
    pub(crate) fn begin(day: u64, us: u64) -> Arc<Self> {
        Arc::new(Self { day: AtomicU64::new(day), us: AtomicU64::new(us) })
    }

    /// Counts what a request used. Called by one thread.
    pub(crate) fn add(&self, unix_ms: u64, us: u64) {
        let (today, counted) = (day(unix_ms), self.day.load(Relaxed));
        if today > counted {
            self.us.store(us, Relaxed);
            self.day.store(today, Relaxed);
        } else if today == counted {
            self.us.fetch_add(us, Relaxed);
        }
    }

    /// What was used on the day of this moment.
    pub(crate) fn us(&self, unix_ms: u64) -> u64 {
        if self.day.load(Relaxed) == day(unix_ms) { self.us.load(Relaxed) } else { 0 }
    }
}

impl Quota {
    /// As an app's owner has it. What was used of the quotas before goes on to count.
    pub(crate) fn new(quotas: &Quotas, before: Option<&Self>, cpu: Arc<CpuAccount>) -> Self {
        let places = quotas.concurrency.map(|concurrency| {
            let running = before.and_then(|before| before.places.as_ref()).map(|(places, _)| places.clone());
            let places = running.unwrap_or_else(|| Places::new(0));
            places.resize(concurrency as usize);
            (places, concurrency)
        });
        let rate = quotas.requests_per_s.map(|per_s| {
            let before = before.and_then(|before| before.rate.as_ref());
            before.filter(|rate| rate.per_s == per_s).cloned().unwrap_or_else(|| Arc::new(Rate::new(per_s)))
        });
        let cpu_us_per_day = quotas.cpu_ms_per_day.map(|ms| ms.saturating_mul(1000));
        let weight = quotas.cpu_weight.unwrap_or(Share::WEIGHT_DEFAULT);
        let share = before.map_or_else(|| Share::new(weight), |before| before.share.clone());
        share.set_weight(weight);
        let storage_bytes_max = before.map(|before| before.storage_bytes_max.clone()).unwrap_or_default();
        storage_bytes_max.store(quotas.storage_bytes(), Relaxed);
        Self { rate, places, cpu_us_per_day, share, storage_bytes_max, cpu }
    }

    /// Lets a request begin, or says which quota it is over. What it gives is held until the request is over.
    pub(crate) fn admit(&self, now: impl Fn() -> u64) -> Result<Option<Place>, Problem> {
        if let Some(max) = self.cpu_us_per_day {
            let unix_ms = now();
            let used = self.cpu.us(unix_ms);
            if used >= max {
                let (used_ms, max_ms) = (used / 1000, max / 1000);
                let detail =
                    format!("its guests have run for {used_ms} ms today; its quota cpu_ms_per_day is {max_ms}");
                let until_midnight_s = (DAY_MS - unix_ms % DAY_MS).div_ceil(1000);
                return Err(Problem::new(Code::QuotaCpu, detail).with_retry_after(until_midnight_s as u32));
            }
        }
        if let Some(rate) = &self.rate {
            rate.admit()?;
        }
        let Some((places, max)) = &self.places else { return Ok(None) };
        places.try_take().map(Some).ok_or_else(|| {
            let detail = format!("{max} requests of the app are running, its quota concurrency");
            Problem::new(Code::QuotaConcurrency, detail)
        })
    }
}

/// So many a second, and as many at once: the generic cell rate algorithm (ITU-T I.371), whose state is one number.
struct Rate {
    per_s: u32,
    began: Instant,
    /// When the next request would be due if all came evenly, in nanoseconds since it began.
    due_ns: AtomicU64,
}

impl Rate {
    fn new(per_s: u32) -> Self {
        Self { per_s, began: Instant::now(), due_ns: AtomicU64::new(0) }
    }

    fn admit(&self) -> Result<(), Problem> {
        let wait_ns = self.admit_at(self.began.elapsed().as_nanos() as u64);
        if wait_ns == 0 {
            return Ok(());
        }
        let detail = format!("more than {} requests in a second, its quota requests_per_s", self.per_s);
        Err(Problem::new(Code::QuotaRequests, detail).with_retry_after(wait_ns.div_ceil(NS_PER_S) as u32))
    }

    /// Lets one through, or says how long until one could.
    fn admit_at(&self, now_ns: u64) -> u64 {
        let each_ns = (NS_PER_S / u64::from(self.per_s.max(1))).max(1);
        // So far ahead of an even flow a burst may be.
        let ahead_ns_max = NS_PER_S - each_ns;
        let taken = self.due_ns.fetch_update(Relaxed, Relaxed, |due| {
            let due = due.max(now_ns);
            (due - now_ns <= ahead_ns_max).then_some(due + each_ns)
        });
        taken.map_or_else(|due| due - now_ns - ahead_ns_max, |_| 0)
    }
}

const NS_PER_S: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lets_as_many_through_as_it_says() {
        let rate = Rate::new(10);
        assert_eq!((0..100).filter(|_| rate.admit_at(0) == 0).count(), 10, "at once");
        let wait = rate.admit_at(0);
        assert_eq!(wait, NS_PER_S / 10);
        assert_ne!(rate.admit_at(wait - 1), 0);
        assert_eq!(rate.admit_at(wait), 0, "when it said");
        let evenly = (0..1000_u64).filter(|n| rate.admit_at(NS_PER_S + n * NS_PER_S / 100) == 0).count();
        assert!((107..=111).contains(&evenly), "{evenly} in ten seconds and a burst");
    }

    #[test]
    fn cpu_time_is_counted_by_the_day() {
        let quota =
            Quota::new(&Quotas { cpu_ms_per_day: Some(5), ..Quotas::default() }, None, CpuAccount::begin(1, 3_000));
        let at = DAY_MS + 1000;
        assert!(quota.admit(|| at).is_ok());
        quota.cpu.add(at, 4_000);
        let refused = quota.admit(|| at).unwrap_err();
        assert_eq!(refused.detail, "its guests have run for 7 ms today; its quota cpu_ms_per_day is 5");
        assert_eq!((refused.code, refused.retry_after_s), (Code::QuotaCpu, Some(86_399)));
        assert!(quota.admit(|| 2 * DAY_MS).is_ok(), "the next day");
        quota.cpu.add(2 * DAY_MS, 1);
        assert_eq!((quota.cpu.us(2 * DAY_MS), quota.cpu.us(at)), (1, 0));
    }

    #[test]
    fn requests_that_run_count_also_where_the_quota_is_changed() {
        let of = |concurrency, before| {
            let quotas = Quotas { concurrency: Some(concurrency), ..Quotas::default() };
            Quota::new(&quotas, before, Arc::default())
        };
        let quota = of(1, None);
        let held = quota.admit(|| 0).unwrap();
        let (same, more) = (of(1, Some(&quota)), of(2, Some(&quota)));
        let another = more.admit(|| 0).unwrap();
        assert_eq!(more.admit(|| 0).unwrap_err().code, Code::QuotaConcurrency);
        let fewer = of(1, Some(&more));
        drop(held);
        assert!(fewer.admit(|| 0).is_err() && same.admit(|| 0).is_err(), "another one runs");
        drop(another);
        assert!(fewer.admit(|| 0).is_ok());
    }
}
