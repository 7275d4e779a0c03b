//! The host from outside: the real binary, real sockets, real components, real files.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod access;
mod access_admin;
mod apps;
mod backup;
mod backup_state;
mod blobs;
mod browser;
mod calls;
mod configuration;
mod conformance;
mod deploys;
mod developer;
mod documents;
mod examples;
mod export;
mod faults;
mod fixture;
mod guests;
mod http2;
mod init;
mod inspect;
mod internal;
mod keyvalue;
mod languages;
mod limits;
mod loading;
mod middleware;
mod openapi;
mod operator;
mod outbound;
mod programs;
mod rewinding;
mod routes;
mod services;
mod shop;
mod state_admin;
mod supervised;
mod tls;
mod usage;
mod versions;
