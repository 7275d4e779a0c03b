//! Which components can be put back, and why the others cannot.
//!
//! What is asked is whether all state that a call can change lies in one memory and in globals that the rewrite can reach.
//! Each reason is one sentence that goes on from "it is not rewound:".

use wasmparser::{CanonicalFunction, CanonicalOption, MemoryType};

use super::{
    PREFIX,
    gatherer::Gatherer,
    layout::Layout,
    module::{CoreModule, Titled},
};
use crate::settings::CORE_INSTANCES_PER_COMPONENT_MAX;

/// Bytes of a page of memory: 2 to the power of this.
const PAGE_BYTES_LOG2: u32 = 16;

/// The pages of a memory that no list can be all of, for its bytes do not fit in 32 bits.
const PAGES_TOO_MANY: u64 = 1 << (u32::BITS - PAGE_BYTES_LOG2);

/// The core instance that has the component's only memory, or why the component cannot be put back.
pub(crate) fn check(layout: &Layout<'_>) -> Result<u32, String> {
    is_of_one_piece(layout)?;
    keeps_no_handles(layout)?;
    leaves_room(layout)?;
    for (index, module) in layout.modules_in_use() {
        keeps_state_in_reach(&Titled(index, module), module)?;
    }
    only_memory(layout)
}

/// All code and all instances of it can be seen.
fn is_of_one_piece(layout: &Layout<'_>) -> Result<(), String> {
    if layout.has_inner_code {
        return Err("it is composed of several components".to_owned());
    }
    if layout.has_foreign_module {
        return Err(
            "a core module of it comes from outside or is given away, so not all of its instances are known".to_owned()
        );
    }
    Ok(())
}

/// Its handles are to what is the host's, which sees them, and no task of it goes on between calls.
fn keeps_no_handles(layout: &Layout<'_>) -> Result<(), String> {
    let functions = &layout.canonical_functions;
    if functions.iter().any(is_asynchronous) {
        return Err("it uses asynchronous canonical functions".to_owned());
    }
    if functions.iter().any(|function| matches!(function, CanonicalFunction::ResourceNew { .. })) {
        return Err("it makes resources of its own (resource.new), which may outlive a call".to_owned());
    }
    Ok(())
}

/// The rewrite can add what it has to add.
fn leaves_room(layout: &Layout<'_>) -> Result<(), String> {
    if layout.has_name_of_ours {
        return Err(format!("it has an export whose name begins with `{PREFIX}`, which is for the host to add"));
    }
    let instances = u32::try_from(layout.instantiations().count()).unwrap_or(u32::MAX);
    let added = u32::from(Gatherer::of(layout).is_some());
    if instances.saturating_add(added) > CORE_INSTANCES_PER_COMPONENT_MAX {
        return Err(format!(
            "it has {instances} core instances, and putting it back takes {added} more, but there may be only \
             {CORE_INSTANCES_PER_COMPONENT_MAX}"
        ));
    }
    Ok(())
}

/// What the code of a module changes is in a memory or a global that can be copied.
fn keeps_state_in_reach(title: &Titled<'_>, module: &CoreModule<'_>) -> Result<(), String> {
    if module.has_name_of_ours {
        return Err(format!(
            "its {title} has an export whose name begins with `{PREFIX}`, which is for the host to add"
        ));
    }
    if let Some((function, effect)) = module.lasting {
        let function = module.function_title(function);
        return Err(format!(
            "its {title} {} ({} in {function}), which cannot be put back",
            effect.does, effect.through
        ));
    }
    match module.mutable_globals.iter().find(|global| global.shadow().is_none()) {
        Some(global) => {
            Err(format!("its {title} has a mutable global ({}) whose type has no empty value", global.index))
        }
        None => Ok(()),
    }
}

/// The core instance whose memory is the only one.
fn only_memory(layout: &Layout<'_>) -> Result<u32, String> {
    let memories = || {
        layout
            .instantiations()
            .flat_map(|(instance, module)| module.memories.iter().map(move |memory| (instance, memory)))
    };
    match (memories().next(), memories().count()) {
        (Some((instance, memory)), 1) => can_be_found(memory).map(|()| instance),
        (None, _) => Err("it has no memory".to_owned()),
        (_, count) => Err(format!("it has {count} memories, and only one can be put back")),
    }
}

/// The memory is one that can be asked for its address, and a multiple of the machine's pages.
fn can_be_found(memory: &MemoryType) -> Result<(), String> {
    let problem = if memory.shared {
        "its memory is shared"
    } else if memory.memory64 {
        "its memory has addresses of 64 bits"
    } else if memory.page_size_log2.is_some_and(|log2| log2 != PAGE_BYTES_LOG2) {
        "its memory has pages of an unusual size"
    } else if memory.initial == 0 {
        "its memory is empty at first"
    } else if memory.initial >= PAGES_TOO_MANY {
        "its memory has 4 GiB at first, and a list of all of it would be too long"
    } else {
        return Ok(());
    };
    Err(problem.to_owned())
}

fn is_asynchronous(function: &CanonicalFunction) -> bool {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options.iter().any(|option| matches!(option, CanonicalOption::Async | CanonicalOption::Callback(_)))
        }
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. } => false,
        _ => true,
    }
}
