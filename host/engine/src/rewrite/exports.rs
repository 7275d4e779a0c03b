//! Exports of a core module: found by name, and pointed to another function.

use wasm_encoder::{Encode as _, ExportKind, SectionId};
use wasmparser::{BinaryReader, Error, ExportSectionReader, ExternalKind};

use super::module::CoreModule;

/// The function that the module exports by this name.
pub(crate) fn function(module: &CoreModule<'_>, name: &str) -> Option<u32> {
    let section = module.sections.iter().find(|section| section.id == u8::from(SectionId::Export))?;
    let exports = ExportSectionReader::new(BinaryReader::new(&section.contents, 0)).ok()?;
    let export = exports.into_iter().map_while(Result::ok).find(|export| export.name == name)?;
    (export.kind == ExternalKind::Func).then_some(export.index)
}

/// The contents of an export section, where the export with this name is `function` instead of what it was. All others are
/// copied byte for byte.
pub(crate) fn redirected(contents: &[u8], name: &str, function: u32) -> Result<Vec<u8>, Error> {
    let mut exports = ExportSectionReader::new(BinaryReader::new(contents, 0))?.into_iter_with_offsets();
    let mut whole = contents.to_vec();
    while let Some(export) = exports.next() {
        let (from, export) = export?;
        if export.name == name {
            let to = exports.next().transpose()?.map_or(contents.len(), |(next, _)| next);
            let mut redirected = Vec::new();
            name.encode(&mut redirected);
            ExportKind::Func.encode(&mut redirected);
            function.encode(&mut redirected);
            whole.splice(from..to, redirected);
            break;
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = r#"(module
        (memory (export "memory") 1) (func (export "a")) (func (export "b")) (global (export "c") i32 (i32.const 0)))"#;

    /// The exported functions with their indices, where the export of this name is function 300.
    fn after_redirecting(name: &str) -> [Option<u32>; 4] {
        let binary = wat::parse_str(MODULE).unwrap();
        let mut module = CoreModule::read(&binary).unwrap();
        let exports = u8::from(SectionId::Export);
        let section = module.sections.iter_mut().find(|section| section.id == exports).unwrap();
        section.contents = redirected(&section.contents, name, 300).unwrap().into();
        let reader = ExportSectionReader::new(BinaryReader::new(&section.contents, 0)).unwrap();
        let names: Vec<_> = reader.into_iter().map(|export| export.unwrap().name).collect();
        assert_eq!(names, ["memory", "a", "b", "c"]);
        ["memory", "a", "b", "c"].map(|name| function(&module, name))
    }

    #[test]
    fn one_export_is_redirected_and_all_others_stay() {
        assert_eq!(after_redirecting("d"), [None, Some(0), Some(1), None]);
        assert_eq!(after_redirecting("a"), [None, Some(300), Some(1), None]);
        assert_eq!(after_redirecting("b"), [None, Some(0), Some(300), None]);
        assert_eq!(after_redirecting("c"), [None, Some(0), Some(1), Some(300)]);
    }
}
