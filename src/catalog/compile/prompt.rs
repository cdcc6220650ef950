//! Prompts: messages that a user can put into a conversation.

use std::collections::BTreeSet;

use super::text::{Members, Names};
use super::{Compiler, Place, as_written};
use crate::catalog::{Prompt, PromptArgument, Role};
use crate::config::bridge::{PromptSpec, RoleSpec};
use crate::config::yaml::Cursor;
use crate::diag::Code;

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn prompt(&mut self, place: &Place<'_>, at: &Cursor<'_>, name: &str, spec: &PromptSpec) {
        self.mcp_name(at, name, "prompt");
        if let Some((_, first)) = self.prompts.get(name) {
            let finding = at
                .key_error(
                    Code::DuplicateName,
                    format!("two prompts are named `{name}`"),
                    "the name of a prompt is unique in the directory",
                )
                .also(*first, "first used here");
            self.push(finding);
            return;
        }
        for argument in spec.arguments.keys() {
            let first_fits = argument.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !first_fits || !argument.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                self.push(at.get("arguments").get(argument).key_error(
                    Code::InvalidName,
                    format!("`{argument}` can't be the name of an argument of a prompt"),
                    "letters, digits and `_`, so that a template can say `{{ name }}`",
                ));
            }
        }
        if spec.messages.is_empty() {
            self.push(at.key_error(
                Code::InvalidContent,
                format!("prompt `{name}` says nothing"),
                "write at least one of `messages`",
            ));
        }
        let names = || {
            let with = |names: Names, argument: &String| names.with(argument, Members::Any);
            spec.arguments.keys().fold(Names::default(), with)
        };
        let questions = self.questions(at, &spec.ask, None, &names, &mut BTreeSet::new());
        let asked = questions.iter().map(|question| question.name.clone()).collect();
        let names = names().with("answers", Members::Known(asked));
        let mut messages = Vec::new();
        for (index, message) in spec.messages.iter().enumerate() {
            let at = at.get("messages").index(index);
            let part = self.content_part(&at, &message.content, &names, &mut BTreeSet::new());
            messages.extend(part.map(|part| (role(message.role), part)));
        }
        let known: Vec<&str> = spec.arguments.keys().map(String::as_str).collect();
        let arguments = spec.arguments.iter().map(|(name, argument)| PromptArgument {
            name: name.clone(),
            title: argument.title.clone(),
            description: argument.description.clone(),
            required: argument.required,
            complete: {
                let at = at.get("arguments").get(name).get("complete");
                self.complete(place, &at, argument.complete.as_ref(), name, &known)
            },
        });
        let arguments = arguments.collect();
        let prompt = Prompt {
            look: self.look(at, &spec.icons, &spec.meta),
            name: name.to_owned(),
            title: spec.title.clone(),
            description: spec.description.clone(),
            bridge: place.index,
            arguments,
            questions,
            messages,
            written: as_written(at, &[]),
        };
        self.prompts.insert(name.to_owned(), (prompt, at.key_span()));
    }
}

pub(super) fn role(written: RoleSpec) -> Role {
    match written {
        RoleSpec::User => Role::User,
        RoleSpec::Assistant => Role::Assistant,
    }
}
