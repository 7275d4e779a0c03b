//! A component's core functions: which exports of which instances they are, and which are passed on.

use wasmparser::{CanonicalFunction, ComponentAlias, Export, ExternalKind};

/// The core functions of a component, to be told of everything that makes one, in order.
#[derive(Debug, Default)]
pub(crate) struct CoreFunctions<'a> {
    /// By their indices: the core instance that exports it and the name there; none for one that is lowered or built in.
    exports: Vec<Option<(u32, &'a str)>>,
    passed: Vec<u32>,
}

impl<'a> CoreFunctions<'a> {
    /// The core instance that exports the function with this index, and its name there.
    pub(crate) fn export(&self, index: u32) -> Option<(u32, &'a str)> {
        self.exports.get(usize::try_from(index).ok()?).copied().flatten()
    }

    /// Those that are passed to core instances one by one.
    pub(crate) fn passed(&self) -> &[u32] {
        &self.passed
    }

    pub(crate) fn note_alias(&mut self, alias: &ComponentAlias<'a>) {
        if let ComponentAlias::CoreInstanceExport { kind, instance_index, name } = alias
            && is_function(*kind)
        {
            self.exports.push(Some((*instance_index, name)));
        }
    }

    pub(crate) fn note_canonical(&mut self, function: &CanonicalFunction) {
        // All but those that are lifted are core functions.
        if !matches!(function, CanonicalFunction::Lift { .. }) {
            self.exports.push(None);
        }
    }

    /// A core instance groups these.
    pub(crate) fn note_group(&mut self, group: &[Export<'a>]) {
        self.passed.extend(group.iter().filter(|export| is_function(export.kind)).map(|export| export.index));
    }
}

fn is_function(kind: ExternalKind) -> bool {
    matches!(kind, ExternalKind::Func | ExternalKind::FuncExact)
}
