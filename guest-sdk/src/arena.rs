//! Where a request's memory comes from: a region that is filled from its beginning.
//!
//! An instance that serves one request gains nothing from keeping free memory in order, which took two fifths of a small
//! handler's time. Here a block costs an addition; the region is empty again once it holds no block, so that it serves hosts
//! that use an instance for many requests too. What does not fit is the affair of the target's own allocator.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::{Cell, UnsafeCell},
    mem::MaybeUninit,
    ptr,
};

/// The size of the region: what a small request takes, many times over, and a sixteenth of the memory that a function begins with.
const REGION_BYTES: usize = 64 << 10;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ARENA: Arena = Arena::new();

/// Aligned as most blocks want to be.
type Region = [MaybeUninit<u128>; REGION_BYTES / size_of::<u128>()];

struct Arena {
    region: UnsafeCell<Region>,
    /// Bytes of it that are taken. No block lies past them.
    filled: Cell<usize>,
    /// Blocks in it. Without any, none of its bytes is taken.
    blocks: Cell<usize>,
}

// SAFETY: this target has one thread.
#[cfg(target_arch = "wasm32")]
unsafe impl Sync for Arena {}

impl Arena {
    const fn new() -> Self {
        Self {
            region: UnsafeCell::new([MaybeUninit::uninit(); REGION_BYTES / size_of::<u128>()]),
            filled: Cell::new(0),
            blocks: Cell::new(0),
        }
    }

    fn start(&self) -> *mut u8 {
        self.region.get().cast()
    }

    /// Where the next block of this layout would begin, if there is room.
    fn room(&self, layout: Layout) -> Option<usize> {
        let start = self.start().addr();
        let offset = (start + self.filled.get()).next_multiple_of(layout.align()) - start;
        (layout.size() <= REGION_BYTES.checked_sub(offset)?).then_some(offset)
    }

    /// Where in the region a block begins, if it is there.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        let offset = block.addr().wrapping_sub(self.start().addr());
        (offset < REGION_BYTES).then_some(offset)
    }
}

// SAFETY: a block of the region begins where it should, for `room` sees to that, ends within the region, and lies past all
// others, for `filled` never goes below the end of one that is held. Every other block is the system's, which is told by where it is.
unsafe impl GlobalAlloc for Arena {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(offset) = self.room(layout) else {
            // SAFETY: the caller keeps to what `GlobalAlloc` asks for.
            return unsafe { System.alloc(layout) };
        };
        self.filled.set(offset + layout.size());
        self.blocks.set(self.blocks.get() + 1);
        self.start().wrapping_add(offset)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(offset) = self.offset(block) else {
            // SAFETY: it is not of the region, so the system gave it.
            return unsafe { System.dealloc(block, layout) };
        };
        self.blocks.set(self.blocks.get() - 1);
        if self.blocks.get() == 0 {
            self.filled.set(0);
        } else if offset + layout.size() == self.filled.get() {
            self.filled.set(offset);
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.room(layout).is_none() {
            // SAFETY: the caller keeps to what `GlobalAlloc` asks for.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: as above; there is room, so the block is of the region and as long as the layout.
        unsafe {
            let block = self.alloc(layout);
            ptr::write_bytes(block, 0, layout.size());
            block
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset(block) else {
            // SAFETY: it is not of the region, so the system gave it.
            return unsafe { System.realloc(block, layout, size) };
        };
        let is_last = offset + layout.size() == self.filled.get();
        if is_last && size <= REGION_BYTES - offset {
            self.filled.set(offset + size);
            return block;
        }
        // SAFETY: the caller promises that the size is valid for this alignment, and both blocks are apart and as long as said.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// Where the host writes what it hands over (canonical ABI, `realloc`): into the target's own memory, never into the region. The C
/// library frees by itself what it asks the host for, such as the environment, and knows no region. Takes the place of what the
/// standard library brings, which asks the global allocator.
///
/// # Safety
///
/// `old` is null, or a block of that size and alignment that this gave.
#[cfg(target_arch = "wasm32")]
#[unsafe(no_mangle)]
unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    if size == 0 {
        return ptr::without_provenance_mut(align);
    }
    // SAFETY: the host gives an alignment that is one, and keeps to what is said above.
    let (layout, block) = unsafe {
        let layout = Layout::from_size_align_unchecked(size, align);
        let before = Layout::from_size_align_unchecked(old_size, align);
        (layout, if old_size == 0 { System.alloc(layout) } else { System.realloc(old, before, size) })
    };
    if block.is_null() { std::alloc::handle_alloc_error(layout) } else { block }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Block {
        at: *mut u8,
        layout: Layout,
        byte: u8,
    }

    impl Block {
        fn bytes(&self) -> &'static mut [u8] {
            // SAFETY: it is held, and nobody else reads or writes it.
            unsafe { std::slice::from_raw_parts_mut(self.at, self.layout.size()) }
        }

        fn is_whole(&self) -> bool {
            self.at.addr().is_multiple_of(self.layout.align()) && self.bytes().iter().all(|byte| *byte == self.byte)
        }
    }

    /// Numbers that look random (Knuth's MMIX generator).
    fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
        move |below| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        }
    }

    #[test]
    fn blocks_keep_what_they_hold_whatever_is_asked_for_in_which_order() {
        for seed in 0..50 {
            let (arena, mut number, mut blocks) = (Box::new(Arena::new()), numbers(seed), Vec::<Block>::new());
            for step in 0..500 {
                let size = 1 + if number(20) == 0 { number(40 << 10) } else { number(700) };
                let byte = step as u8;
                match number(4) {
                    0 | 1 => {
                        let layout = Layout::from_size_align(size, 1 << number(8)).unwrap();
                        // SAFETY: no layout is empty.
                        let at =
                            unsafe { if step % 2 == 0 { arena.alloc(layout) } else { arena.alloc_zeroed(layout) } };
                        let mut block = Block { at, layout, byte: 0 };
                        assert!(step % 2 == 0 || block.is_whole());
                        block.bytes().fill(byte);
                        block.byte = byte;
                        blocks.push(block);
                    }
                    2 if !blocks.is_empty() => {
                        let block = blocks.swap_remove(number(blocks.len()));
                        // SAFETY: it is held, and no longer after this.
                        unsafe { arena.dealloc(block.at, block.layout) };
                    }
                    _ if !blocks.is_empty() => {
                        let which = number(blocks.len());
                        let block = &mut blocks[which];
                        let kept = block.layout.size().min(size);
                        // SAFETY: it is held, and the new size is valid for its alignment.
                        block.at = unsafe { arena.realloc(block.at, block.layout, size) };
                        block.layout = Layout::from_size_align(size, block.layout.align()).unwrap();
                        block.bytes()[kept..].fill(block.byte);
                    }
                    _ => {}
                }
                assert!(blocks.iter().all(Block::is_whole), "seed {seed}, step {step}");
            }
            for block in blocks.drain(..) {
                // SAFETY: it is held, and no longer after this.
                unsafe { arena.dealloc(block.at, block.layout) };
            }
            assert_eq!((arena.filled.get(), arena.blocks.get()), (0, 0), "the region is empty again");
        }
    }

    #[test]
    fn what_does_not_fit_is_the_systems() {
        let arena = Box::new(Arena::new());
        let (whole, more) = (Layout::new::<Region>(), Layout::new::<u8>());
        // SAFETY: no layout is empty, and each block is given back once.
        unsafe {
            let (first, second) = (arena.alloc(whole), arena.alloc(more));
            assert_eq!((arena.offset(first), arena.offset(second)), (Some(0), None));
            arena.dealloc(first, whole);
            assert_eq!(arena.room(whole), Some(0));
            arena.dealloc(second, more);
        }
    }
}
