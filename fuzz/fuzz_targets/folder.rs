//! A folder with one bridge file, in memory where there is such a place.

use std::path::PathBuf;

use tollbridge::catalog::{Catalog, compile};
use tollbridge::config;

pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let shared = PathBuf::from("/dev/shm");
        let base = if shared.is_dir() { shared } else { std::env::temp_dir() };
        let path = base.join(format!("tollbridge-fuzz-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, text: &[u8]) -> PathBuf {
        let path = self.0.join("b.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }

    #[allow(dead_code)]
    pub fn catalog(&self, yaml: &str) -> Catalog {
        compile::compile(config::load(&self.write(yaml.as_bytes()))).map_err(drop).expect("the bridge is valid").0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
