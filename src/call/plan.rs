//! All of a call that comes before anything is sent: who may, what was passed, and the request it makes. The server and
//! `explain` both go this way.

use serde_json::{Map, Value};

use super::prepare::required_claim;
use super::{CallError, Owner, Request, allow, pending, prepare};
use crate::catalog::{Answers, Arguments, Bridge, Catalog, Operation, Tool};
use crate::principal::Principal;

/// A call that may go ahead.
#[derive(Debug)]
pub struct Plan<'c> {
    /// The bridge of the tool.
    pub bridge: &'c Bridge,
    /// The arguments, defaults filled in.
    pub arguments: Arguments,
    /// The request and what it was made from; `None` for a tool that answers from the file.
    pub request: Option<(&'c Operation, Request)>,
}

/// Plans a call.
///
/// # Errors
/// Returns a [`CallError`] that says who is to blame; none of them blames the API. [`CallError::Unanswered`] has the
/// questions that come first.
pub fn plan<'c>(
    catalog: &'c Catalog,
    tool: &'c Tool,
    arguments: Map<String, Value>,
    answers: &Answers,
    who: &Principal,
) -> Result<Plan<'c>, CallError> {
    let bridge = catalog.bridge(tool.bridge).ok_or_else(|| CallError::internal("the tool's bridge is missing"))?;
    allow(catalog, tool, bridge, who)?;
    let arguments = tool.input.accept(arguments).map_err(|errors| CallError::arguments(&errors))?;
    for claim in &tool.shape_claims {
        required_claim(bridge, claim, who)?;
    }
    let arguments = arguments.answered(answers);
    let values = || super::prepare::values(bridge, &arguments, who);
    let unanswered = pending(&catalog.templates, &tool.questions, &values, answers)?;
    if !unanswered.is_empty() {
        return Err(CallError::Unanswered(unanswered));
    }
    let owner = Owner { name: &tool.name, bridge: tool.bridge };
    let request = match &tool.operation {
        None => None,
        Some(operation) => Some((operation, prepare(catalog, owner, operation, &arguments, who)?)),
    };
    Ok(Plan { bridge, arguments, request })
}
