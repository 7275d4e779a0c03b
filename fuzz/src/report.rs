//! A component as it is told of without being compiled: whatever it is, what is told has an end and adds up.

use gust_core::{Source, component::ComponentInfo};

/// More than a report ever has in a list, and in bytes.
const ITEMS_MAX: usize = 256;
const BYTES_MAX: usize = 2 << 20;

/// A component, or what is none.
pub fn report(data: &[u8]) {
    let info = match gust_engine::report(data) {
        Ok(info) => info,
        Err(problem) => {
            assert!(problem.code.source() == Source::Client && !problem.detail.is_empty(), "{problem}");
            return;
        }
    };
    let sizes = info.sizes;
    let parts = [sizes.code_bytes, sizes.data_bytes, sizes.types_bytes, sizes.debug_bytes, sizes.custom_bytes];
    let sum = parts.iter().sum::<u64>() + sizes.other_bytes;
    assert!(sum <= data.len() as u64, "{sum} of {}: {sizes:?}", data.len());
    assert!([info.imports.len(), info.exports.len(), info.producers.len()].iter().all(|items| *items <= ITEMS_MAX));
    assert!(info.hosts.iter().all(|host| host.runs == host.why_not.is_empty() && host.runs == host.command.is_some()));
    let json = serde_json::to_string(&info).unwrap();
    assert!(json.len() <= BYTES_MAX, "{} bytes", json.len());
    assert_eq!(serde_json::from_str::<ComponentInfo>(&json).unwrap(), info);
}
