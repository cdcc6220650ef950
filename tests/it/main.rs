//! The suite: tollbridge through its public face, YAML in and HTTP out, with a real identity provider and real clients.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub,
    reason = "tests fail loudly"
)]

mod acceptance;
mod admin;
mod ask;
#[path = "../attacks/mod.rs"]
mod attacks;
mod audit;
mod check;
mod clients;
mod complete;
mod conformance;
mod credentials;
mod demo;
mod diff;
mod doctor;
mod editor;
mod everything;
mod examples;
mod explain;
mod floors;
mod guide;
mod http;
mod identity;
mod language;
mod limits;
mod listen;
mod lists;
mod load;
mod login;
mod online;
mod operations;
mod packaging;
mod page;
mod paths;
mod project;
mod random;
mod reload;
mod request;
mod response;
mod schema;
mod shipped;
mod skills;
mod slow;
mod stdio;
mod suite;
mod support;
mod tls;
#[cfg(feature = "otel")]
mod traces;
