//! Reads resources, and makes the messages of prompts.

use rmcp::RoleServer;
use rmcp::model::{
    CacheScope, ErrorData, GetPromptRequestParams, GetPromptResponse, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult,
};
use rmcp::service::RequestContext;
use serde_json::json;
use tokio::time::timeout;

use super::ask::{About, Interview, Said, Stop};
use super::meta::Introduced as _;
use super::shared::{Shared, TTL_MS, in_scope};
use super::{caller, convert, skills};
use crate::audit::Entry;
use crate::call::CallError;
use crate::catalog::{Prompt, Resource};
use crate::live::Snapshot;
use crate::principal::Principal;
use crate::quantity::show_duration;

pub(super) async fn resource(
    shared: &Shared,
    request: ReadResourceRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<ReadResourceResponse, ErrorData> {
    let snapshot = shared.live().load();
    let uri = request.uri;
    if let Some((bridge, contents)) = skills::read(&snapshot.catalog, &uri)
        && in_scope(&snapshot, bridge, shared.scope(&context.extensions))
    {
        audit_read(shared, "resources/read", bridge, &snapshot, &uri, context)?;
        let result = ReadResourceResult::new(vec![contents]);
        return Ok(result.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Private).introduced(context).into());
    }
    let (found, variables) = find_resource(shared, &snapshot, &uri, context)?;
    let limit = shared.call_timeout;
    let run = async {
        snapshot.read(found, &variables).await.map_err(|error| {
            error.log(&uri);
            match error {
                CallError::Argument(_) => ErrorData::resource_not_found(error.to_string(), Some(json!({ "uri": uri }))),
                _ => ErrorData::internal_error(error.to_string(), None),
            }
        })
    };
    let body = tokio::select! {
        () = context.ct.cancelled() => Err(ErrorData::internal_error("the request was cancelled", None)),
        ended = timeout(limit, run) => ended.unwrap_or_else(|_| {
            let words = format!("The API did not answer within {}", show_duration(limit));
            Err(ErrorData::internal_error(words, None))
        }),
    }?;
    audit_read(shared, "resources/read", found.bridge, &snapshot, &uri, context)?;
    let contents = convert::resource_contents(&uri, body);
    let result = ReadResourceResult::new(vec![contents]).with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Private);
    Ok(result.introduced(context).into())
}

pub(super) async fn prompt(
    shared: &Shared,
    request: GetPromptRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<GetPromptResponse, ErrorData> {
    let snapshot = shared.live().load();
    let prompt = find_prompt(shared, &snapshot, &request.name, context)?;
    let arguments = request.arguments.unwrap_or_default();
    let lists = shared.lists(&snapshot);
    let definition = snapshot.catalog.prompts.get_index_of(&prompt.name);
    let about = About {
        method: "prompts/get",
        name: &prompt.name,
        definition: definition.and_then(|index| lists.prompt_hashes.get(index)).map_or("", |(_, hash)| hash),
        arguments: &arguments,
        caller: caller::principal(&context.extensions).map(Principal::identity).unwrap_or_default(),
    };
    let said = Said::new(request.input_responses, request.request_state);
    let refused = |error: CallError| {
        error.log(&prompt.name);
        match error {
            CallError::Internal { .. } => ErrorData::internal_error(error.to_string(), None),
            _ => ErrorData::invalid_params(error.to_string(), None),
        }
    };
    let made = async {
        let mut interview = Interview::begin(&shared.seal, &prompt.questions, about, &said, context).await?;
        loop {
            match snapshot.prompt(prompt, &arguments, &interview.answers) {
                Err(CallError::Unanswered(pending)) => interview.ask(pending).await?,
                Err(error) => return Err(Stop::Failed(error)),
                Ok(messages) => {
                    if interview.may_go_on().await {
                        return Ok(messages);
                    }
                }
            }
        }
    };
    let messages = match made.await {
        Ok(messages) => messages,
        Err(Stop::Ask(asked, _)) => return Ok((*asked).introduced(context).into()),
        Err(Stop::Refuse(refusal, _)) => return Err(*refusal),
        Err(Stop::Failed(error)) => return Err(refused(error)),
    };
    audit_read(shared, "prompts/get", prompt.bridge, &snapshot, &prompt.name, context)?;
    Ok(convert::prompt_result(prompt, messages).introduced(context).into())
}

/// Records that public data was handed out.
fn audit_read(
    shared: &Shared,
    method: &str,
    bridge: usize,
    snapshot: &Snapshot,
    subject: &str,
    context: &RequestContext<RoleServer>,
) -> Result<(), ErrorData> {
    let Some(audit) = &shared.audit else { return Ok(()) };
    let entry = Entry {
        request_id: &caller::request_id(&context.extensions),
        method,
        bridge: snapshot.catalog.bridge(bridge).map(|bridge| bridge.name.as_str()),
        subject: Some(subject),
        who: caller::principal(&context.extensions),
        decision: "allowed",
        ..Entry::default()
    };
    audit.record(&entry).map_err(|unwritten| ErrorData::internal_error(unwritten.to_string(), None))
}

/// A resource, and the values of the variables of its URI.
type Found<'s> = (&'s Resource, Vec<(String, String)>);

pub(super) fn find_resource<'s>(
    shared: &Shared,
    snapshot: &'s Snapshot,
    uri: &str,
    context: &RequestContext<RoleServer>,
) -> Result<Found<'s>, ErrorData> {
    let found = snapshot.catalog.resource(uri);
    found
        .filter(|(resource, _)| in_scope(snapshot, resource.bridge, shared.scope(&context.extensions)))
        .ok_or_else(|| ErrorData::resource_not_found(format!("no such resource: {uri}"), Some(json!({ "uri": uri }))))
}

pub(super) fn find_prompt<'s>(
    shared: &Shared,
    snapshot: &'s Snapshot,
    name: &str,
    context: &RequestContext<RoleServer>,
) -> Result<&'s Prompt, ErrorData> {
    let found = snapshot.catalog.prompts.get(name);
    found
        .filter(|prompt| in_scope(snapshot, prompt.bridge, shared.scope(&context.extensions)))
        .ok_or_else(|| ErrorData::invalid_params(format!("no such prompt: {name}"), None))
}
