//! One budget for all memories and tables of an instance.
//!
//! wasmtime's own `StoreLimits` bounds each memory by itself, so a component of many memories would have many times its
//! limit. Here all of them draw on one budget. A refusal is remembered: a guest that aborts after one ran out of memory,
//! whatever its trap says.

use wasmtime::ResourceLimiter;

/// Bytes that one table element is counted as: a pointer.
const TABLE_ELEMENT_BYTES: u64 = 8;

/// What an instance may have and has.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    bytes_max: u64,
    bytes: u64,
    refused: bool,
}

impl MemoryBudget {
    /// A budget of `bytes_max` bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: 0, refused: false }
    }

    /// The most that the instance had. Memories and tables never shrink, so it is what it has.
    pub(crate) fn bytes_peak(&self) -> u64 {
        self.bytes
    }

    /// Whether growing was ever refused.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused
    }

    /// Begins anew with what the instance has.
    pub(crate) fn forget_refusals(&mut self) {
        self.refused = false;
    }

    fn grow(&mut self, by_bytes: u64) -> bool {
        let bytes = self.bytes.saturating_add(by_bytes);
        if bytes > self.bytes_max {
            self.refused = true;
            return false;
        }
        self.bytes = bytes;
        true
    }
}

impl ResourceLimiter for MemoryBudget {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // The memory's own maximum refuses it then, and nothing must be counted.
        if maximum.is_some_and(|maximum| desired > maximum) {
            self.refused = true;
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current) as u64))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow((desired.saturating_sub(current) as u64).saturating_mul(TABLE_ELEMENT_BYTES)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_and_tables_draw_on_one_budget() {
        let mut budget = MemoryBudget::new(100);
        assert!(budget.memory_growing(0, 40, None).unwrap());
        assert!(budget.memory_growing(0, 40, None).unwrap());
        assert!(budget.table_growing(0, 2, None).unwrap());
        assert!(!budget.was_refused());
        assert!(!budget.memory_growing(40, 50, None).unwrap());
        assert!(budget.was_refused());
        assert_eq!(budget.bytes_peak(), 96);
    }

    #[test]
    fn what_a_memory_itself_refuses_is_not_counted() {
        let mut budget = MemoryBudget::new(100);
        assert!(!budget.memory_growing(0, 50, Some(40)).unwrap());
        assert_eq!(budget.bytes_peak(), 0);
    }
}
