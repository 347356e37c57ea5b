//! A local 1fichier: the service's simulator for the demo, the tests and the
//! benchmarks. It is written from the API notes, not from our client, and imports
//! nothing of the rest of this crate, or a mistake on both sides would hide.
//!
//! One plain HTTP listener plays all roles: API (`/v1`), upload node (`/upload.cgi`,
//! `/end.pl`), download host (`/p<digits>`), public site (`/dir/<ID>`). A second
//! listener does the same under TLS and the service's own names. The default is strict:
//! the documented limits without tolerance, the parser of the real upload node, and for
//! each open question the answer that is hardest on a client ([`Quirks`]). Whatever
//! a well-behaved client does not do is a violation in the [`Report`].
//!
//! Who may call: anyone, through [`Simulator`] and the handles that it gives. Inside,
//! `account`, `limits`, `content`, `json` and `multipart` are pure or nearly so;
//! `server`, `api`, `node`, `download` and `site` speak HTTP; `world` ties them together.
//!
//! # The control endpoint
//!
//! On the plain listener, for loopback peers only; everything is JSON.
//!
//! | request | what |
//! | --- | --- |
//! | `GET /_sim/report` | the [`Report`] |
//! | `POST /_sim/reset-report` | its counters begin again |
//! | `GET /_sim/faults` | faults still in force |
//! | `POST /_sim/faults` | adds a [`Fault`] or a list: `{"on":"download","kind":"reset","after_bytes":65536,"times":2}` |
//! | `DELETE /_sim/faults` | removes all |
//! | `GET /_sim/tree` | every folder and file with path, id, size, digest |
//! | `GET /_sim/file?id=ID`, `?path=PATH` | the bytes of a file |
//! | `POST /_sim/change` | one change or a list, as below |
//!
//! Changes: `{"op":"create","path":P,"text":T}` (or `"size":N,"seed":S` for synthetic
//! content), `replace` likewise, `{"op":"mkdir","path":P}`, `{"op":"delete","path":P}`,
//! `{"op":"rename","path":P,"name":N}`, `{"op":"move","path":P,"to":FOLDER}`,
//! `{"op":"password","path":P,"pass":X}`, `{"op":"share","path":P,"pass":X}`,
//! `{"op":"account","key":K,"offer":0,"quota":N,"upload_forbidden":true}`,
//! `{"op":"settings","listing_lag":5,"quirks":{"types":"full"}}`, `{"op":"unlock"}`.

mod account;
mod api;
mod args;
mod clock;
mod config;
mod content;
mod control;
mod dates;
mod download;
mod faults;
mod handle;
mod http;
mod json;
mod limits;
mod media;
mod node;
mod quirks;
mod report;
mod server;
mod shape;
mod simulator;
mod site;
mod tls;
mod token;
mod units;
mod uploads;
mod world;

pub use account::Refusal;
pub use args::{LimitsArg, RunError, SimulateArgs, Synthetic, run};
pub use config::{AccountConfig, DEFAULT_KEY, Shape, SimConfig, TlsConfig};
pub use content::{Storage, synthetic_bytes};
pub use faults::{Fault, FaultKind, Faults, LockKind};
pub use handle::{AccountHandle, Entry, EntryKind, HandleError, SyntheticTree};
pub use limits::{LimitTable, Limits, Rule};
pub use quirks::*;
pub use report::{Gauge, Offence, Report, Violation};
pub use simulator::Simulator;
pub use tls::host_names as tls_host_names;
pub use world::Profile;
