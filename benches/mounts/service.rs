//! The simulated service, in a process of its own so that its work counts for neither
//! program, with a plain and a TLS listener.

use super::Result;
use super::shell::{self, Running};
use fichierfs::sim::Report;
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// API latency of shape L.
pub const API_LATENCY: Duration = Duration::from_millis(150);
/// Time to the first byte of shape L.
pub const FIRST_BYTE: Duration = Duration::from_millis(80);
/// Bytes a second of one connection in shape L.
pub const PER_CONNECTION: f64 = 20e6;
/// Bytes a second of all downloads in shape L.
pub const LINE: f64 = 150e6;
/// Bytes a second of all uploads in shape L.
pub const UPLINK: f64 = 50e6;

/// The network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A line as people have it: the constants above.
    Line,
    /// No limits.
    Unlimited,
}

/// What the service forbids.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// As documented, strictly.
    Documented,
    /// As people met them.
    Observed,
    /// Nothing.
    Off,
}

/// What a service is started with.
#[derive(Clone)]
pub struct Plan {
    pub shape: Shape,
    pub limits: Limits,
    /// How many times as fast its clock runs.
    pub scale: u32,
    /// As `fichierfs simulate --synthetic` takes it.
    pub content: Vec<String>,
    /// More flags of `fichierfs simulate`.
    pub more: Vec<String>,
}

impl Plan {
    /// A service without limits on calls.
    pub fn new(shape: Shape, content: impl IntoIterator<Item = String>) -> Plan {
        Plan {
            shape,
            limits: Limits::Off,
            scale: 1,
            content: content.into_iter().collect(),
            more: Vec::new(),
        }
    }

    /// At the documented limits, so many times as fast.
    pub fn documented(self, scale: u32) -> Plan {
        Plan {
            limits: Limits::Documented,
            scale,
            ..self
        }
    }

    /// At the limits as people met them, so many times as fast.
    pub fn observed(self, scale: u32) -> Plan {
        Plan {
            limits: Limits::Observed,
            scale,
            ..self
        }
    }

    /// With a flag of `fichierfs simulate` more.
    pub fn with(mut self, words: &[&str]) -> Plan {
        self.more
            .extend(words.iter().map(|word| (*word).to_owned()));
        self
    }
}

/// The line that the simulator prints when it is ready.
#[derive(Deserialize)]
struct Greeting {
    api_url: String,
    site_url: String,
    control_url: String,
    key: String,
}

/// A running service. Dropping it kills it.
pub struct Service {
    _process: Running,
    greeting: Greeting,
    dir: PathBuf,
    scale: u32,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// Where a service was: nobody answers there any more, but who comes is noted.
pub struct Gone {
    calls: Arc<Mutex<Vec<String>>>,
}

impl Gone {
    fn at(api_url: &str) -> Result<Gone> {
        let address = api_url.trim_start_matches("http://");
        let (address, _) = address.split_once('/').ok_or("an address without a path")?;
        let listener = TcpListener::bind(address)?;
        let calls = Arc::new(Mutex::new(Vec::new()));
        let noted = calls.clone();
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let mut line = String::new();
                let _ = caller.set_read_timeout(Some(Duration::from_secs(1)));
                // Whoever says nothing counts too.
                let _ = BufReader::new(caller).read_line(&mut line);
                noted
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        });
        Ok(Gone { calls })
    }

    /// The first lines of the requests that came so far, without those for the account's figures,
    /// which are asked for now and then whatever is done.
    pub fn calls(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let other = |line: &&String| !line.contains("/user/info.cgi");
        calls.iter().filter(other).cloned().collect()
    }
}

impl Service {
    /// Ends it, and notes who still calls its plain listener.
    pub fn gone(self) -> Result<Gone> {
        let api_url = self.greeting.api_url.clone();
        drop(self);
        Gone::at(&api_url)
    }

    /// Starts it; `dir` is its own.
    pub fn start(plan: &Plan, dir: &Path) -> Result<Service> {
        std::fs::create_dir_all(dir)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_fichierfs"));
        command
            .args(["simulate", "--tls", "127.0.0.1:443", "--listing-lag", "0"])
            .arg("--ca-out")
            .arg(dir.join("ca.pem"))
            .args(["--quota", "1000TB", "--time-scale", &plan.scale.to_string()])
            .arg("--limits")
            .arg(match plan.limits {
                Limits::Documented => "documented",
                Limits::Observed => "observed",
                Limits::Off => "off",
            });
        if plan.shape == Shape::Line {
            command
                .args(["--api-latency", "150ms", "--first-byte-latency", "80ms"])
                .args(["--bandwidth-per-connection", "20MB"])
                .args(["--bandwidth", "150MB", "--upload-bandwidth", "50MB"]);
        }
        for item in &plan.content {
            command.args(["--synthetic", item]);
        }
        let mut child = command
            .args(&plan.more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(shell::log(&dir.join("log"))?)
            .spawn()?;
        let out = child.stdout.take().ok_or("the simulator has no output")?;
        let process = Running::new(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        let greeting = serde_json::from_str(&line).map_err(|error| {
            let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
            format!("the simulator did not start: {error}: {log}")
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Service {
            _process: process,
            greeting,
            dir: dir.to_owned(),
            scale: plan.scale,
            client: reqwest::Client::new(),
            runtime,
        })
    }

    /// The certificate of its authority.
    pub fn authority(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// The account's key.
    pub fn key(&self) -> &str {
        &self.greeting.key
    }

    /// The configuration with which fichierfs reaches it: under the service's names, with
    /// TLS as rclone does; a scaled one is reached by its plain listener, as only
    /// there the program may run faster than the limits.
    pub fn configuration(&self) -> String {
        let mut text = format!("api_key = {:?}\n", self.greeting.key);
        if self.scale > 1 {
            text.push_str(&format!(
                "api_url = {:?}\nsite_url = {:?}\nlimits_scale = \"{}\"\n",
                self.greeting.api_url, self.greeting.site_url, self.scale
            ));
        }
        text
    }

    /// What it saw so far.
    pub fn report(&self) -> Result<Report> {
        let request = self.client.get(self.control("report"));
        self.runtime.block_on(async {
            let answer = request.send().await?.error_for_status()?;
            Ok(answer.json().await?)
        })
    }

    /// Begins the report again, and forgets calls and locks, so that the next program
    /// finds a rested service.
    pub fn begin(&self) -> Result<()> {
        self.post("change", &serde_json::json!({ "op": "unlock" }))?;
        self.post("reset-report", &serde_json::Value::Null)
    }

    /// Files and folders in the account.
    pub fn entries(&self) -> Result<Vec<fichierfs::sim::Entry>> {
        let request = self.client.get(self.control("tree"));
        self.runtime.block_on(async {
            let answer = request.send().await?.error_for_status()?;
            Ok(answer.json().await?)
        })
    }

    /// A download link of the file at a path, under the service's names.
    pub fn link(&self, path: &str) -> Result<String> {
        let entries = self.entries()?;
        let entry = entries.iter().find(|entry| entry.path == path);
        let id = &entry.ok_or("there is no such file")?.id;
        // By the plain listener, whose links hold on both.
        let request = self
            .client
            .post(format!("{}/download/get_token.cgi", self.greeting.api_url))
            .bearer_auth(&self.greeting.key)
            .json(&serde_json::json!({ "url": format!("https://1fichier.com/?{id}") }));
        let answer: serde_json::Value = self.runtime.block_on(async {
            let answer = request.send().await?.error_for_status()?;
            answer.json().await
        })?;
        let url = answer["url"].as_str().ok_or("no link was given")?;
        let (_, token) = url.rsplit_once('/').ok_or("a link without a path")?;
        let host = fichierfs::sim::tls_host_names();
        let host = host
            .iter()
            .find(|name| !name.starts_with("api.") && !name.starts_with("up"));
        Ok(format!(
            "https://{}/{token}",
            host.ok_or("no download host")?
        ))
    }

    fn control(&self, what: &str) -> String {
        format!("{}/{what}", self.greeting.control_url)
    }

    fn post(&self, what: &str, body: &serde_json::Value) -> Result<()> {
        let request = self.client.post(self.control(what)).json(body);
        self.runtime.block_on(async {
            request.send().await?.error_for_status()?;
            Ok(())
        })
    }
}
