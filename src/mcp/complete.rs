//! What clients suggest while a user types (`completion/complete`).

use rmcp::RoleServer;
use rmcp::model::{CompleteRequestParams, CompleteResult, CompletionInfo, ErrorData, Reference};
use rmcp::service::RequestContext;
use tokio::time::timeout;

use super::reading::find_prompt;
use super::shared::{Shared, in_scope};
use crate::call::{CallError, Owner};
use crate::catalog::Complete;
use crate::live::Subject;
use crate::principal::Principal;
use crate::quantity::show_duration;

pub(super) async fn complete(
    shared: &Shared,
    request: CompleteRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CompleteResult, ErrorData> {
    let snapshot = shared.live().load();
    let name = request.argument.name.as_str();
    let unknown = |what: &str, of: &str| ErrorData::invalid_params(format!("no such {what}: {of}"), None);
    let (owner, complete) = match &request.r#ref {
        Reference::Prompt(reference) => {
            let found = find_prompt(shared, &snapshot, &reference.name, context)?;
            let argument = found.arguments.iter().find(|argument| argument.name == name);
            let argument = argument.ok_or_else(|| unknown("argument", name))?;
            (Owner { name: &found.name, bridge: found.bridge }, &argument.complete)
        }
        Reference::Resource(reference) => {
            let mut templates = snapshot.catalog.resource_templates.iter();
            let found = templates
                .find(|resource| resource.uri.as_str() == reference.uri)
                .filter(|resource| in_scope(&snapshot, resource.bridge, shared.scope(&context.extensions)))
                .ok_or_else(|| unknown("resource template", &reference.uri))?;
            if !found.uri.variables().any(|variable| variable == name) {
                return Err(unknown("variable", name));
            }
            let complete = found.complete.get(name).unwrap_or(&Complete::Nothing);
            (Owner { name: found.uri.as_str(), bridge: found.bridge }, complete)
        }
        _ => return Err(ErrorData::invalid_params("only prompts and resource templates are completed", None)),
    };
    let failed = |error: CallError| {
        error.log(owner.name);
        match error {
            CallError::Argument(_) | CallError::Denied(_) | CallError::Limited(_) => {
                ErrorData::invalid_params(error.to_string(), None)
            }
            _ => ErrorData::internal_error(error.to_string(), None),
        }
    };
    let who = shared.caller().viewer(&context.extensions).await.unwrap_or_else(Principal::anonymous);
    let others = request.context.and_then(|context| context.arguments).unwrap_or_default();
    // An API that is asked takes up a place among the caller's calls.
    let _slot = match complete {
        Complete::Asked(_) => shared.slots.take(&who).map_err(failed)?,
        Complete::Nothing | Complete::Known(_) | Complete::Only(_) => None,
    };
    let subject = Subject { owner, name };
    let asking = snapshot.suggest(subject, complete, &request.argument.value, &others, &who);
    let limit = shared.call_timeout;
    let values = tokio::select! {
        () = context.ct.cancelled() => return Err(ErrorData::internal_error("the request was cancelled", None)),
        ended = timeout(limit, asking) => ended.unwrap_or_else(|_| {
            Err(CallError::Upstream(format!("The API did not answer within {}", show_duration(limit))))
        }),
    };
    let mut values = values.map_err(failed)?;
    let mut completion = CompletionInfo::default();
    completion.total = u32::try_from(values.len()).ok();
    completion.has_more = Some(values.len() > CompletionInfo::MAX_VALUES);
    values.truncate(CompletionInfo::MAX_VALUES);
    completion.values = values;
    Ok(CompleteResult::new(completion))
}
