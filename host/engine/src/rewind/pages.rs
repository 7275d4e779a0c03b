//! An instance's memory, page by page: which pages are private to it, what they held when it was pristine, and putting
//! that back.
//!
//! The memory of a slot of the pool is a private mapping: a page that was never written shows the component's own data or
//! zeroes, one that was written is a private copy. The kernel lists the private ones (`PAGEMAP_SCAN`, Linux 6.7), so only
//! those are put back, by copying, and a page that every request writes stays where it is and costs no fault.
//!
//! `unsafe` is allowed in this module because memory is written behind wasmtime's back. What makes it sound:
//!
//! 1. A [`Memory`] is made of the slice that wasmtime itself gives of a store's memory. In the pooling allocator a memory
//!    never moves, and its slot belongs to the instance until its store is dropped. Whoever holds a `Memory` holds that
//!    store beside it ([`Kept`](super::kept::Kept)) and drops both together.
//! 2. Nobody else reads or writes the memory meanwhile: no guest runs, for its store is borrowed mutably by whoever rewinds,
//!    and no slice of it is alive. Shared memories are not eligible.
//! 3. A memory that grew is never rewound, so what lies between `base` and `base + len` is exactly what was captured, and
//!    is mapped readable and writable.
//! 4. Whatever the kernel reports is checked to lie within the memory before it is used.

#![expect(unsafe_code, reason = "putting memory back: see the module's description")]

use std::{
    fs::File,
    io,
    mem::MaybeUninit,
    ops::Range,
    os::fd::{AsFd as _, BorrowedFd},
    slice,
    sync::OnceLock,
};

use rustix::{
    ioctl::{Opcode, Updater, ioctl, opcode},
    mm::{Advice, madvise},
};

/// Bytes of a page. Only machines with pages of this size have the scan used.
pub(crate) const PAGE_BYTES: usize = 4096;

/// A page that was never written to, where the component has no data. To compare with it is quicker than to look at each byte.
static ZEROES: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// Runs of pages that one scan lists.
const RUNS_PER_SCAN: usize = 32;

/// Categories of pages (`linux/fs.h`).
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region` of `linux/fs.h`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// `PAGEMAP_SCAN` of `linux/fs.h`. It says how many regions it filled in, which [`Updater`] leaves out, so that is told by
/// regions that are not empty.
const PAGEMAP_SCAN: Opcode = opcode::read_write::<ScanArgument>(b'f', 16);

/// The memory of an instance whose store is kept beside this.
#[derive(Debug)]
pub(crate) struct Memory {
    base: usize,
    len: usize,
    has_small_pages: bool,
}

/// What the memory of every pristine instance of a component holds.
pub(crate) struct Image {
    /// For each page where it stands in `bytes`; none where it is all zeroes.
    pages: Vec<Option<u32>>,
    bytes: Vec<u8>,
    /// Runs of pages, as offsets, that were private when the image was taken: start code may have written to them.
    private: Vec<Range<usize>>,
}

impl Memory {
    /// The memory that `whole` is all of.
    pub(crate) fn new(whole: &[u8]) -> Self {
        Self { base: whole.as_ptr() as usize, len: whole.len(), has_small_pages: false }
    }

    /// Whether pages become private one by one, with a fault each.
    pub(super) fn has_small_pages(&self) -> bool {
        self.has_small_pages
    }

    /// Keeps the kernel from gathering pages into huge ones, which would make them private without a fault.
    fn keep_small(&mut self) {
        // SAFETY: the range is the whole memory (1, 3), and nothing of what it holds is changed by this.
        let kept = unsafe { madvise(self.base as *mut _, self.len, Advice::LinuxNoHugepage) };
        // A kernel that has none may refuse; then pages are listed each time.
        self.has_small_pages = kept.is_ok();
    }

    /// Takes the image of a memory that is pristine; none where it would be larger than `bytes_max`.
    pub(crate) fn capture(&mut self, bytes_max: usize) -> io::Result<Option<Image>> {
        let mut private = Vec::new();
        self.scan(|run| private.push(run))?;
        // All are mapped at once: each that is read before it is mapped costs a fault. Linux before 5.14 refuses.
        // SAFETY: the range is the whole memory (1, 3), and nothing of what it holds is changed by this.
        let _ = unsafe { madvise(self.base as *mut _, self.len, Advice::LinuxPopulateRead) };
        let mut image = Image { pages: Vec::with_capacity(self.len / PAGE_BYTES), bytes: Vec::new(), private };
        for page in self.slice(0..self.len).chunks(PAGE_BYTES) {
            let stored = (*page != ZEROES).then(|| image.store(page)).transpose()?;
            image.pages.push(stored);
            if image.bytes.len() > bytes_max {
                return Ok(None);
            }
        }
        self.trim(&image)?;
        Ok(Some(image))
    }

    /// Gives all pages back but those that differ from the component's own data. Reading mapped every page, or an earlier
    /// use of the slot wrote to some, and each scan would go over them.
    pub(super) fn trim(&mut self, image: &Image) -> io::Result<()> {
        self.keep_small();
        // SAFETY: the range is the whole memory (1, 3), nobody uses it (2), and what is lost by this is written back from
        // the image at once.
        unsafe { madvise(self.base as *mut _, self.len, Advice::LinuxDontNeed) }?;
        for at in image.private.iter().flat_map(|run| run.clone().step_by(PAGE_BYTES)) {
            let page = at..at + PAGE_BYTES;
            if !self.holds(image, &page) {
                self.put_back(image, &page);
            }
        }
        Ok(())
    }

    /// Whether this memory, pristine too, holds what `image` does; then it is ready to be put back to it. Pages that are
    /// private in neither show the same data of the component, so they need not be looked at.
    pub(crate) fn adopt(&mut self, image: &Image) -> io::Result<bool> {
        if self.len != image.pages.len() * PAGE_BYTES {
            return Ok(false);
        }
        let mut alike = true;
        self.scan(|run| alike &= self.holds(image, &run))?;
        if alike && image.private.iter().all(|run| self.holds(image, run)) {
            self.trim(image)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The first byte that is not as in `image`, as an offset. Reads all of the memory.
    pub(crate) fn first_difference(&mut self, image: &Image) -> Option<usize> {
        let differs = |at: &usize| !self.holds(image, &(*at..at + PAGE_BYTES));
        (0..self.len).step_by(PAGE_BYTES).find(differs)
    }

    /// Changes one byte.
    #[cfg(test)]
    pub(super) fn plant(&mut self, at: usize) {
        assert!(at < self.len);
        // SAFETY: the byte lies in the memory (asserted above, 1, 3), which is writable and used by nobody (2).
        unsafe { *((self.base + at) as *mut u8) ^= 1 };
    }

    /// Takes it for one that does not begin with a page, whose pages the kernel does not list.
    #[cfg(test)]
    pub(super) fn displace(&mut self) {
        self.base += 1;
    }

    /// Whether a run of whole pages holds what it does in `image`.
    pub(super) fn holds(&self, image: &Image, run: &Range<usize>) -> bool {
        self.slice(run.clone()).chunks(PAGE_BYTES).zip(run.clone().step_by(PAGE_BYTES)).all(|(page, at)| {
            match image.page(at) {
                Some(pristine) => page == pristine,
                None => *page == ZEROES,
            }
        })
    }

    /// Writes a run of whole pages as they are in `image`.
    pub(super) fn put_back(&mut self, image: &Image, run: &Range<usize>) {
        assert!(run.start <= run.end && run.end <= self.len, "a page outside of the memory");
        for at in run.clone().step_by(PAGE_BYTES) {
            // SAFETY: the page lies in the memory (asserted above, 1, 3), which is writable and used by nobody (2).
            let page = unsafe { slice::from_raw_parts_mut((self.base + at) as *mut u8, PAGE_BYTES) };
            match image.page(at) {
                Some(pristine) => page.copy_from_slice(pristine),
                None => page.fill(0),
            }
        }
    }

    fn slice(&self, range: Range<usize>) -> &[u8] {
        assert!(range.start <= range.end && range.end <= self.len, "a page outside of the memory");
        // SAFETY: the range lies in the memory (asserted above, 1, 3), which is readable and written by nobody (2).
        unsafe { slice::from_raw_parts((self.base + range.start) as *const u8, range.len()) }
    }

    /// Calls `found` with every run of private pages, as offsets.
    pub(super) fn scan(&self, mut found: impl FnMut(Range<usize>)) -> io::Result<()> {
        let pagemap = pagemap()?;
        let end = (self.base + self.len) as u64;
        let mut start = self.base as u64;
        while start < end {
            let mut regions = [PageRegion::default(); RUNS_PER_SCAN];
            let mut argument = ScanArgument {
                size: size_of::<ScanArgument>() as u64,
                flags: 0,
                start,
                end,
                walk_end: 0,
                vec: regions.as_mut_ptr() as u64,
                vec_len: RUNS_PER_SCAN as u64,
                max_pages: 0,
                category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
                category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
                category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
                return_mask: 0,
            };
            // SAFETY: the kernel reads and writes a structure of the size that it is told, and at most `vec_len` regions
            // where `vec` points; both live until the call is over. It changes nothing else.
            unsafe { ioctl(pagemap, Updater::<PAGEMAP_SCAN, _>::new(&mut argument)) }?;
            for region in regions.iter().take_while(|region| region.start < region.end) {
                let offset = |address: u64| (address as usize).checked_sub(self.base).filter(|at| *at <= self.len);
                let (Some(from), Some(to)) = (offset(region.start), offset(region.end)) else {
                    return Err(io::Error::other("the kernel listed a page outside of the memory"));
                };
                found(from..to);
            }
            if argument.walk_end <= start {
                return Err(io::Error::other("the kernel's scan did not go on"));
            }
            start = argument.walk_end;
        }
        Ok(())
    }
}

impl Image {
    /// Pages that are private in every instance, for start code or an init has written to them.
    pub(crate) fn private_pages(&self) -> usize {
        self.private.iter().map(|run| run.len() / PAGE_BYTES).sum()
    }

    /// Appends a page; says where it stands.
    fn store(&mut self, page: &[u8]) -> io::Result<u32> {
        let at = u32::try_from(self.bytes.len() / PAGE_BYTES).map_err(io::Error::other)?;
        self.bytes.extend_from_slice(page);
        Ok(at)
    }

    /// The page at this offset of the memory; none where it is all zeroes.
    fn page(&self, offset: usize) -> Option<&[u8]> {
        let at = (*self.pages.get(offset / PAGE_BYTES)?)? as usize * PAGE_BYTES;
        self.bytes.get(at..at + PAGE_BYTES)
    }
}

/// How many page faults the calling thread had; none where the kernel does not say.
pub(super) fn faults_of_thread() -> Option<i64> {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes a structure of this type where the pointer points, and nothing else.
    let failed = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    // SAFETY: all its fields are numbers, for which zeroes will do.
    let usage = unsafe { usage.assume_init() };
    // One that was tried twice counts as major.
    (failed == 0).then_some(usage.ru_minflt + usage.ru_majflt)
}

/// This process's page map, opened once.
fn pagemap() -> io::Result<BorrowedFd<'static>> {
    static PAGEMAP: OnceLock<File> = OnceLock::new();
    if let Some(file) = PAGEMAP.get() {
        return Ok(file.as_fd());
    }
    let opened = File::open("/proc/self/pagemap")?;
    Ok(PAGEMAP.get_or_init(|| opened).as_fd())
}
