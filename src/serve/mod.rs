//! What somebody sees of a running job over HTTP (`--listen`): metrics, health, a status page.
//!
//! | path | answers |
//! |---|---|
//! | `/` | the status page: one document, nothing from elsewhere |
//! | `/status.json` | what the page shows ([`Snapshot`](crate::progress::Snapshot)) |
//! | `/metrics` | the same as OpenMetrics, or as Prometheus's older text for whoever does not ask for that |
//! | `/healthz` | 200, or 503 and why: the work has stood still for five minutes |
//! | `/readyz` | 200, or 503 and why: nothing to work on yet, or the store is out of reach |
//!
//! * **Reads only.** There is nothing that a request could change; other methods than GET and HEAD are refused.
//! * **Bounded.** So many connections at a time, so many bytes of head, so many seconds for all of a connection; who is slower
//!   is cut off. A handler waits for nothing but one short lock.
//! * **Not for other people's pages.** On a loopback address only requests that name a loopback address or `localhost` are
//!   answered, so that no web page can read it by a name of its own that it points there (DNS rebinding); answers carry a
//!   policy that lets a browser load nothing else, and no permission for other origins.
//!
//! There is no TLS and no password: on any other address than loopback, whoever reaches the port may read names of tables,
//! hosts and paths. Async code is inside this module only, on one thread with a runtime of its own.

mod headers;
mod metrics;
mod page;
mod process;
mod routes;
mod server;

pub use metrics::metric_names;
pub use server::{Server, View};
