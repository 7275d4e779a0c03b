//! What one invocation may use, with the defaults of a function that states nothing.

use serde::{Deserialize, Serialize};

/// Bytes in a mebibyte.
const MIB: u64 = 1 << 20;

/// The limits of one function, all in force. As JSON they have the manifest's names and units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
