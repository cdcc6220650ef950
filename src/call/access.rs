//! `access`: whether this caller may call this tool. Whatever can't be made sure is a refusal.

use serde_json::{Map, Value};

use super::CallError;
use super::prepare::{claim_value, claims};
use crate::catalog::{Bridge, Catalog, Tool};
use crate::principal::{ClaimPath, Principal};
use crate::template::Scope;

/// How a caller stands to a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing<'t> {
    /// May call it.
    Open,
    /// Could call it with a token that has these scopes too.
    LacksScopes(Vec<&'t str>),
    /// Is in none of the groups, or a condition is not true: for this caller there is no such tool.
    Hidden,
}

/// Finds out how a caller stands to a tool.
#[must_use]
pub fn standing<'t>(catalog: &Catalog, tool: &'t Tool, bridge: &Bridge, who: &Principal) -> Standing<'t> {
    let access = &tool.access;
    if !access.groups.is_empty() {
        let groups = groups(bridge, who);
        let is_in = |wanted: &Vec<String>| wanted.iter().any(|group| groups.contains(&group.as_str()));
        if !access.groups.iter().all(is_in) {
            return Standing::Hidden;
        }
    }
    if !access.when.is_empty() {
        let scope = Scope::new(&Map::from_iter([("claims".to_owned(), claims(bridge, who).into())]));
        // A claim that is not there makes a condition false, not an error of ours.
        let holds = |leaf| matches!(catalog.templates.value(leaf, &scope), Ok(Some(Value::Bool(true))));
        if !access.when.iter().all(|(_, leaf)| holds(leaf)) {
            return Standing::Hidden;
        }
    }
    let missing: Vec<&str> =
        access.scopes.iter().map(String::as_str).filter(|scope| !who.scopes().contains(*scope)).collect();
    if missing.is_empty() { Standing::Open } else { Standing::LacksScopes(missing) }
}

/// Refuses a caller who lacks what the tool asks for.
///
/// # Errors
/// Returns [`CallError::Denied`] that names every missing scope, and [`CallError::Unknown`] when the tool is hidden.
pub fn allow(catalog: &Catalog, tool: &Tool, bridge: &Bridge, who: &Principal) -> Result<(), CallError> {
    if tool.access.is_open() {
        return Ok(());
    }
    match standing(catalog, tool, bridge, who) {
        Standing::Open => Ok(()),
        Standing::LacksScopes(missing) => Err(CallError::Denied(lacks(&missing))),
        Standing::Hidden => Err(CallError::Unknown(tool.name.clone())),
    }
}

/// What a caller is told whose token lacks scopes.
#[must_use]
pub fn lacks(scopes: &[&str]) -> String {
    format!("Access denied: the token lacks the scope {}", scopes.join(" "))
}

/// The caller's groups: a list, or a single one.
fn groups<'p>(bridge: &Bridge, who: &'p Principal) -> Vec<&'p str> {
    let own = || who.claims().get(&ClaimPath::new("groups"));
    let value = if bridge.claims.contains_key("groups") { claim_value(bridge, "groups", who) } else { own() };
    match value {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one],
        _ => Vec::new(),
    }
}
