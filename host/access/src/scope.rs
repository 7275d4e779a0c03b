//! What a token may do: an action on a target, written `deploy:app/shop`.
//!
//! Only what a scope says is allowed. `admin` includes every action and `deploy` includes `read`; `invoke` and `data`
//! include nothing and are included by `admin` alone, so a caller's token shows nothing, and a deployer's calls nothing and sees nothing
//! of what functions keep. The target `*` is
//! everything, and an app's scope holds for the app's functions. Which functions those are is said by whoever asks.

use std::{fmt, str::FromStr};

use gust_core::{AppName, FunctionName, name::NameError};
use serde::{Deserialize, Serialize};

/// How much of a text an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// See what is deployed, its logs and its metrics.
    Read,
    /// Change what is deployed.
    Deploy,
    /// Call a function.
    Invoke,
    /// Read and write what an app's functions keep.
    Data,
    /// Everything, tokens and secrets included.
    Admin,
}

/// What a scope is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// The host and all that is on it.
    Host,
    /// An app and its functions.
    App(AppName),
    /// One function.
    Function(FunctionName),
}

/// An action that is allowed, and on what. As text: `ACTION:TARGET`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope {
    /// What may be done.
    pub action: Action,
    /// What it may be done to.
    pub target: Target,
}

/// What somebody wants to do something to.
#[derive(Clone, Copy)]
pub enum Resource<'a> {
    /// The host itself.
    Host,
    /// An app.
    App(&'a AppName),
    /// A function.
    Function {
        /// Its name.
        name: &'a FunctionName,
        /// Whether it is one of that app's functions.
        is_in: &'a dyn Fn(&AppName) -> bool,
    },
}

/// Why a text is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// There is no colon.
    #[error("{0:?} is not a scope: write ACTION:TARGET, such as deploy:app/shop, invoke:function/resize or admin:*")]
    Form(String),
    /// What stands before the colon.
    #[error("{0:?} is not an action of a scope: read, deploy, invoke, data or admin")]
    Action(String),
    /// What stands after the colon.
    #[error("{0:?} is not a target of a scope: *, app/NAME or function/NAME")]
    Target(String),
    /// A function keeps nothing of its own.
    #[error("data:function/{0} is good for nothing: what functions keep is their app's; write data:app/NAME")]
    DataOfFunction(FunctionName),
    /// The target's name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 5] = [Action::Read, Action::Deploy, Action::Invoke, Action::Data, Action::Admin];

    /// The action as a scope says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::Deploy => "deploy",
            Action::Invoke => "invoke",
            Action::Data => "data",
            Action::Admin => "admin",
        }
    }

    /// Whether who may do this may do `other` too.
    pub fn includes(self, other: Action) -> bool {
        self == other || self == Action::Admin || (self, other) == (Action::Deploy, Action::Read)
    }
}

impl Target {
    /// Whether what may be done to this may be done to `resource`.
    fn includes(&self, resource: &Resource<'_>) -> bool {
        match (self, resource) {
            (Target::Host, _) => true,
            (Target::App(app), Resource::App(other)) => app == *other,
            (Target::App(app), Resource::Function { is_in, .. }) => is_in(app),
            (Target::Function(function), Resource::Function { name, .. }) => function == *name,
            (Target::App(_) | Target::Function(_), _) => false,
        }
    }
}

impl Scope {
    /// Whether it lets `action` be done to `resource`.
    pub fn allows(&self, action: Action, resource: &Resource<'_>) -> bool {
        self.action.includes(action) && self.target.includes(resource)
    }

    /// Whether it allows all that `other` does, whichever functions are in whichever apps. Whoever hands out scopes must
    /// hold some that cover them.
    pub fn covers(&self, other: &Scope) -> bool {
        self.action.includes(other.action) && (self.target == Target::Host || self.target == other.target)
    }
}

/// What a token may do, all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Box<[Scope]>);

impl Scopes {
    /// Whether one of them lets `action` be done to `resource`.
    pub fn allows(&self, action: Action, resource: &Resource<'_>) -> bool {
        self.iter().any(|scope| scope.allows(action, resource))
    }

    /// Whether each of the others is covered by one of these.
    pub fn cover(&self, others: &Scopes) -> bool {
        others.iter().all(|other| self.iter().any(|scope| scope.covers(other)))
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl FromStr for Action {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let found = Action::ALL.into_iter().find(|action| action.as_str() == text);
        found.ok_or_else(|| ScopeError::Action(shortened(text)))
    }
}

impl FromStr for Target {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        match text.split_once('/') {
            None if text == "*" => Ok(Target::Host),
            Some(("app", name)) => Ok(Target::App(name.parse()?)),
            Some(("function", name)) => Ok(Target::Function(name.parse()?)),
            _ => Err(ScopeError::Target(shortened(text))),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let (action, target) = text.split_once(':').ok_or_else(|| ScopeError::Form(shortened(text)))?;
        match (action.parse()?, target.parse()?) {
            (Action::Data, Target::Function(function)) => Err(ScopeError::DataOfFunction(function)),
            (action, target) => Ok(Scope { action, target }),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.action.as_str(), self.target)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Host => f.write_str("*"),
            Target::App(name) => write!(f, "app/{name}"),
            Target::Function(name) => write!(f, "function/{name}"),
        }
    }
}

#[cfg(test)]
mod tests;
