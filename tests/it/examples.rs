//! Each example checks, and is served the way its README says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{binary, root};

fn examples() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    assert!(folders.len() >= 3);
    folders
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args).current_dir(folder).env_clear().stdin(Stdio::null());
    command.envs([("OKTA_CLIENT_ID", "0oa1"), ("OKTA_CLIENT_SECRET", "secret"), ("WAREHOUSE_KEY", "key")]);
    command
}

#[test]
fn every_example_checks_and_can_be_served() {
    for folder in examples() {
        assert!(folder.join("README.md").exists(), "{}", folder.display());
        let checked = command(&folder, &["check"]).output().unwrap();
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success() && !said.contains("warning"), "{}: {said}", folder.display());
        // Without a client on its stdin it ends at once, having loaded everything.
        let served = command(&folder, &["serve", "--stdio"]).output().unwrap();
        let said = String::from_utf8_lossy(&served.stderr).into_owned();
        assert!(served.status.success(), "{}: {said}", folder.display());
    }
}

#[test]
fn an_example_without_its_variables_says_which_are_missing() {
    let folder = root().join("examples/claims-into-path");
    let output = command(&folder, &["serve", "--stdio"]).env_remove("OKTA_CLIENT_SECRET").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78));
    assert!(said.contains("`OKTA_CLIENT_SECRET` is not set") && said.contains("tollbridge.yaml:7"), "{said}");
}
