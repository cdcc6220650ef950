//! **tollbridge**: a declarative MCP-to-REST bridge.
//!
//! ```text
//! YAML files --config--> Documents --catalog::compile (pure)--> Catalog --live::activate (secrets, clients)--> Snapshot
//!                                                                                                   | one pointer write
//! MCP call --auth--> Principal --+                                                                  v
//!                                +--> prepare (pure) --> Request --> send (the only I/O) --> Reply --> shape (pure) --> Outcome --> MCP
//! ```
//!
//! Two sandwiches, pure bread and one thin slice of I/O. Each room below may import only from floors below its own
//! (`tests/it/floors.rs` reads the `use crate::` lines); a same-floor import is noted.
//!
//! | Floor | Room | Says |
//! |---|---|---|
//! | 0 | [`breaker`] | a server that does not answer is left alone |
//! | 0 | [`diag`] | how we speak to the user: findings with a place and a stable code |
//! | 0 | [`metrics`] | what is counted and timed: the only room that names prometheus-client |
//! | 0 | [`mishap`] | a panic costs one call |
//! | 0 | [`principal`] | who is calling, nothing about how we know |
//! | 0 | [`progress`] | how far a call has come |
//! | 0 | [`quantity`] | durations and sizes as people write them |
//! | 0 | [`secret`] | text whose secrets are known only at the last moment |
//! | 0 | [`trace`] | the trace that a call is part of |
//! | 0 | `unique` | JSON in which no name stands twice |
//! | 1 | [`audit`] | one line for every decision |
//! | 1 | [`config`] | what is written in the files; the suffix `Spec` means "may be wrong" |
//! | 1 | [`json_schema`] | JSON Schema 2020-12, nothing fetched |
//! | 1 | [`template`] | `{{ }}` fenced in: the only room that names minijinja |
//! | 2 | [`shape`] | **plug 3**: replies to results |
//! | 3 | [`catalog`] | what the files mean: resolved, immutable, no I/O; no suffix means "proven" |
//! | 4 | [`call`] | one call, pure: arguments and a principal become a request |
//! | 5 | [`net`] | the only builder of HTTP clients |
//! | 6 | [`oauth`] | what we ask of an authorization server, whoever asks |
//! | 7 | [`auth`] | **plug 1**: token to principal |
//! | 7 | [`credential`] | **plug 2**: how we sign in upstream |
//! | 8 | [`upstream`] | the one place a request is made |
//! | 9 | [`live`] | what is running, and how it is replaced |
//! | 10 | [`mcp`] | the only room that names rmcp |
//! | 11 | [`describe`] | what the definitions say, in words and JSON, for commands and the admin port |
//! | 11 | [`suite`] | config tests: the code that serves, with an API that is made up |
//! | 12 | [`serve`] | the server: HTTP, STDIO, signals |
//! | 12 | [`demo`] | a sample API and a development token issuer |
//! | 13 | [`cli`] | **plug 4**: one file per command |
//!
//! `axum` is named only in `serve` and `demo`. The library is what the binary is made of; nothing in it is a stable API yet.

pub mod audit;
pub mod auth;
pub mod breaker;
pub mod call;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod credential;
pub mod demo;
pub mod describe;
pub mod diag;
pub mod json_schema;
pub mod live;
pub mod mcp;
pub mod metrics;
pub mod mishap;
pub mod net;
pub mod oauth;
pub mod principal;
pub mod progress;
pub mod quantity;
pub mod secret;
pub mod serve;
pub mod shape;
pub mod suite;
pub mod template;
pub mod trace;
mod unique;
pub mod upstream;
