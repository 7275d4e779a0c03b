//! What one function may use, with the defaults of one that states nothing, and what an app or a host caps it at.
//!
//! The table below is the one place where a limit lives: its key in the manifest, its default, the least that it can be, and what
//! it means. Each has a code of its own where a request is refused or ended for it ([`Code`](crate::Code)), and all are counted by
//! their keys ([`Reached`]).

use std::{
    fmt::{self, Display, Formatter},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Bytes in a mebibyte.
const MIB: u64 = 1 << 20;

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $key:ident: $name:ident = $default:tt, $min:tt;)*) => {
        /// The limits of one function, all in force. As JSON they have the manifest's names and units.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct Limits { $($(#[doc = $doc])+ pub $key: u32,)* }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        /// The most that limits are; what is not said is not capped.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields, default, expecting = "a table of limits, as { wall_ms = 5000 }")]
        pub struct LimitCaps {
            $(
                #[doc = concat!("Caps `", stringify!($key), "`.")]
                #[serde(skip_serializing_if = "Option::is_none")]
                #[schema(minimum = $min, maximum = 4294967295u32)]
                pub $key: Option<u32>,
            )*
        }

        /// A limit, without its value.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Limit { $($(#[doc = $doc])+ $name,)* }

        impl Limit {
            /// All there are, in the table's order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its key in the manifest.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => stringify!($key),)* }
            }

            /// The least that it can be.
            pub const fn min(self) -> u32 {
                match self { $(Self::$name => $min,)* }
            }

            /// What it means.
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)* }
            }
        }

        impl Limits {
            /// The value of a limit.
            pub const fn get(&self, limit: Limit) -> u32 {
                match limit { $(Limit::$name => self.$key,)* }
            }

            /// These limits, none above its cap.
            #[must_use]
            pub fn capped(&self, caps: &LimitCaps) -> Self {
                Self { $($key: caps.$key.map_or(self.$key, |cap| self.$key.min(cap)),)* }
            }
        }

        impl LimitCaps {
            /// The cap of a limit.
            pub const fn get(&self, limit: Limit) -> Option<u32> {
                match limit { $(Limit::$name => self.$key,)* }
            }

            fn set(&mut self, limit: Limit, cap: u32) {
                match limit { $(Limit::$name => self.$key = Some(cap),)* }
            }
        }
    };
}

limits! {
    /// All of an instance's memories and tables together, in MiB.
    memory_mib: Memory = 128, 1;
    /// How long threads may run it for one request, in milliseconds: what it waits for does not count.
    cpu_ms: Cpu = 10_000, 1;
    /// From the request's head to the last byte of the response, in milliseconds.
    wall_ms: Wall = 30_000, 1;
    /// Requests of this function at the same time.
    concurrency: Concurrency = 256, 1;
    /// Requests that may wait for one of those places.
    queue: Queue = 0, 0;
    /// The longest that a request waits for one, in milliseconds.
    queue_ms: QueueTime = 1_000, 1;
    /// The request's body, in MiB.
    request_body_mib: RequestBody = 16, 1;
    /// The response's body, in MiB.
    response_body_mib: ResponseBody = 64, 1;
    /// The header fields of its response, and of each other set of fields that it makes, in KiB.
    headers_kib: Headers = 64, 1;
    /// What it may print in one request, in KiB; the rest is counted and dropped.
    log_kib: Log = 64, 1;
    /// Requests that it may send in one request.
    calls: Calls = 100, 0;
    /// The bodies of those requests and of their answers, all together, in MiB.
    calls_body_mib: CallsBody = 64, 1;
    /// Resources that it may hold at the same time: bodies, streams, timers, sets of header fields and the like.
    handles: Handles = 1_000, 1;
    /// Its component, in MiB.
    component_mib: Component = 64, 1;
}

impl Limits {
    /// Each limit by its key, in the table's order.
    pub fn by_key(&self) -> impl Iterator<Item = (&'static str, u32)> {
        Limit::ALL.iter().map(|limit| (limit.key(), self.get(*limit)))
    }

    /// One that is less than it can be.
    pub fn too_small(&self) -> Option<Limit> {
        Limit::ALL.iter().copied().find(|limit| self.get(*limit) < limit.min())
    }

    /// `memory_mib` in bytes.
    pub fn memory_bytes(&self) -> u64 {
        u64::from(self.memory_mib) * MIB
    }

    /// `request_body_mib` in bytes.
    pub fn request_body_bytes(&self) -> u64 {
        u64::from(self.request_body_mib) * MIB
    }

    /// `response_body_mib` in bytes.
    pub fn response_body_bytes(&self) -> u64 {
        u64::from(self.response_body_mib) * MIB
    }

    /// `headers_kib` in bytes.
    pub fn headers_bytes(&self) -> usize {
        (self.headers_kib as usize) << 10
    }

    /// `log_kib` in bytes.
    pub fn log_bytes(&self) -> u64 {
        u64::from(self.log_kib) << 10
    }

    /// `calls_body_mib` in bytes.
    pub fn calls_body_bytes(&self) -> u64 {
        u64::from(self.calls_body_mib) * MIB
    }

    /// `component_mib` in bytes.
    pub fn component_bytes(&self) -> u64 {
        u64::from(self.component_mib) * MIB
    }
}

impl LimitCaps {
    /// Each cap by its limit's key, in the table's order.
    pub fn by_key(&self) -> impl Iterator<Item = (&'static str, Option<u32>)> {
        Limit::ALL.iter().map(|limit| (limit.key(), self.get(*limit)))
    }

    /// One that is less than its limit can be.
    pub fn too_small(&self) -> Option<Limit> {
        Limit::ALL.iter().copied().find(|limit| self.get(*limit).is_some_and(|cap| cap < limit.min()))
    }
}

/// A text that is no caps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} caps no limit; write wall_ms=5000,memory_mib=64, by the keys of [limits] in gust.toml")]
pub struct LimitCapsError(String);

/// `wall_ms=5000,memory_mib=64`; nothing caps nothing.
impl FromStr for LimitCaps {
    type Err = LimitCapsError;

    fn from_str(text: &str) -> Result<Self, LimitCapsError> {
        let mut caps = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let wrong = || LimitCapsError(pair.to_owned());
            let (key, cap) = pair.split_once('=').ok_or_else(wrong)?;
            let limit = Limit::ALL.iter().find(|limit| limit.key() == key.trim()).ok_or_else(wrong)?;
            caps.set(*limit, cap.trim().parse().map_err(|_| wrong())?);
        }
        Ok(caps)
    }
}

/// Which limits a request ran into, each once, whatever became of the request then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached(u32);

impl Reached {
    /// Adds one.
    pub fn add(&mut self, limit: Limit) {
        self.0 |= 1 << limit as u32;
    }

    /// As one number, in which several may be put together bit by bit.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// What such a number stands for.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Which they are.
    pub fn iter(self) -> impl Iterator<Item = Limit> {
        Limit::ALL.iter().copied().filter(move |limit| self.0 & (1 << *limit as u32) != 0)
    }
}

/// Their keys, with commas between them.
impl Display for Reached {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, limit) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{}", limit.key())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_are_read_as_people_write_them() {
        let caps: LimitCaps = "wall_ms=5000, queue = 0,".parse().unwrap();
        assert_eq!(caps, LimitCaps { wall_ms: Some(5000), queue: Some(0), ..LimitCaps::default() });
        assert_eq!("".parse(), Ok(LimitCaps::default()));
        for bad in ["wall_ms", "wall=1", "wall_ms=x", "wall_ms=-1", "=1"] {
            assert!(bad.parse::<LimitCaps>().is_err(), "{bad}");
        }
    }

    #[test]
    fn no_limit_is_above_its_cap() {
        let caps = LimitCaps { memory_mib: Some(64), calls: Some(500), ..LimitCaps::default() };
        let capped = Limits::default().capped(&caps);
        assert_eq!((capped.memory_mib, capped.calls, capped.wall_ms), (64, 100, 30_000));
        assert_eq!(Limits { queue: 0, ..Limits::default() }.too_small(), None);
        assert_eq!(Limits { handles: 0, ..Limits::default() }.too_small(), Some(Limit::Handles));
        assert_eq!(LimitCaps { wall_ms: Some(0), ..LimitCaps::default() }.too_small(), Some(Limit::Wall));
    }

    #[test]
    fn what_was_reached_is_told_once() {
        let mut reached = Reached::default();
        assert!(reached.is_empty());
        reached.add(Limit::Component);
        reached.add(Limit::Memory);
        reached.add(Limit::Memory);
        assert_eq!(reached.iter().collect::<Vec<_>>(), [Limit::Memory, Limit::Component]);
        assert!(Limit::ALL.len() <= u32::BITS as usize);
    }
}
