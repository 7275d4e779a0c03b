//! Pages are put back in memory of the test's own, with no guest and no wasmtime: small enough for valgrind to watch
//! (`cargo xtask test --long`).

use crate::{
    Reset,
    rewind::{
        pages::{Image, Memory, PAGE_BYTES},
        private::PrivatePages,
    },
};

/// So many that their runs, with a page between each two, take several scans.
const PAGES: usize = 200;

const IMAGE_BYTES_MAX: usize = 1 << 20;

/// Memory that begins with a page, as a slot's does.
struct Slot {
    bytes: Vec<u8>,
    from: usize,
}

impl Slot {
    /// One in whose pages something stands. None on a machine where pages are not listed.
    fn new() -> Option<Self> {
        if Reset::choose() != Reset::PageScan {
            eprintln!("nothing is rewound on this machine: {:?}", Reset::choose());
            return None;
        }
        let bytes = vec![0; (PAGES + 1) * PAGE_BYTES];
        let from = bytes.as_ptr().align_offset(PAGE_BYTES);
        let mut slot = Self { bytes, from };
        for page in (0..PAGES).step_by(3) {
            slot.write(page * PAGE_BYTES + page, 1);
        }
        Some(slot)
    }

    fn write(&mut self, at: usize, byte: u8) {
        self.bytes[self.from + at] = byte;
    }

    fn whole(&self) -> &[u8] {
        &self.bytes[self.from..self.from + PAGES * PAGE_BYTES]
    }

    fn memory(&self) -> Memory {
        Memory::new(self.whole())
    }

    fn captured(&self) -> (Memory, Image) {
        let mut memory = self.memory();
        let image = memory.capture(IMAGE_BYTES_MAX).unwrap().unwrap();
        (memory, image)
    }
}

#[test]
fn every_page_that_was_written_is_put_back() {
    let Some(mut slot) = Slot::new() else { return };
    let before = slot.whole().to_vec();
    let (mut memory, image) = slot.captured();
    assert!(slot.whole() == before, "capturing changes nothing");
    for first in [0, 1, PAGES - 1] {
        for page in (first..PAGES).step_by(2) {
            slot.write(page * PAGE_BYTES, 7);
            slot.write((page + 1) * PAGE_BYTES - 1, 7);
        }
        let private = PrivatePages::default().put_back(&mut memory, &image, PAGES, false).unwrap();
        assert!(private >= PAGES.div_ceil(3), "{private}");
        assert!(slot.whole() == before, "from page {first}");
        assert_eq!(memory.first_difference(&image), None);
    }
}

#[test]
fn too_many_pages_are_counted() {
    let Some(mut slot) = Slot::new() else { return };
    let (mut memory, image) = slot.captured();
    (0..PAGES).for_each(|page| slot.write(page * PAGE_BYTES, 9));
    assert_eq!(PrivatePages::default().put_back(&mut memory, &image, PAGES / 2, false).unwrap(), PAGES);
    assert!(memory.first_difference(&image).is_some());
}

#[test]
fn a_memory_is_adopted_where_it_begins_alike() {
    let (Some(first), Some(mut second)) = (Slot::new(), Slot::new()) else { return };
    let (_, image) = first.captured();
    let before = second.whole().to_vec();
    assert!(second.memory().adopt(&image).unwrap());
    assert!(second.whole() == before);
    second.write(5 * PAGE_BYTES + 100, 1);
    assert!(!second.memory().adopt(&image).unwrap());
    second.write(5 * PAGE_BYTES + 100, 0);
    assert!(second.memory().adopt(&image).unwrap());
}

#[test]
fn what_would_be_too_large_is_not_captured() {
    let Some(slot) = Slot::new() else { return };
    assert!(slot.memory().capture(PAGE_BYTES).unwrap().is_none());
}
