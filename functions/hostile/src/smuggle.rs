//! Leaves marks wherever an instance can keep something, and looks for them.

use std::{hint::black_box, mem, ptr};

/// Bytes of a page of linear memory.
const PAGE_BYTES: usize = 64 << 10;

/// Half of the mark. The whole is in no constant of this program, or it would be found in every instance.
const HALF: u32 = 0x6d61_726b;

/// Words of the stack that are written below whoever calls.
const STACK_WORDS: usize = 8 << 10;

static mut STATIC: u64 = 1;
static mut ZEROED: u64 = 0;

#[cfg(target_arch = "wasm32")]
fn memory_bytes() -> usize {
    std::arch::wasm32::memory_size(0) * PAGE_BYTES
}

/// There is no such memory natively, where this is only compiled.
#[cfg(not(target_arch = "wasm32"))]
fn memory_bytes() -> usize {
    2 * PAGE_BYTES
}

fn word() -> u64 {
    u64::from(black_box(HALF)) << 32 | u64::from(black_box(HALF).rotate_left(7))
}

/// Marks static data, the heap, the stack below this call, and both ends of memory.
pub fn mark() {
    let word = word();
    // SAFETY: one thread runs, and the addresses lie in memory that nothing else uses.
    unsafe {
        ptr::write_volatile(&raw mut STATIC, word);
        ptr::write_volatile(&raw mut ZEROED, word);
        // Below the stack: the linker leaves the first kilobyte to nobody.
        ptr::write_volatile(ptr::without_provenance_mut::<u64>(64), word);
        let end = memory_bytes();
        ptr::write_volatile(ptr::without_provenance_mut::<u64>(end - 16), word);
        ptr::write_volatile(ptr::without_provenance_mut::<u64>(end - PAGE_BYTES + 8), word);
    }
    mem::forget(black_box(vec![word; 1000]));
    drop(black_box(vec![word; 1000]));
    mark_stack(word);
}

#[inline(never)]
fn mark_stack(word: u64) {
    black_box([word; STACK_WORDS]);
}

/// How many marks there are in all of memory.
pub fn seek() -> usize {
    let word = word();
    let words = memory_bytes() / 8;
    // SAFETY: the address lies in memory, and one thread runs. The first word has the address that no slice may have.
    let at = |index: usize| unsafe { ptr::read_volatile(ptr::without_provenance::<u64>(index * 8)) };
    (1..words).filter(|index| at(*index) == word).count()
}
