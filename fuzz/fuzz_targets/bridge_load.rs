//! A bridge file: whatever stands in it, there is a catalogue or there are findings, each with a place in the file.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tollbridge::catalog::compile;
use tollbridge::config;
use tollbridge::diag::text::{self, Color};

#[path = "folder.rs"]
mod folder;

static FOLDER: LazyLock<folder::Folder> = LazyLock::new(|| folder::Folder::new("load"));

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.write(bytes);
    let documents = config::load_with_tests(&path);
    match compile::compile(documents) {
        Ok((catalog, findings)) => {
            assert!(!findings.report.has_errors());
            assert!(!catalog.revision.as_str().is_empty());
        }
        Err(findings) => {
            assert!(findings.report.has_errors());
            let _ = text::render(&findings, Color::Never);
        }
    }
});
