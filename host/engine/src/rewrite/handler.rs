//! The typed handler, where the end of a call can put the globals back as well.
//!
//! The canonical ABI lets a lifted function have another, called after it, when the host has read what it returned
//! (post-return). No code of the component runs after that, so it may as well put the globals back, and the host need not
//! call anything for it. wit-bindgen and wit-component make such a function for the handler, for its answer is in memory.
//!
//! It is only done where it takes nothing but this one function and changes nothing else:
//! - All mutable globals are of one core instance, which exports both functions.
//! - Every call of the typed handler ends with it: it is the only lifted function with the handler's core type, so of all
//!   that the component can export, only it can have the handler's type.
//! - Nothing else calls it: it is not passed to another instance and not lifted itself.

use wasm_encoder::SectionId;
use wasmparser::{
    BinaryReader, CanonicalFunction, CanonicalOption, CompositeInnerType, ImportSectionReader, types::TypesRef,
};

use super::{exports, layout::Layout, module::CoreModule};

/// The core function that is lifted as the typed handler.
const HANDLE: &str = "gust:function/handler@0.1.0#handle";

/// The one that is called after it, with the address of what it returned.
pub(crate) const POST_RETURN: &str = "cabi_post_gust:function/handler@0.1.0#handle";

/// That function, where it can put back all globals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PostReturn {
    /// The module that has it and all mutable globals, and which has one instance.
    pub(crate) module: u32,
    /// Its index there.
    pub(crate) function: u32,
}

/// A function of the component's own.
struct Lifted {
    function: u32,
    post_return: Option<u32>,
}

impl PostReturn {
    /// The one of this component; none where that would not be enough, or too much.
    pub(crate) fn of(layout: &Layout<'_>, types: TypesRef<'_>) -> Option<Self> {
        let [instance] = *layout.with_globals() else { return None };
        let is = |function: u32, name: &str| layout.core_functions.export(function) == Some((instance, name));
        let lifted: Vec<Lifted> = layout.canonical_functions.iter().filter_map(Lifted::of).collect();
        let mut ended = lifted.iter().filter(|lifted| lifted.post_return.is_some_and(|end| is(end, POST_RETURN)));
        let (Some(handler), None) = (ended.next(), ended.next()) else { return None };
        let of_its_type = lifted.iter().filter(|other| other.core_type(types) == handler.core_type(types)).count();
        let passed = layout.core_functions.passed().iter().copied();
        let is_called_otherwise = passed.chain(lifted.iter().map(|lifted| lifted.function)).any(|f| is(f, POST_RETURN))
            || layout.modules.iter().any(imports_post_return);
        if !is(handler.function, HANDLE) || of_its_type != 1 || is_called_otherwise {
            return None;
        }
        let module = layout.module_of(instance)?;
        let function = exports::function(layout.module(module)?, POST_RETURN)?;
        Some(Self { module, function })
    }
}

impl Lifted {
    fn of(function: &CanonicalFunction) -> Option<Self> {
        let CanonicalFunction::Lift { core_func_index, options, .. } = function else { return None };
        let post_return = options.iter().find_map(|option| match option {
            CanonicalOption::PostReturn(function) => Some(*function),
            _ => None,
        });
        Some(Self { function: *core_func_index, post_return })
    }

    fn core_type<'t>(&self, types: TypesRef<'t>) -> Option<&'t CompositeInnerType> {
        Some(&types.get(types.core_function_at(self.function))?.composite_type.inner)
    }
}

/// Whether the module would get the function when it gets all that the instance exports.
fn imports_post_return(module: &CoreModule<'_>) -> bool {
    let imports = module.sections.iter().filter(|section| section.id == u8::from(SectionId::Import));
    let imports = imports.filter_map(|section| ImportSectionReader::new(BinaryReader::new(&section.contents, 0)).ok());
    imports.flat_map(|section| section.into_imports().map_while(Result::ok)).any(|import| import.name == POST_RETURN)
}
