//! `access`: what a caller needs.

use std::collections::BTreeSet;

use super::text::{Members, Names};
use super::{Compiler, Place};
use crate::catalog::Access;
use crate::config::bridge::{AccessSpec, ToolSpec};
use crate::config::yaml::Cursor;
use crate::diag::Code;

// === impl Compiler ===

impl Compiler<'_> {
    /// What the bridge and the tool ask for, together.
    pub(super) fn access(
        &mut self,
        place: &Place<'_>,
        at: &Cursor<'_>,
        tool: &ToolSpec,
        used_claims: &mut BTreeSet<String>,
    ) -> Access {
        let bridge = &place.document.spec;
        let root = Cursor::root(&place.document.tree);
        let mut access = Access::default();
        for (at, spec) in [(root.get("access"), &bridge.access), (at.get("access"), &tool.access)] {
            let AccessSpec { scopes, groups, when } = spec;
            self.no_empty_words(&at.get("scopes"), scopes, "a scope");
            self.no_empty_words(&at.get("groups"), groups, "a group");
            for scope in scopes {
                if !access.scopes.contains(scope) {
                    access.scopes.push(scope.clone());
                }
            }
            if !groups.is_empty() {
                used_claims.insert("groups".to_owned());
                access.groups.push(groups.clone());
            }
            if let Some(written) = when {
                let names = Names::default().with("claims", Members::Known(bridge.claims.keys().cloned().collect()));
                let compiled = self.condition(&at.get("when"), written, &names, used_claims);
                access.when.extend(compiled.map(|leaf| (written.clone(), leaf)));
            }
        }
        access
    }

    fn no_empty_words(&mut self, at: &Cursor<'_>, words: &[String], what: &str) {
        for (index, word) in words.iter().enumerate() {
            let has_blank = what == "a scope" && word.contains(char::is_whitespace);
            if word.trim().is_empty() || has_blank {
                self.push(at.index(index).error(
                    Code::InvalidValue,
                    format!("`{word}` can't be {what}"),
                    "one name per item of the list",
                ));
            }
        }
    }
}
