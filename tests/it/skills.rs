//! Skills: a folder of a bridge, served as the extension has it.

use serde_json::{Value, json};

use crate::support::{Fixture, Server, until};

const SKILL: &str = "---\nname: time-off\ndescription: How to plan time off.\nlicense: MIT\n---\n# Time off\n";

pub fn fixture() -> Fixture {
    let mut fixture = Fixture::new().bridge("bridge: hr\nskills: skills/\nresources:\n  a://x: { text: x }\n");
    fixture.write("bridges/skills/time-off/SKILL.md", SKILL);
    fixture.write("bridges/skills/time-off/references/rules of 2026.txt", "Ask early.");
    fixture.write("bridges/skills/time-off/.hidden", "secret");
    fixture.write("bridges/skills/team/pay-day/SKILL.md", "---\nname: pay-day\ndescription: When money comes.\n---\n");
    fixture.write("bridges/skills/team/pay-day/logo.png", "\u{0}PNG");
    fixture.write("bridges/skills/team/pay-day/forms/slip.txt", "Net and gross.");
    fixture.write("bridges/other.yaml", "bridge: other\nresources:\n  b://x: { text: x }\n");
    fixture
}

fn rpc(server: &Server, path: &str, method: &str, params: &Value) -> Value {
    server.rpc(path, None, method, params).json()
}

#[test]
fn a_folder_is_served_as_skills_and_as_resources() {
    let server = fixture().serve();
    let ask = |method: &str, params: Value| rpc(&server, "/mcp", method, &params)["result"].clone();
    let capabilities = ask("server/discover", json!({}))["capabilities"].clone();
    assert_eq!(capabilities["extensions"]["io.modelcontextprotocol/skills"], json!({"directoryRead": true}));
    let listed = ask("skills/list", json!({}));
    let uris: Vec<&str> = listed["skills"].as_array().unwrap().iter().map(|it| it["uri"].as_str().unwrap()).collect();
    assert_eq!(uris, ["skill://team/pay-day/SKILL.md", "skill://time-off/SKILL.md"]);
    let skill = ask("skills/get", json!({"uri": "skill://time-off/SKILL.md"}))["skill"].clone();
    assert_eq!(
        skill["frontmatter"],
        json!({"name": "time-off", "description": "How to plan time off.", "license": "MIT"})
    );
    let files = skill["resources"].as_array().unwrap();
    let uris: Vec<&str> = files.iter().map(|it| it["uri"].as_str().unwrap()).collect();
    assert_eq!(uris, ["skill://time-off/SKILL.md", "skill://time-off/references/rules%20of%202026.txt"]);
    assert_eq!((files[0]["size"].as_u64(), files[0]["digest"].as_str().unwrap().len()), (Some(SKILL.len() as u64), 71));
    let read = |uri: &str| ask("resources/read", json!({ "uri": uri }))["contents"][0].clone();
    assert_eq!(read("skill://time-off/SKILL.md")["text"], SKILL);
    assert_eq!(read("skill://time-off/references/rules%20of%202026.txt")["text"], "Ask early.");
    assert_eq!(read("skill://team/pay-day/logo.png")["blob"], "AFBORw==");
    let folder = ask("resources/directory/read", json!({"uri": "skill://time-off"}));
    let names: Vec<&str> =
        folder["resources"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["SKILL.md", "references"]);
    let resources = ask("resources/list", json!({}));
    let uris: Vec<&str> =
        resources["resources"].as_array().unwrap().iter().map(|it| it["uri"].as_str().unwrap()).collect();
    assert_eq!(uris, ["b://x", "a://x", "skill://team/pay-day/SKILL.md", "skill://time-off/SKILL.md"]);
}

#[test]
fn what_is_no_file_of_a_skill_is_not_read() {
    let mut fixture = fixture();
    fixture.write("secret.txt", "canary");
    std::os::unix::fs::symlink("../../../secret.txt", fixture.path().join("bridges/skills/time-off/link.txt")).unwrap();
    let server = fixture.serve();
    for uri in [
        "skill://time-off/.hidden",
        "skill://time-off/link.txt",
        "skill://time-off/../../other.yaml",
        "skill://time-off/%2e%2e/%2e%2e/other.yaml",
        "skill://time-off/references",
        "skill://time-off",
        "skill://TIME-OFF/SKILL.md",
    ] {
        let refused = rpc(&server, "/mcp", "resources/read", &json!({ "uri": uri }));
        assert_eq!(refused["error"]["code"], -32602, "{uri}: {refused}");
    }
    // Another bridge knows nothing of them.
    let elsewhere = |method: &str, params: Value| rpc(&server, "/mcp/other", method, &params);
    assert_eq!(elsewhere("server/discover", json!({}))["result"]["capabilities"].get("extensions"), None);
    assert_eq!(elsewhere("skills/list", json!({}))["result"]["skills"], json!([]));
    for method in ["resources/read", "skills/get"] {
        assert_eq!(elsewhere(method, json!({"uri": "skill://time-off/SKILL.md"}))["error"]["code"], -32602, "{method}");
    }
    let refused = elsewhere("resources/directory/read", json!({"uri": "skill://time-off"}));
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
}

#[test]
fn a_server_without_skills_has_none_and_a_changed_one_is_reloaded() {
    let plain = Fixture::new().bridge("bridge: hr\nresources:\n  a://x: { text: x }\n").serve();
    assert_eq!(rpc(&plain, "/mcp", "skills/list", &json!({}))["error"]["code"], -32601);
    let server = fixture().serve();
    until(|| server.log().contains("Watching the bridge files."));
    let path = server.fixture.path().join("bridges/skills/time-off/SKILL.md");
    std::fs::write(&path, SKILL.replace("plan time off", "plan leave")).unwrap();
    server.wait_for("Reloaded.");
    let listed = rpc(&server, "/mcp", "skills/list", &json!({}));
    assert!(listed.to_string().contains("How to plan leave."), "{listed}");
    // A broken skill is refused, and what was there goes on.
    std::fs::write(&path, "# Time off\n").unwrap();
    server.wait_for("Reload refused");
    assert_eq!(rpc(&server, "/mcp", "skills/list", &json!({}))["result"]["skills"], listed["result"]["skills"]);
}

#[test]
fn a_skill_that_says_too_little_of_itself_is_named_with_its_place() {
    for (text, words) in [
        ("# Time off\n", "TB0142]: the skill `time-off` says nothing about itself"),
        ("---\nname: time-off\n", "TB0142]: the skill `time-off` says nothing about itself"),
        (
            "---\nname: leave\ndescription: x\n---\n",
            "TB0142]: the skill in the folder `time-off` must have the name `time-off`",
        ),
        ("---\nname: time-off\n---\n", "TB0142]: the skill `time-off` has no description"),
        ("---\nname: [\n---\n", "error[TB0003]"),
    ] {
        let mut fixture = fixture();
        fixture.write("bridges/skills/time-off/SKILL.md", text);
        let output = fixture.command(&["check"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(words) && said.contains("skills/time-off/SKILL.md:"), "{text}: {said}");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn a_file_may_be_checked_from_where_it_lies() {
    let fixture = fixture();
    let mut command = fixture.command(&["check", "test.yaml"]);
    let output = command.current_dir(fixture.path().join("bridges")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
