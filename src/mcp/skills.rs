//! Skills: instructions for a model and the files that come with them, read as resources (SEP-2640).

use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rmcp::model::{
    DIRECTORY_MIME_TYPE, Resource as McpResource, ResourceContents, Skill as McpSkill, SkillFrontmatter, SkillResource,
    SkillResources,
};

use super::convert::contents;
use crate::catalog::{Catalog, Skill, mime_type_of};
use crate::shape::Embedded;

/// What stands in a URI as it is (RFC 3986, section 2.3), and the `/` between folders.
const AS_IT_IS: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// All skills of a snapshot, each with the index of its bridge.
#[derive(Default)]
pub(super) struct Skills {
    pub(super) listed: Vec<(usize, McpSkill)>,
    /// Their `SKILL.md`s among the resources.
    pub(super) resources: Vec<(usize, McpResource)>,
    /// What is in each folder, by its URI.
    folders: BTreeMap<String, (usize, Vec<McpResource>)>,
}

// === impl Skills ===

impl Skills {
    pub(super) fn new(catalog: &Catalog) -> Self {
        let mut this = Self::default();
        for (index, bridge) in catalog.bridges.iter().enumerate() {
            for skill in &bridge.skills {
                this.add(index, skill);
            }
        }
        this.listed.sort_by(|(_, one), (_, other)| one.uri.cmp(&other.uri));
        this.resources.sort_by(|(_, one), (_, other)| one.uri.cmp(&other.uri));
        this
    }

    fn add(&mut self, bridge: usize, skill: &Skill) {
        let Skill { path, about, files } = skill;
        let text = |name: &str| about.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let mut front = SkillFrontmatter::new(text("name"), text("description"));
        let others = about.iter().filter(|(name, _)| !matches!(name.as_str(), "name" | "description"));
        front.extra = others.map(|(name, value)| (name.clone(), value.clone())).collect();
        let manifest = files.iter().map(|(path, bytes)| SkillResource::from_bytes(uri_of(path), bytes)).collect();
        let uri = uri_of(&format!("{path}/SKILL.md"));
        let mut resource = McpResource::new(uri.clone(), text("name")).with_description(text("description"));
        resource.mime_type = Some("text/markdown".to_owned());
        self.resources.push((bridge, resource));
        self.listed.push((bridge, McpSkill::new(uri, front, SkillResources::Files(manifest))));

        let mut children: BTreeMap<String, BTreeSet<(String, bool)>> = BTreeMap::new();
        for (file, _) in files {
            let mut below = file.as_str();
            let mut is_folder = false;
            while let Some((folder, _)) = below.rsplit_once('/').filter(|(folder, _)| folder.len() >= path.len()) {
                children.entry(folder.to_owned()).or_default().insert((below.to_owned(), is_folder));
                (below, is_folder) = (folder, true);
            }
        }
        for (folder, children) in children {
            let child = |(path, is_folder): (String, bool)| {
                let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
                let mut resource = McpResource::new(uri_of(&path), name);
                resource.mime_type = if is_folder {
                    Some(DIRECTORY_MIME_TYPE.to_owned())
                } else {
                    mime_type_of(&path).map(str::to_owned)
                };
                resource
            };
            self.folders.insert(uri_of(&folder), (bridge, children.into_iter().map(child).collect()));
        }
    }

    /// What is in a folder, and the index of its bridge.
    pub(super) fn folder(&self, uri: &str) -> Option<&(usize, Vec<McpResource>)> {
        self.folders.get(uri)
    }
}

/// A file of a skill, and the index of its bridge.
pub(super) fn read(catalog: &Catalog, uri: &str) -> Option<(usize, ResourceContents)> {
    let wanted = uri.strip_prefix("skill://")?;
    catalog.bridges.iter().enumerate().find_map(|(index, bridge)| {
        let mut files = bridge.skills.iter().flat_map(|skill| &skill.files);
        let (path, bytes) = files.find(|(path, _)| utf8_percent_encode(path, &AS_IT_IS).to_string() == wanted)?;
        let body = match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Embedded::Text(text.to_owned()),
            _ => Embedded::Blob(bytes.clone()),
        };
        Some((index, contents(uri, mime_type_of(path).map(str::to_owned), body)))
    })
}

fn uri_of(path: &str) -> String {
    format!("skill://{}", utf8_percent_encode(path, &AS_IT_IS))
}
