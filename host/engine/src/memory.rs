//! One budget for all memories and tables of an instance.
//!
//! wasmtime's own `StoreLimits` bounds each memory by itself, so a component of many memories would have many times its
//! limit. Here all of them draw on one budget. A refusal is remembered: a guest that aborts after one ran out of memory,
//! whatever its trap says.

/// Bytes that one table element is counted as: a pointer.
const TABLE_ELEMENT_BYTES: u64 = 8;

/// What an instance may have and has.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    bytes_max: u64,
    bytes: u64,
    /// What it wanted in all when growing was last refused.
    bytes_refused: Option<u64>,
}

impl MemoryBudget {
    /// A budget of `bytes_max` bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: 0, bytes_refused: None }
    }

    /// What it may have.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// The most that the instance had. Memories and tables never shrink, so it is what it has.
    pub(crate) fn bytes_peak(&self) -> u64 {
        self.bytes
    }

    /// What it wanted in all when growing was last refused, if that was ever.
    pub(crate) fn bytes_refused(&self) -> Option<u64> {
        self.bytes_refused
    }

    /// Begins anew with what the instance has.
    pub(crate) fn forget_refusals(&mut self) {
        self.bytes_refused = None;
    }

    /// Lets a memory grow, or not.
    pub(crate) fn memory_grows(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        // The memory's own maximum refuses it then, and nothing must be counted.
        let by_bytes = desired.saturating_sub(current) as u64;
        if maximum.is_some_and(|maximum| desired > maximum) {
            self.bytes_refused = Some(self.bytes.saturating_add(by_bytes));
            return false;
        }
        self.grows(by_bytes)
    }

    /// Lets a table grow, or not.
    pub(crate) fn table_grows(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> bool {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        self.grows((desired.saturating_sub(current) as u64).saturating_mul(TABLE_ELEMENT_BYTES))
    }

    fn grows(&mut self, by_bytes: u64) -> bool {
        let bytes = self.bytes.saturating_add(by_bytes);
        if bytes > self.bytes_max {
            self.bytes_refused = Some(bytes);
            return false;
        }
        self.bytes = bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_and_tables_draw_on_one_budget() {
        let mut budget = MemoryBudget::new(100);
        assert!(budget.memory_grows(0, 40, None));
        assert!(budget.memory_grows(0, 40, None));
        assert!(budget.table_grows(0, 2, None));
        assert_eq!(budget.bytes_refused(), None);
        assert!(!budget.memory_grows(40, 50, None));
        assert_eq!(budget.bytes_refused(), Some(106));
        assert_eq!(budget.bytes_peak(), 96);
    }

    #[test]
    fn what_a_memory_itself_refuses_is_not_counted() {
        let mut budget = MemoryBudget::new(100);
        assert!(!budget.memory_grows(0, 50, Some(40)));
        assert_eq!(budget.bytes_peak(), 0);
    }
}
