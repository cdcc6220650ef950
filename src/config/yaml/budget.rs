//! How much one file may cost: what a small hostile file could otherwise grow to.

/// The most bytes that one file may have.
pub const MAX_BYTES: usize = 1024 * 1024;
/// The most keys and values that one file may write down.
pub const MAX_NODES: usize = 150_000;
/// The most values that anchors, aliases and merge keys may copy.
pub const MAX_COPIED: usize = 100_000;
/// The most aliases in one file.
pub const MAX_ALIASES: usize = 10_000;
/// How deeply lists and maps may be nested.
pub const MAX_DEPTH: usize = 64;
/// After this many findings the rest of a file is not looked at.
pub const MAX_PROBLEMS: usize = 100;

/// What one file has cost so far.
#[derive(Debug, Default)]
pub(super) struct Budget {
    values: usize,
    copied: usize,
    aliases: usize,
    /// The number of findings.
    pub(super) problems: usize,
}

impl Budget {
    /// Pays for a value that is written down.
    pub(super) fn value(&mut self) -> Result<(), String> {
        self.values += 1;
        within(self.values, MAX_NODES, "keys and values")
    }

    /// Pays for an alias.
    pub(super) fn alias(&mut self) -> Result<(), String> {
        self.aliases += 1;
        within(self.aliases, MAX_ALIASES, "aliases")
    }

    /// Pays for values that an anchor keeps or an alias brings.
    pub(super) fn copy(&mut self, size: usize) -> Result<(), String> {
        self.copied += size;
        within(self.copied, MAX_COPIED, "values copied by anchors and aliases")
    }

    /// Refuses what is nested too deeply.
    pub(super) fn depth(levels: usize) -> Result<(), String> {
        within(levels, MAX_DEPTH, "levels of lists and maps")
    }

    /// Refuses to go on when there is too much wrong.
    pub(super) fn problems(&self) -> Result<(), String> {
        within(self.problems, MAX_PROBLEMS, "problems; the rest of the file is not looked at")
    }
}

fn within(used: usize, most: usize, what: &str) -> Result<(), String> {
    if used > most { Err(format!("more than {most} {what}")) } else { Ok(()) }
}
