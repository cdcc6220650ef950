//! What is suggested while a user types.

use std::collections::HashMap;

use serde_json::Value;

use super::Snapshot;
use crate::call::{self, CallError, Origin, Owner, Pair};
use crate::catalog::{Arguments, Catalog, Complete, Suggestions};
use crate::principal::Principal;
use crate::secret::Text;
use crate::shape::{Content, Hidden, Shape};
use crate::upstream::{Key, ReplyCache, Upstream};

/// The most values that are looked through of one answer.
const MOST: usize = 100_000;

/// What suggestions are for: a prompt by name or a resource by URI, and its argument or variable.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The prompt or the resource, and its bridge.
    pub owner: Owner<'a>,
    /// The argument or variable.
    pub name: &'a str,
}

impl<U: Upstream> Snapshot<U> {
    /// The values that fit what was typed. `others` are the values that were chosen before.
    ///
    /// # Errors
    /// Returns a [`CallError`] when the API can't be asked, refuses, or answers with something else than a list.
    pub async fn suggest(
        &self,
        subject: Subject<'_>,
        complete: &Complete,
        typed: &str,
        others: &HashMap<String, String>,
        who: &Principal,
    ) -> Result<Vec<String>, CallError> {
        let begun = typed.to_lowercase();
        let fits = |value: &String| value.to_lowercase().starts_with(&begun);
        match complete {
            Complete::Nothing => Ok(Vec::new()),
            Complete::Known(values) | Complete::Only(values) => {
                Ok(values.iter().filter(|value| fits(value)).cloned().collect())
            }
            Complete::Asked(suggestions) => {
                let mut values = self.asked(subject, suggestions, typed, others, who).await?;
                // Who searches knows best what fits.
                if suggestions.wire_name.is_none() {
                    values.retain(fits);
                }
                Ok(values)
            }
        }
    }

    async fn asked(
        &self,
        subject: Subject<'_>,
        suggestions: &Suggestions,
        typed: &str,
        others: &HashMap<String, String>,
        who: &Principal,
    ) -> Result<Vec<String>, CallError> {
        let Suggestions { operation, select, wire_name, keep: _ } = suggestions;
        let Some(known) = operation
            .path
            .names()
            .map(|name| Some((name.to_owned(), others.get(name).filter(|value| !value.is_empty())?.clone())))
            .collect::<Option<Vec<_>>>()
        else {
            // What the path needs has not been chosen.
            return Ok(Vec::new());
        };
        let arguments = Arguments::of_uri(&known);
        let mut request = call::prepare(&self.catalog, subject.owner, operation, &arguments, who)?;
        if let Some(name) = wire_name {
            let values = vec![Text::plain(typed)];
            let origin = Origin::Argument(subject.name.to_owned());
            request.query.push(Pair { name: name.clone(), values, delimiter: "", origin });
        }
        let upstream = self.upstream(subject.owner.bridge)?;
        let cache = self.suggested.get(&subject.key()).map(|cache| (cache, Key::new(&request, who)));
        let kept = cache.as_ref().and_then(|(cache, key)| cache.get(key));
        let reply = if let Some(kept) = kept {
            kept
        } else {
            let reply = upstream.send(&request, who).await?;
            if let Some((cache, key)) = cache {
                cache.keep(key, &reply);
            }
            reply
        };
        if !(200..300).contains(&reply.status) {
            return Err(CallError::Upstream(self.failure(&reply, upstream, who)?));
        }
        let unfit = |why: &str| CallError::Upstream(format!("The API's suggestions can't be used: {why}"));
        let body = reply.json().ok_or_else(|| unfit("the answer is not JSON"))?;
        let found = match select {
            Some(select) => select.apply(&body).map_err(|why| unfit(&why))?,
            None => body,
        };
        let values = match found {
            Value::Null => Some(Vec::new()),
            Value::Array(items) => items.into_iter().take(MOST).map(text).collect(),
            _ => None,
        };
        values.ok_or_else(|| unfit("it is not a list of texts; see `select`"))
    }

    /// An answer that is an error, in words that may be shown.
    pub(super) fn failure(
        &self,
        reply: &crate::shape::Reply,
        upstream: &U,
        who: &Principal,
    ) -> Result<String, CallError> {
        let outcome = Shape::default()
            .apply(reply, &self.catalog.templates, &serde_json::Map::new)
            .map_err(|error| call::prepare::template_failure("the answer", &error))?;
        let outcome = super::scrub_error(outcome, upstream, who);
        let words = outcome.content.into_iter().find_map(|content| match content {
            Content::Text(text) => Some(text),
            _ => None,
        });
        Ok(words.unwrap_or_default())
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(mut text) => {
            Hidden::default().text(&mut text);
            Some(text)
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What keeps the answers of all suggestions of a catalogue.
pub(super) fn caches(catalog: &Catalog) -> HashMap<String, ReplyCache> {
    let of_prompts = catalog.prompts.values().flat_map(|prompt| {
        let owner = Owner { name: &prompt.name, bridge: prompt.bridge };
        prompt.arguments.iter().map(move |argument| (Subject { owner, name: &argument.name }, &argument.complete))
    });
    let of_resources = catalog.resource_templates.iter().flat_map(|resource| {
        let owner = Owner { name: resource.uri.as_str(), bridge: resource.bridge };
        resource.complete.iter().map(move |(name, complete)| (Subject { owner, name }, complete))
    });
    let kept = |(subject, complete): (Subject<'_>, &Complete)| match complete {
        Complete::Asked(asked) => Some((subject.key(), ReplyCache::new(asked.keep))),
        Complete::Nothing | Complete::Known(_) | Complete::Only(_) => None,
    };
    of_prompts.chain(of_resources).filter_map(kept).collect()
}

// === impl Subject ===

impl Subject<'_> {
    fn key(&self) -> String {
        format!("{} {}", self.owner.name, self.name)
    }
}
