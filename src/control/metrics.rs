//! A status in the text format of Prometheus (OpenMetrics), for who draws curves of it.
//!
//! Names and units follow the conventions: base units (bytes, seconds), counters end in
//! `_total`. Nothing here names a file, a path or the account.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::protocol::{Phase, Status};

/// The type of the text, for the header.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text.
pub fn text(status: &Status) -> String {
    let mut registry = Registry::with_prefix("fichierfs");
    registry.register_collector(Box::new(Snapshot(status.clone())));
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = text::encode(&mut out, &registry);
    out
}

#[derive(Debug)]
struct Snapshot(Status);

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut out = Out(encoder);
        let status = &self.0;
        out.labelled(
            "build_info",
            "The version that runs",
            "version",
            [(status.daemon.version.as_str(), 1.0)],
        )?;
        out.gauge(
            "mounted",
            "Whether the mount is up",
            flag(status.daemon.phase == Phase::Mounted),
        )?;
        out.gauge(
            "uptime_seconds",
            "Since the start",
            status.uptime_seconds as f64,
        )?;
        reads(&mut out, status)?;
        queue(&mut out, status)?;
        account(&mut out, status)?;
        api(&mut out, status)
    }
}

fn reads(out: &mut Out<'_>, status: &Status) -> fmt::Result {
    let (reads, cache) = (&status.reads, &status.cache);
    out.gauge(
        "download_connections",
        "Connections to download hosts in use",
        reads.streams as f64,
    )?;
    out.gauge(
        "open_files",
        "Files open or being sent from",
        reads.open_files as f64,
    )?;
    out.counter(
        "cache_hit_bytes",
        "Bytes given to readers from the cache",
        cache.hit_bytes,
    )?;
    out.counter(
        "passed_opens",
        "Opens of files that the kernel read by itself",
        cache.passed_opens,
    )?;
    out.counter(
        "read_waited_bytes",
        "Bytes given to readers that waited for the service",
        reads.waited_bytes,
    )?;
    out.counter(
        "fetched_bytes",
        "Bytes received from the service",
        cache.fetched_bytes,
    )?;
    out.counter("download_links", "Download links asked for", reads.links)?;
    out.counter(
        "download_requests",
        "Requests to download hosts",
        reads.requests,
    )?;
    out.counter(
        "download_retries",
        "Requests that failed and were repeated",
        reads.retries,
    )?;
    out.counter(
        "failed_reads",
        "Reads that ended with an error",
        reads.failed,
    )?;
    out.gauge(
        "cache_used_bytes",
        "Bytes of the cache on disk",
        cache.used as f64,
    )?;
    out.gauge(
        "cache_limit_bytes",
        "Bytes that the cache may take",
        cache.limit as f64,
    )?;
    out.gauge(
        "cache_files",
        "Files of which something is cached",
        cache.files as f64,
    )?;
    out.gauge(
        "damaged_files",
        "Files whose bytes differ from the service's checksum",
        cache.damaged_files as f64,
    )
}

fn queue(out: &mut Out<'_>, status: &Status) -> fmt::Result {
    let queue = &status.queue;
    out.gauge("queue_uploads", "Files to be sent", queue.uploads as f64)?;
    out.gauge(
        "queue_upload_bytes",
        "Their bytes",
        queue.upload_bytes as f64,
    )?;
    out.gauge(
        "queue_changes",
        "Folders to be made, things to be moved or renamed",
        queue.changes as f64,
    )?;
    out.gauge(
        "queue_removals",
        "Things to be removed",
        queue.removals as f64,
    )?;
    out.gauge(
        "queue_failed",
        "What failed for good and waits for the user",
        queue.failed as f64,
    )?;
    out.gauge(
        "uploads_active",
        "Uploads under way",
        status.transfers.len() as f64,
    )?;
    out.gauge(
        "staged_bytes",
        "Bytes of changes that the service does not have",
        status.staged_bytes as f64,
    )
}

fn account(out: &mut Out<'_>, status: &Status) -> fmt::Result {
    out.gauge(
        "tree_files",
        "Files and links that are known",
        status.tree.files as f64,
    )?;
    out.gauge("tree_bytes", "Their bytes", status.tree.bytes as f64)?;
    out.gauge(
        "tree_folders",
        "Folders that are known",
        status.freshness.folders as f64,
    )?;
    out.gauge(
        "tree_unlisted_folders",
        "Folders whose content was never listed",
        status.freshness.unlisted as f64,
    )?;
    let Some(account) = &status.account else {
        return Ok(());
    };
    out.gauge(
        "account_cold_used_bytes",
        "Cold storage in use",
        account.cold_used as f64,
    )?;
    if let Some(allowed) = account.cold_allowed {
        out.gauge(
            "account_cold_allowed_bytes",
            "Cold storage that may be used",
            allowed as f64,
        )?;
    }
    out.gauge(
        "account_hot_used_bytes",
        "Hot storage in use",
        account.hot_used as f64,
    )
}

fn api(out: &mut Out<'_>, status: &Status) -> fmt::Result {
    let api = &status.api;
    let calls = api
        .calls
        .iter()
        .map(|(kind, count)| (kind.as_str(), *count));
    out.counters("api_calls", "Calls of the API", "kind", calls)?;
    out.gauge(
        "api_calls_allowed_per_second",
        "Calls a second that are allowed now",
        api.rate,
    )?;
    out.gauge(
        "api_calls_waiting",
        "Calls that wait for their turn",
        api.waiting as f64,
    )?;
    out.gauge(
        "api_calls_failing",
        "Calls that failed within the last hour",
        api.failing as f64,
    )?;
    out.gauge(
        "api_calls_failing_limit",
        "How many of them end all calls",
        api.failing_limit as f64,
    )?;
    out.counter(
        "api_locks",
        "How often the service has locked us",
        api.locks_ever,
    )?;
    let ends = api.locks.iter().filter_map(|(kind, end)| {
        let end: jiff::Timestamp = end.parse().ok()?;
        Some((kind.as_str(), end.as_second() as f64))
    });
    out.labelled(
        "api_lock_end_timestamp_seconds",
        "When a lock ends",
        "kind",
        ends,
    )?;
    out.gauge(
        "api_key_refused",
        "Whether the service refused the key",
        flag(api.key_refused),
    )
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(
            self.0
                .encode_descriptor(name, help, None, MetricType::Gauge)?,
        )
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(
            self.0
                .encode_descriptor(name, help, None, MetricType::Counter)?,
        )
    }

    fn labelled<'l>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'l str, f64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (text, value) in values {
            ConstGauge::new(value).encode(metric.encode_family(&[(label, text)])?)?;
        }
        Ok(())
    }

    fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'l str, u64)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (text, value) in values {
            ConstCounter::new(value).encode(metric.encode_family(&[(label, text)])?)?;
        }
        Ok(())
    }
}
