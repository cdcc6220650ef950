//! Changed files are taken up while running; bad ones are reported and change nothing.

use serde_json::json;

use crate::support::{Fixture, Server};

fn bridge(answer: &str) -> String {
    format!(
        "bridge: test\ntools:\n  t: {{ description: T., response: {{ text: {answer} }} }}\nresources:\n  a://x: {{ file: x.txt }}\n"
    )
}

fn serve() -> Server {
    let mut fixture = Fixture::new().bridge(&bridge("first"));
    fixture.write("bridges/x.txt", "one");

    fixture.serve()
}

fn write(server: &Server, name: &str, text: &str) {
    std::fs::write(server.fixture.path().join("bridges").join(name), text).unwrap();
}

#[test]
fn a_changed_file_is_taken_up_without_a_restart() {
    let server = serve();
    assert_eq!(server.call("t", &json!({})).text(), "first");
    write(&server, "test.yaml", &bridge("second"));
    server.wait_for("Reloaded.");
    assert_eq!(server.call("t", &json!({})).text(), "second");
    // The way editors save: a new file is renamed over the old one.
    let folder = server.fixture.path().join("bridges");
    std::fs::write(folder.join(".test.yaml.swp"), bridge("third")).unwrap();
    std::fs::rename(folder.join(".test.yaml.swp"), folder.join("test.yaml")).unwrap();
    server.wait_for("Reloaded.");
    assert_eq!(server.call("t", &json!({})).text(), "third");
}

#[test]
fn a_bad_change_is_reported_and_the_old_definitions_keep_serving() {
    let server = serve();
    write(&server, "test.yaml", "bridge: test\ntools:\n  t: { desciption: T. }\n");
    let line = server.wait_for("Reload refused");
    assert!(line.contains("bridges/test.yaml:3:8") && line.contains("did you mean `description`?"), "{line}");
    assert_eq!(server.call("t", &json!({})).text(), "first");
    write(&server, "test.yaml", &bridge("mended"));
    server.wait_for("Reloaded.");
    assert_eq!(server.call("t", &json!({})).text(), "mended");
}

#[test]
fn files_that_resources_name_are_watched_too() {
    let server = serve();
    let read = || server.rpc("/mcp", None, "resources/read", &json!({"uri": "a://x"})).json();
    assert_eq!(read()["result"]["contents"][0]["text"], "one");
    write(&server, "x.txt", "two");
    server.wait_for("Reloaded.");
    assert_eq!(read()["result"]["contents"][0]["text"], "two");
    std::fs::remove_file(server.fixture.path().join("bridges/x.txt")).unwrap();
    assert!(server.wait_for("Reload refused").contains("TB0125"));
    assert_eq!(read()["result"]["contents"][0]["text"], "two");
}

#[test]
fn bridges_come_and_go() {
    let server = serve();
    write(&server, "more.yaml", "bridge: more\ntools:\n  m: { description: M., response: { text: more } }\n");
    server.wait_for("Reloaded.");
    assert_eq!(server.call("m", &json!({})).text(), "more");
    assert_eq!(server.rpc("/mcp/more", None, "tools/list", &json!({})).status, 200);
    std::fs::remove_file(server.fixture.path().join("bridges/more.yaml")).unwrap();
    server.wait_for("Reloaded.");
    assert_eq!(server.rpc("/mcp/more", None, "tools/list", &json!({})).status, 404);
}

#[test]
fn a_call_runs_on_the_snapshot_that_it_began_with_and_answers_are_never_mixed() {
    let server = serve();
    std::thread::scope(|scope| {
        let calling = scope.spawn(|| {
            for _ in 0..200 {
                let result = server.call("t", &json!({}));
                assert!(["first", "a", "b"].contains(&result.text()), "{}", result.text());
            }
        });
        for _ in 0..3 {
            for answer in ["a", "b"] {
                write(&server, "test.yaml", &bridge(answer));
                server.wait_for("Reloaded.");
            }
        }
        calling.join().unwrap();
    });
}
