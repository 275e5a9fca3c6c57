//! A real gateway, started as a process and spoken to over sockets only: what clients see, whatever is inside.
//!
//! A file a topic. Every test starts a gateway of its own on free loopback ports over a folder of its own.

// Helpers of tests may unwrap as the tests do, and are `pub` for whoever includes them.
#![allow(clippy::unwrap_used, unreachable_pub)]

#[path = "support/http_gate.rs"]
mod http_gate;

mod http {
    mod answers;
    mod auth;
    mod bodies;
    mod budgets;
    mod cnosdb_copy;
    mod cnosdb_functions;
    mod cnosdb_logs;
    mod cnosdb_tables;
    mod cnosdb_tenants;
    mod cnosdb_write;
    mod connections;
    mod elasticsearch;
    mod elasticsearch_search;
    mod influxdb_debug;
    mod influxdb_v2;
    mod influxdb_v3;
    mod influxdb_write;
    mod influxql_databases;
    mod influxql_show;
    mod logs;
    mod merge;
    mod metrics;
    mod names;
    mod opentsdb_api;
    mod opentsdb_metadata;
    mod opentsdb_other_doors;
    mod opentsdb_put;
    mod opentsdb_query;
    mod opentsdb_telnet;
    mod query_limits;
    mod read_only;
    mod readiness;
    mod retention;
    mod routing;
    mod settings;
    mod shutdown;
    mod sql_sandbox;
    mod tdengine;
    mod tls;
    mod wire;
}
