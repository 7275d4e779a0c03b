//! Sections as they stand in a binary: copied as they are, or with entries appended.

use std::borrow::Cow;

use wasm_encoder::{Encode, RawSection, SectionId};
use wasmparser::{BinaryReader, Error, Payload};

/// The id of a custom section, in modules and in components.
pub(crate) const CUSTOM: u8 = 0;

/// The contents of a section with no entries.
const NO_ENTRIES: &[u8] = &[0];

/// The order that sections of a module must have (WebAssembly core specification, "Binary Format", "Modules").
const ORDER: [SectionId; 13] = [
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Table,
    SectionId::Memory,
    SectionId::Tag,
    SectionId::Global,
    SectionId::Export,
    SectionId::Start,
    SectionId::Element,
    SectionId::DataCount,
    SectionId::Code,
    SectionId::Data,
];

/// A section of a module or a component.
#[derive(Debug, Clone)]
pub(crate) struct Section<'a> {
    /// What kind it is of.
    pub(crate) id: u8,
    /// What follows its id and its size.
    pub(crate) contents: Cow<'a, [u8]>,
}

impl<'a> Section<'a> {
    /// The section of `binary` that `payload` begins; none where it begins none.
    pub(crate) fn of(payload: &Payload<'_>, binary: &'a [u8]) -> Option<Self> {
        let (id, range) = payload.as_section()?;
        Some(Self { id, contents: Cow::Borrowed(binary.get(range)?) })
    }

    /// The section, to be written.
    pub(crate) fn raw(&self) -> RawSection<'_> {
        RawSection { id: self.id, data: &self.contents }
    }
}

/// Appends the entries of `added` to the section with this id, which is put in its place where there is none.
pub(crate) fn append(sections: &mut Vec<Section<'_>>, id: u8, added: &impl Encode) -> Result<(), Error> {
    match sections.iter_mut().find(|section| section.id == id) {
        Some(section) => section.contents = Cow::Owned(appended(&section.contents, added)?),
        None => {
            let contents = Cow::Owned(appended(NO_ENTRIES, added)?);
            let at = sections.iter().position(|section| place(section.id) > place(id)).unwrap_or(sections.len());
            sections.insert(at, Section { id, contents });
        }
    }
    Ok(())
}

/// The contents of a section that begins with the number of its entries, and the entries of `added` behind its own.
pub(crate) fn appended(contents: &[u8], added: &impl Encode) -> Result<Vec<u8>, Error> {
    let mut encoded = Vec::new();
    added.encode(&mut encoded);
    let mut added = BinaryReader::new(&encoded, 0);
    // An encoded section says its size first.
    added.read_var_u32()?;
    let (added_count, added_entries) = split(added)?;
    let (count, entries) = split(BinaryReader::new(contents, 0))?;
    let mut whole = Vec::with_capacity(contents.len() + encoded.len());
    count.saturating_add(added_count).encode(&mut whole);
    whole.extend_from_slice(entries);
    whole.extend_from_slice(added_entries);
    Ok(whole)
}

/// The number of entries, and the entries.
fn split(mut contents: BinaryReader<'_>) -> Result<(u32, &[u8]), Error> {
    let count = contents.read_var_u32()?;
    Ok((count, contents.read_bytes(contents.bytes_remaining())?))
}

/// Where a section stands among others; none for a custom one, which may stand anywhere.
fn place(id: u8) -> Option<usize> {
    ORDER.iter().position(|known| u8::from(*known) == id)
}
