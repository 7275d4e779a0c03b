//! How wasmtime is set up, and why.
//!
//! Two configurations come from here, each [with and without](Concurrency) what WASI 0.3 needs. [`compiling`] holds all that shapes machine code, so that an artifact made by one
//! process loads in another. [`serving`] adds the pool. Every value was measured: `docs/performance.md` has the figures.

use std::fs;

use gust_core::{RewindPolicy, Tier};
use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, RegallocAlgorithm, WasmFeatures,
};

/// Bytes of a memory that stay mapped in a free slot, to be put back by copying rather than by faulting in anew.
const MEMORY_KEEP_RESIDENT_BYTES: usize = 1 << 20;

/// The same for a table.
const TABLE_KEEP_RESIDENT_BYTES: usize = 64 << 10;

/// The most core instances, tables and memories that one component may have. The pool has as many for each slot, so that no
/// component takes what another's instances need: a core instance is a count, the rest is address space.
pub(crate) const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 64;
pub(crate) const TABLES_PER_COMPONENT_MAX: u32 = 32;
pub(crate) const MEMORIES_PER_COMPONENT_MAX: u32 = 2;

/// The most elements of one table.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Stacks that there are for each instance whose guest may have several tasks. Only parts of one component that wait for each other hold
/// more than one at a time.
const STACKS_PER_CONCURRENT_INSTANCE: u32 = 4;

/// Address space that a slot of the pool takes, in bytes: wasmtime sets aside 4 GiB and a guard for each memory, whatever it may
/// grow to, and what tables and stacks take is little beside that.
const ADDRESS_BYTES_PER_SLOT: u64 = MEMORIES_PER_COMPONENT_MAX as u64 * ((4 << 30) + (64 << 20));

/// What the host decides about its pool.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Instances alive at the same time.
    pub instances_max: u32,
    /// The largest memory that an instance may have, in bytes: the size of a slot. It is address space, not memory in use.
    pub memory_bytes_max: u64,
    /// The longest that a request waits for a free slot, in milliseconds.
    pub queue_ms: u32,
    /// Whether instances are put back and used again.
    pub rewind: RewindPolicy,
    /// Whether guests that compute for long go on in threads of their own. They do but where all is to be counted on one.
    pub has_lane: bool,
}

/// Slots of the pool for each instance that may serve: those that are kept idle come on top of those that serve.
pub fn slots_per_instance(rewind: RewindPolicy) -> u32 {
    if rewind == RewindPolicy::Off { 1 } else { 2 }
}

/// Address space that the pool takes for each instance that may serve, in bytes.
pub fn address_bytes_per_instance(rewind: RewindPolicy) -> u64 {
    ADDRESS_BYTES_PER_SLOT * u64::from(slots_per_instance(rewind))
}

/// Whether guests have tasks of their own that go on at the same time, as WASI 0.3 lets them. It shapes machine code, and what every store
/// holds, so each is an engine of wasmtime's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Concurrency {
    /// They have none.
    Off,
    /// They may.
    On,
}

/// How a slot is made pristine for the next instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reset {
    /// The kernel names the pages that were written (`PAGEMAP_SCAN`, Linux 6.7 and later) and only those are put back.
    PageScan,
    /// All of the slot's pages are given back to the kernel.
    Discard {
        /// Why not the scan, for the operator.
        why: &'static str,
    },
}

impl Reset {
    /// The best way that this machine allows.
    ///
    /// The scan passes over pages that were swapped out (bytecodealliance/wasmtime#14357), so it is used only where
    /// nothing can be.
    pub fn choose() -> Self {
        if !PoolingAllocationConfig::is_pagemap_scan_available() {
            return Self::Discard { why: "the kernel has no PAGEMAP_SCAN: Linux 6.7 or later has it" };
        }
        match fs::read_to_string("/proc/swaps") {
            Ok(swaps) if swaps.lines().nth(1).is_none() => Self::PageScan,
            Ok(_) => {
                Self::Discard { why: "swap is on, and a page that was swapped out would not be reset: swapoff -a" }
            }
            Err(_) => Self::Discard { why: "/proc/swaps cannot be read, so swap may be on" },
        }
    }
}

/// All that shapes machine code.
pub(crate) fn compiling(concurrency: Concurrency) -> Config {
    let mut config = Config::new();
    config
        // Only WASI 0.3 needs it, and every typed call would pay for it.
        .concurrency_support(concurrency == Concurrency::On)
        .epoch_interruption(true)
        .native_unwind_info(false)
        // The default, said because instances of different functions stand side by side in one address space.
        .signals_based_traps(true);
    config.wasm_features(WasmFeatures::THREADS | WasmFeatures::MEMORY64, false);
    config
}

/// What [`compiling`] says, for code of this tier. wasmtime holds neither setting against code that it loads.
pub(crate) fn compiling_in(tier: Tier, concurrency: Concurrency) -> Config {
    let mut config = compiling(concurrency);
    match tier {
        // Somebody waits for it.
        Tier::Quick => config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
            .parallel_compilation(true),
        // Nobody does, so one core is enough.
        Tier::Optimised => config.cranelift_opt_level(OptLevel::Speed).parallel_compilation(false),
    };
    config
}

/// What [`compiling`] says, and the pool.
pub(crate) fn serving(settings: &Settings, reset: &Reset, concurrency: Concurrency) -> Config {
    let (instances, stacks_per_instance) = match concurrency {
        Concurrency::Off => (slots_per_instance(settings.rewind), 1),
        // None is kept idle. A task that waits in a call of its own has its stack.
        Concurrency::On => (1, STACKS_PER_CONCURRENT_INSTANCE),
    };
    let slots = settings.instances_max.saturating_mul(instances);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(CORE_INSTANCES_PER_COMPONENT_MAX))
        .total_memories(slots.saturating_mul(MEMORIES_PER_COMPONENT_MAX))
        .total_tables(slots.saturating_mul(TABLES_PER_COMPONENT_MAX))
        .total_stacks(slots.saturating_mul(stacks_per_instance))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT_MAX)
        .max_tables_per_component(TABLES_PER_COMPONENT_MAX)
        .max_memories_per_component(MEMORIES_PER_COMPONENT_MAX)
        .max_memory_size(usize::try_from(settings.memory_bytes_max).unwrap_or(usize::MAX))
        .table_elements(TABLE_ELEMENTS_MAX)
        // All that can be in use: a slot that was used is the quickest to use again.
        .max_unused_warm_slots(slots);
    if *reset == Reset::PageScan {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT_BYTES)
            .table_keep_resident(TABLE_KEEP_RESIDENT_BYTES);
    }
    let mut config = compiling(concurrency);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
