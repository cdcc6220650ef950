//! Fifty clients of four kinds that do everything, over and over, while the files change every second.
//!
//! Tests run in the order of their names, and this one takes minutes in which it mostly waits: so its name comes first.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::clients::Client;
use crate::everything::{self, Seen};
use crate::support::{Fixture, Process, Server, memory, until};

/// Clients of each kind; those of one kind live in one process.
const KINDS: [(Client, usize); 4] =
    [(Client::Python, 13), (Client::FastMcp, 13), (Client::TypeScript, 12), (Client::TypeScriptV1, 12)];

/// How long a client rests between two rounds, in seconds: the other tests want to get on, too.
const PAUSE: u64 = 12;

/// A kind of clients at work.
struct Crowd {
    kind: Client,
    clients: usize,
    process: Process,
    /// The file of what they say.
    words: PathBuf,
}

// === impl Crowd ===

impl Crowd {
    fn start(kind: Client, clients: usize, server: &Server, seconds: u64) -> Self {
        let mut command = kind.command();
        command.args(["--url", &server.url(), "--name", &format!("{kind:?}"), "--clients", &clients.to_string()]);
        command.args(["--soak", &seconds.to_string(), "--pause", &PAUSE.to_string()]);
        // What they say besides is of interest only when one fails.
        let words = server.fixture.path().join(format!("{kind:?}.log"));
        let log = File::create(&words).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        Self { kind, clients, process: Process(child), words }
    }

    /// The rounds that were made when all have ended well, or else what was said.
    fn end(mut self) -> Result<u64, String> {
        let mut said = String::new();
        self.process.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        let seen: Value = serde_json::from_str(said.trim()).unwrap_or_default();
        let rounds = seen["rounds"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        let rounds: Vec<u64> = rounds.filter(|made| *made > 0).collect();
        if seen["errors"] == json!([]) && rounds.len() == self.clients {
            return Ok(rounds.iter().sum());
        }
        Err(format!("{:?}: {said}\n{}", self.kind, std::fs::read_to_string(&self.words).unwrap_or_default()))
    }
}

/// Changes the files about every second, one good set after the other and now and then a broken file between them, until it
/// is told to stop. Gives the number of changes.
fn change(server: &Server, stop: &AtomicBool) -> usize {
    let folder = server.fixture.path().join("bridges");
    let put = |name: &str, text: &str| {
        let fresh = folder.join(format!(".{name}.new"));
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, folder.join(name)).unwrap();
    };
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_secs(1));
        number += 1;
        if number % 7 == 0 {
            put("test.yaml", "bridge: [");
            continue;
        }
        let words = if number % 2 == 0 { "Even." } else { "Odd." };
        put("note.txt", words);
        put("test.yaml", &everything::open_to_all(words));
    }
    number
}

fn median(mut values: Vec<usize>) -> usize {
    values.sort_unstable();
    values[values.len() / 2]
}

#[test]
fn fifty_clients_of_four_kinds_do_everything_while_the_files_change() {
    // `SOAK_SECONDS=1800 cargo test acceptance -- --nocapture` for longer; it prints the figures.
    let seconds: u64 = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(180);
    let api = Seen::start();
    let fixture = everything::in_folder(Fixture::new(), &everything::open_to_all("Even."), &api);
    let server = fixture.arg("--admin-listen=127.0.0.1:0").env("TOLLBRIDGE_LOG", "warn,tollbridge::serve=info").serve();
    let crowds: Vec<Crowd> =
        KINDS.iter().map(|(kind, clients)| Crowd::start(*kind, *clients, &server, seconds)).collect();
    let stop = AtomicBool::new(false);
    let (memories, changes, rounds) = std::thread::scope(|scope| {
        let changing = scope.spawn(|| change(&server, &stop));
        let (end, mut memories) = (Instant::now() + Duration::from_secs(seconds), Vec::new());
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(500));
            memories.push(memory(&server));
        }
        // The clients end their rounds, which need the changes.
        let rounds: Vec<_> = crowds.into_iter().map(Crowd::end).collect();
        stop.store(true, Ordering::Relaxed);
        (memories, changing.join().unwrap(), rounds)
    });
    let rounds: Vec<u64> = rounds.into_iter().map(|made| made.unwrap_or_else(|why| panic!("{why}"))).collect();
    let third = memories.len() / 3;
    let (second, last) = (median(memories[third..2 * third].to_vec()), median(memories[2 * third..].to_vec()));
    println!(
        "{seconds} s, {changes} changes, {rounds:?} rounds; memory: {} KiB at first, {second} in the second third, {last} in the last",
        memories[0]
    );
    // In each round one call was cancelled, and the API saw every one of them go.
    assert_eq!(u64::try_from(api.cancelled()).unwrap(), rounds.iter().sum::<u64>());
    // Flat, within what an allocator does.
    assert!(last <= second * 115 / 100 + 5_000, "{memories:?}");
    let metrics = server.admin("GET", "/metrics", &[], "").body;
    let reloads = |outcome: &str| {
        let line = metrics.lines().find(|line| line.contains("reloads_total") && line.contains(outcome));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).unwrap_or_else(|| panic!("{metrics}"))
    };
    assert!(reloads("accepted") * 2 > changes && reloads("refused") > 0, "{metrics}");
    // Nothing is left of those who have gone.
    until(|| server.admin("GET", "/metrics", &[], "").body.contains("\ntollbridge_calls_in_flight 0\n"));
}
