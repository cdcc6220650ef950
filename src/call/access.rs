//! `access`: whether this caller may call this tool. Whatever can't be made sure is a refusal.

use serde_json::{Map, Value};

use super::CallError;
use super::prepare::{claim_value, claims};
use crate::catalog::{Bridge, Catalog, Tool};
use crate::principal::{ClaimPath, Principal};
use crate::template::Scope;

/// Refuses a caller who lacks what the tool asks for.
///
/// # Errors
/// Returns [`CallError::Denied`] that names every missing scope; groups and conditions are not told.
pub fn allow(catalog: &Catalog, tool: &Tool, bridge: &Bridge, who: &Principal) -> Result<(), CallError> {
    let access = &tool.access;
    if access.is_open() {
        return Ok(());
    }
    let missing: Vec<&str> =
        access.scopes.iter().map(String::as_str).filter(|scope| !who.scopes().contains(*scope)).collect();
    if !missing.is_empty() {
        return Err(CallError::Denied(format!("Access denied: the token lacks the scope {}", missing.join(" "))));
    }
    let refused = || CallError::Denied(format!("Access denied: {} is not open to this caller", tool.name));
    if !access.groups.is_empty() {
        let groups = groups(bridge, who);
        let is_in = |wanted: &Vec<String>| wanted.iter().any(|group| groups.contains(&group.as_str()));
        if !access.groups.iter().all(is_in) {
            return Err(refused());
        }
    }
    if !access.when.is_empty() {
        let scope = Scope::new(&Map::from_iter([("claims".to_owned(), claims(bridge, who).into())]));
        // A claim that is not there makes a condition false, not an error of ours.
        let holds = |leaf| matches!(catalog.templates.value(leaf, &scope), Ok(Some(Value::Bool(true))));
        if !access.when.iter().all(|(_, leaf)| holds(leaf)) {
            return Err(refused());
        }
    }
    Ok(())
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
