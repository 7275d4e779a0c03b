//! A loaded component, ready to be instantiated, with the terms on which its requests run.

use std::sync::Arc;

use gust_core::{Code, InstanceMode, InstanceState, Limits, Problem, RewindPolicy, Tier, api::World};
use wasmtime::component::Component;

use crate::{
    Engine, Reset,
    callee::Callee,
    configuration::Configuration,
    host::Terms,
    init::{self, Init},
    outgoing::Outbound,
    output::OutputSink,
    pool::Pool,
    rewind::Rewinding,
    state::State,
    turns::Share,
    verdict::Verdict,
};

/// What a function's owner decided about it. It holds secrets, so it has no `Debug`.
#[derive(Clone)]
pub struct FunctionConfig {
    /// The limits of each invocation.
    pub limits: Limits,
    /// The environment that the guest sees.
    pub env: Vec<(String, String)>,
    /// What `wasi:config` gives the guest beside the environment: names and values. Of two with one name this one counts.
    pub config: Vec<(String, String)>,
    /// Where what it prints goes.
    pub sink: Arc<dyn OutputSink>,
    /// Its way to other functions and outside, where it may send any request.
    pub outbound: Option<Arc<dyn Outbound>>,
    /// What it keeps, where it may keep anything.
    pub state: Option<Arc<dyn State>>,
    /// Where each request's instance comes from.
    pub instance: InstanceMode,
    /// Whether it is a program that is run for each request.
    pub is_cgi: bool,
    /// What it gets of the processor where other apps want it too.
    pub share: Arc<Share>,
}

/// A component that is loaded and linked. Cheap to clone.
#[derive(Clone)]
pub struct Function {
    pub(crate) engine: Engine,
    /// Where its instances are made.
    pub(crate) pool: Arc<Pool>,
    pub(crate) callee: Callee,
    pub(crate) init: Option<Init>,
    pub(crate) terms: Arc<Terms>,
    /// None where each request gets a new instance.
    pub(crate) rewinding: Option<Arc<Rewinding>>,
    /// Why there is none, as is known from the beginning.
    never_rewound: Option<Arc<str>>,
    imports: Arc<[String]>,
    tier: Tier,
}

impl Function {
    /// Links `component`, as it came from an [`ArtifactCache`](crate::ArtifactCache). `verdict` says whether its
    /// instances can be put back.
    pub(crate) fn link(
        engine: &Engine,
        component: &Component,
        config: &FunctionConfig,
        verdict: Verdict,
        tier: Tier,
    ) -> Result<Self, Problem> {
        let refused = |error: wasmtime::Error| {
            let detail = format!("the component cannot be linked: {error:#}");
            Problem::new(Code::ComponentUnknownImport, detail)
        };
        let pool = engine.pool(verdict.concurrency())?;
        let pre = pool.linker().instantiate_pre(component).map_err(refused)?;
        let callee = Callee::new(pre, config.is_cgi).map_err(|error| not_called(config.is_cgi, &error))?;
        let (rewinding, never_rewound) = match may_rewind(engine, config.instance, verdict) {
            Ok(restores_itself) => (Some(engine.rewinding(restores_itself)), None),
            Err(reason) => (None, Some(reason.into())),
        };
        let terms = Terms {
            env: config.env.clone(),
            config: Arc::new(Configuration::new(config.config.clone())),
            limits: config.limits.clone(),
            share: config.share.clone(),
            lane: engine.lane().clone(),
            pace: Arc::default(),
            outbound: config.outbound.clone(),
            state: config.state.clone(),
            seed: rand::random(),
            sink: config.sink.clone(),
        };
        let ty = component.component_type();
        let imports = ty.imports(pool.wasmtime()).map(|(name, _)| name.to_owned()).collect();
        let init = Init::of(component);
        Ok(Self {
            engine: engine.clone(),
            pool: pool.clone(),
            callee,
            init,
            terms: Arc::new(terms),
            rewinding,
            never_rewound,
            imports,
            tier,
        })
    }

    /// The export that requests go through.
    pub fn world(&self) -> World {
        self.callee.world()
    }

    /// The export that gets an instance ready before its first request, where there is one.
    pub fn init(&self) -> Option<&'static str> {
        self.init.as_ref().map(|_| init::INTERFACE)
    }

    /// How well its code was compiled.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Takes over what was found out about the same component's instances when it was loaded `before`.
    pub fn learns_from(&self, before: &Self) {
        if let (Some(rewinding), Some(before)) = (&self.rewinding, &before.rewinding) {
            rewinding.learns_from(before);
        }
    }

    /// Where each request's instance comes from now, and why.
    pub fn instance_state(&self) -> InstanceState {
        match (&self.never_rewound, self.rewinding.as_ref().and_then(|rewinding| rewinding.stopped())) {
            (Some(reason), _) => InstanceState::fresh(&**reason),
            (None, Some(refusal)) => InstanceState::fresh(refusal.to_string()),
            (None, None) => InstanceState::rewound(),
        }
    }

    /// What the component imports, as `wasi:io/streams@0.2.6`.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }
}

/// It has no export of the kind that its manifest speaks of. What has none at all was refused before it was compiled.
fn not_called(is_cgi: bool, error: &wasmtime::Error) -> Problem {
    let detail = match is_cgi {
        true => "its manifest says `cgi = true`, and it is no program: it does not export wasi:cli/run 0.2",
        false => {
            "it is a program, which exports wasi:cli/run; say `cgi = true` in gust.toml to have it run for each request"
        }
    };
    Problem::new(Code::ComponentNoHandler, detail).with_internal(format!("{error:#}"))
}

/// Whether an instance has put back its own globals when its typed handler returns; or why a function's instances are not put
/// back, whatever they do.
fn may_rewind(engine: &Engine, mode: InstanceMode, verdict: Verdict) -> Result<bool, String> {
    if mode == InstanceMode::Fresh {
        return Err("its manifest says instance = \"fresh\"".to_owned());
    }
    if engine.settings().rewind == RewindPolicy::Off {
        return Err("the host's setting rewind is off".to_owned());
    }
    match (engine.reset(), verdict) {
        (_, Verdict::Concurrent) => {
            Err("it is of WASI 0.3, where a call may leave tasks behind: each request has a new one".to_owned())
        }
        (Reset::Discard { why }, _) => Err(format!("the kernel does not tell which pages were written: {why}")),
        (Reset::PageScan, Verdict::Not(reason)) => Err(reason),
        (Reset::PageScan, Verdict::Rewindable { restores_itself }) => Ok(restores_itself),
    }
}
