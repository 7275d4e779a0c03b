//! What one invocation may use, with the defaults of a function that states nothing, and what an app caps it at.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Bytes in a mebibyte.
const MIB: u64 = 1 << 20;

/// The limits of one function, all in force. As JSON they have the manifest's names and units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// All of an instance's memories and tables together, in MiB. Default 128.
    pub memory_mib: u32,
    /// From the request's head to the last byte of the response, in milliseconds. Default 30,000.
    pub wall_ms: u32,
    /// Requests of this function at the same time. Default 256.
    pub concurrency: u32,
    /// The request's body, in MiB. Default 16.
    pub request_body_mib: u32,
    /// The response's body, in MiB. Default 64.
    pub response_body_mib: u32,
    /// What the guest may print in one request, in KiB; the rest is counted and dropped. Default 64.
    pub log_kib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 128,
            wall_ms: 30_000,
            concurrency: 256,
            request_body_mib: 16,
            response_body_mib: 64,
            log_kib: 64,
        }
    }
}

/// The most that limits are; what is not said is not capped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitCaps {
    /// Caps `memory_mib`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4294967295u32)]
    pub memory_mib: Option<u32>,
    /// Caps `wall_ms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4294967295u32)]
    pub wall_ms: Option<u32>,
    /// Caps `concurrency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4294967295u32)]
    pub concurrency: Option<u32>,
    /// Caps `request_body_mib`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4294967295u32)]
    pub request_body_mib: Option<u32>,
    /// Caps `response_body_mib`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4294967295u32)]
    pub response_body_mib: Option<u32>,
    /// Caps `log_kib`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4294967295u32)]
    pub log_kib: Option<u32>,
}

impl LimitCaps {
    /// Each cap by its limit's key.
    pub fn by_key(&self) -> [(&'static str, Option<u32>); 6] {
        [
            ("memory_mib", self.memory_mib),
            ("wall_ms", self.wall_ms),
            ("concurrency", self.concurrency),
            ("request_body_mib", self.request_body_mib),
            ("response_body_mib", self.response_body_mib),
            ("log_kib", self.log_kib),
        ]
    }
}

impl Limits {
    /// Each limit by its key.
    pub fn by_key(&self) -> [(&'static str, u32); 6] {
        [
            ("memory_mib", self.memory_mib),
            ("wall_ms", self.wall_ms),
            ("concurrency", self.concurrency),
            ("request_body_mib", self.request_body_mib),
            ("response_body_mib", self.response_body_mib),
            ("log_kib", self.log_kib),
        ]
    }

    /// These limits, none above its cap.
    #[must_use]
    pub fn capped(&self, caps: &LimitCaps) -> Self {
        let at_most = |limit: u32, cap: Option<u32>| cap.map_or(limit, |cap| limit.min(cap));
        Self {
            memory_mib: at_most(self.memory_mib, caps.memory_mib),
            wall_ms: at_most(self.wall_ms, caps.wall_ms),
            concurrency: at_most(self.concurrency, caps.concurrency),
            request_body_mib: at_most(self.request_body_mib, caps.request_body_mib),
            response_body_mib: at_most(self.response_body_mib, caps.response_body_mib),
            log_kib: at_most(self.log_kib, caps.log_kib),
        }
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

    /// `log_kib` in bytes.
    pub fn log_bytes(&self) -> u64 {
        u64::from(self.log_kib) << 10
    }
}
