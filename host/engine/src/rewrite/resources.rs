//! Whether a component can have handles.
//!
//! One that makes no resources of its own has handles only to those that it imports, and each of these has a type by a name
//! among its imports.

use wasmparser::{
    component_types::{ComponentAnyTypeId, ComponentEntityType},
    types::TypesRef,
};

/// Whether the import with this name is the type of a resource, or an instance that has one.
pub(crate) fn comes_with(types: TypesRef<'_>, import: &str) -> bool {
    match types.component_item_for_import(import).map(|item| item.ty) {
        Some(ComponentEntityType::Type { created, .. }) => matches!(created, ComponentAnyTypeId::Resource(_)),
        Some(ComponentEntityType::Instance(instance)) => {
            types.get(instance).is_some_and(|instance| !instance.explicit_resources.is_empty())
        }
        _ => false,
    }
}
