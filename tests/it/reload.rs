//! Changed files are taken up while running; bad ones are reported and change nothing.

use serde_json::json;

use crate::support::{Api, Fixture, Server, until};

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

// === what file systems do ===

fn named(bridge: &str, answer: &str) -> String {
    format!("bridge: {bridge}\ntools:\n  {bridge}: {{ description: T., response: {{ text: {answer} }} }}\n")
}

/// How often the log holds a text.
fn count(server: &Server, text: &str) -> usize {
    server.log().matches(text).count()
}

#[test]
fn a_checkout_of_many_files_is_one_reload() {
    let mut fixture = Fixture::new();
    for number in 0..200 {
        fixture.write(&format!("bridges/b{number}.yaml"), &named(&format!("b{number}"), "first"));
    }
    let server = fixture.serve();
    until(|| server.log().contains("Watching the bridge files."));
    // As git does: a file is removed and written anew, one after the other.
    for number in 0..200 {
        let path = server.fixture.path().join(format!("bridges/b{number}.yaml"));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, named(&format!("b{number}"), "second")).unwrap();
    }
    let line = server.wait_for("Reloaded.");
    assert!(line.contains(r#""changed":200"#), "{line}");
    assert_eq!(server.call("b199", &json!({})).text(), "second");
    // One that ends the count.
    write(&server, "b0.yaml", &named("b0", "third"));
    server.wait_for("Reloaded.");
    assert_eq!(count(&server, "Reloaded."), 2);
}

#[test]
fn a_config_map_is_swapped_as_kubernetes_does_it() {
    use std::os::unix::fs::symlink;
    let fixture = Fixture::new();
    let folder = fixture.path().join("bridges");
    let generation = |name: &str, answer: &str| {
        std::fs::create_dir(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("hr.yaml"), named("hr", answer)).unwrap();
    };
    generation("..2026_01", "first");
    symlink("..2026_01", folder.join("..data")).unwrap();
    symlink("..data/hr.yaml", folder.join("hr.yaml")).unwrap();
    let server = fixture.serve();
    until(|| server.log().contains("Watching the bridge files."));
    assert_eq!(server.call("hr", &json!({})).text(), "first");
    for (before, name, answer) in [("..2026_01", "..2026_02", "second"), ("..2026_02", "..2026_03", "third")] {
        generation(name, answer);
        symlink(name, folder.join("..data_tmp")).unwrap();
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        std::fs::remove_dir_all(folder.join(before)).unwrap();
        server.wait_for("Reloaded.");
        assert_eq!(server.call("hr", &json!({})).text(), answer);
    }
    assert_eq!(count(&server, "Reload refused"), 0, "{}", server.log());
}

#[test]
fn a_directory_that_vanishes_and_returns_is_watched_again() {
    let server = serve();
    until(|| server.log().contains("Watching the bridge files."));
    let folder = server.fixture.path().join("bridges");
    let away = server.fixture.path().join("away");
    std::fs::rename(&folder, &away).unwrap();
    server.wait_for("Reload refused");
    assert_eq!(server.call("t", &json!({})).text(), "first");
    // Another directory of the same name.
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("x.txt"), "one").unwrap();
    std::fs::write(folder.join("test.yaml"), bridge("second")).unwrap();
    server.wait_for("Reloaded.");
    assert_eq!(server.call("t", &json!({})).text(), "second");
    // It is the new one that is watched now.
    write(&server, "test.yaml", &bridge("third"));
    server.wait_for("Reloaded.");
    assert_eq!(server.call("t", &json!({})).text(), "third");
    // The old one comes back.
    std::fs::remove_dir_all(&folder).unwrap();
    server.wait_for("Reload refused");
    std::fs::rename(&away, &folder).unwrap();
    server.wait_for("Reloaded.");
    assert_eq!(server.call("t", &json!({})).text(), "first");
}

#[test]
fn half_of_a_file_is_refused_and_the_whole_taken_up() {
    let server = serve();
    until(|| server.log().contains("Watching the bridge files."));
    let whole = bridge("second");
    let path = server.fixture.path().join("bridges/test.yaml");
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    server.wait_for("Reload refused");
    assert_eq!(server.call("t", &json!({})).text(), "first");
    std::fs::write(&path, "").unwrap();
    server.wait_for("Reload refused");
    std::fs::write(&path, whole).unwrap();
    server.wait_for("Reloaded.");
    assert_eq!(server.call("t", &json!({})).text(), "second");
}

#[test]
fn what_is_no_file_or_lies_elsewhere_is_refused() {
    let server = serve();
    until(|| server.log().contains("Watching the bridge files."));
    let folder = server.fixture.path().join("bridges");
    let refused = |name: &str, make: &dyn Fn(&std::path::Path)| {
        make(&folder.join(name));
        let line = server.wait_for("Reload refused");
        assert!(line.contains("TB0007") && line.contains(name), "{line}");
        assert_eq!(server.call("t", &json!({})).text(), "first");
        let path = folder.join(name);
        if path.is_dir() {
            std::fs::remove_dir(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
        server.wait_for("Nothing changed");
    };
    // Opening a pipe would wait for a writer.
    refused("pipe.yaml", &|path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    });
    refused("folder.yaml", &|path| std::fs::create_dir(path).unwrap());
    let outside = server.fixture.path().join("outside.yaml");
    std::fs::write(&outside, named("outside", "stolen")).unwrap();
    refused("link.yaml", &|path| std::os::unix::fs::symlink(&outside, path).unwrap());
}

#[test]
fn where_there_are_no_events_files_are_looked_at() {
    let mut fixture = Fixture::new().bridge(&bridge("first")).arg("--watch").arg("poll");
    fixture.write("bridges/x.txt", "one");
    let server = fixture.serve();
    until(|| server.log().contains("Watching the bridge files."));
    write(&server, "test.yaml", "bridge: test\ntools: 1\n");
    server.wait_for("Reload refused");
    write(&server, "test.yaml", &bridge("second"));
    server.wait_for("Reloaded.");
    assert_eq!(server.call("t", &json!({})).text(), "second");
    // The same refusal is told once, however often it is looked at.
    assert_eq!((count(&server, "Reload refused"), count(&server, "Nothing changed")), (1, 0));
}

#[test]
fn without_a_watch_a_signal_reloads() {
    let mut fixture = Fixture::new().bridge(&bridge("first")).arg("--watch").arg("off");
    fixture.write("bridges/x.txt", "one");
    let server = fixture.serve();
    write(&server, "test.yaml", &bridge("second"));
    assert_eq!(server.call("t", &json!({})).text(), "first");
    assert!(std::process::Command::new("kill").args(["-HUP", &server.id().to_string()]).status().unwrap().success());
    server.wait_for("Reloaded.");
    assert_eq!(server.call("t", &json!({})).text(), "second");
    assert_eq!(count(&server, "Watching"), 0);
}

#[test]
fn what_happens_beside_the_files_is_no_change() {
    // The server file is watched too, and lies where somebody keeps a log.
    let mut fixture = Fixture::new().bridge(&bridge("first"));
    fixture.write("bridges/x.txt", "one");
    fixture.write("tollbridge.yaml", "limits: { request_timeout: 20s }");
    let server = fixture.serve();
    until(|| server.log().contains("Watching the bridge files."));
    for number in 0..20 {
        std::fs::write(server.fixture.path().join("audit.jsonl"), format!("{number}")).unwrap();
    }
    // That nothing comes of it is no event; a reload would have come of it after 200 ms.
    std::thread::sleep(std::time::Duration::from_millis(700));
    write(&server, "test.yaml", &bridge("second"));
    server.wait_for("Reloaded.");
    assert_eq!(count(&server, "Nothing changed"), 0, "{}", server.log());
}

#[test]
fn a_log_in_the_watched_directory_does_not_feed_itself() {
    let mut fixture = Fixture::new().bridge(&bridge("first")).arg("--admin-listen=127.0.0.1:0");
    fixture.write("bridges/x.txt", "one");
    let server = fixture.serve();
    until(|| server.log().contains("Watching the bridge files."));
    write(&server, "test.yaml", "bridge: test\ntools: 1\n");
    server.wait_for("Reload refused");
    // Each look at the files would be answered by a line in the log, and that by a look.
    for number in 2..5 {
        write(&server, "out.log", &server.log());
        let looked = format!("tollbridge_reloads_total{{outcome=\"refused\"}} {number}\n");
        until(|| server.admin("GET", "/metrics", &[], "").body.contains(&looked));
    }
    write(&server, "test.yaml", &bridge("second"));
    server.wait_for("Reloaded.");
    assert_eq!(count(&server, "Reload refused"), 1, "{}", server.log());
}

#[test]
fn a_secret_is_swapped_as_kubernetes_does_it() {
    let secrets = tempfile::TempDir::new().unwrap();
    let place = |name: &str| secrets.path().join(name);
    for (version, key) in [("..1", "first"), ("..2", "second")] {
        std::fs::create_dir(place(version)).unwrap();
        std::fs::write(place(version).join("key"), key).unwrap();
    }
    std::os::unix::fs::symlink("..1", place("..data")).unwrap();
    std::os::unix::fs::symlink("..data/key", place("key")).unwrap();
    let api = Api::start();
    let yaml = format!(
        "bridge: test\nupstream: {{ url: \"{}\", credentials: {{ bearer: \"${{file:{}}}\" }} }}\ntools:\n  \
         t: {{ description: T., endpoint: GET /t }}\n",
        api.url(),
        place("key").display()
    );
    let server = Fixture::new().bridge(&yaml).serve();
    until(|| server.log().contains("Watching the bridge files."));
    let key = || {
        let _ = server.call("t", &json!({}));
        api.last().header("authorization").map(str::to_owned)
    };
    assert_eq!(key().as_deref(), Some("Bearer first"));
    std::os::unix::fs::symlink("..2", place("..data_tmp")).unwrap();
    std::fs::rename(place("..data_tmp"), place("..data")).unwrap();
    until(|| key().as_deref() == Some("Bearer second"));
}

#[test]
fn connections_and_the_counters_of_limits_survive() {
    let api = Api::start();
    let yaml = |description: &str| {
        format!(
            "bridge: test\nupstream: {{ url: \"{}\", credentials: none }}\ntools:\n  t: {{ description: {description}, \
             endpoint: GET /t, rate_limit: {{ calls: 2, per: hour }} }}\n",
            api.url()
        )
    };
    let server = Fixture::new().bridge(&yaml("First.")).serve();
    until(|| server.log().contains("Watching the bridge files."));
    assert!(!server.call("t", &json!({})).is_error());
    write(&server, "test.yaml", &yaml("Second."));
    server.wait_for("Reloaded.");
    assert!(!server.call("t", &json!({})).is_error());
    assert_eq!(api.connections(), 1);
    write(&server, "test.yaml", &yaml("Third."));
    server.wait_for("Reloaded.");
    assert!(server.call("t", &json!({})).error().starts_with("Rate limit: t was called too often"));
    assert_eq!(api.requests().len(), 2);
    // Another limit is counted anew.
    write(&server, "test.yaml", &yaml("Third.").replace("calls: 2", "calls: 3"));
    server.wait_for("Reloaded.");
    assert!(!server.call("t", &json!({})).is_error());
}
