//! What a row works with: sizes, places, and the comparison of programs in turn.

use super::Result;
use super::measure::median;
use super::peer::{Mount, Peer, Place};
use super::service::{Plan, Service};
use fichierfs::sim::Report;
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// The run of the whole program.
pub struct Bench {
    dir: tempfile::TempDir,
    quick: bool,
    runs: Option<usize>,
    places: Cell<usize>,
}

impl Bench {
    pub fn new(quick: bool, runs: Option<usize>) -> Result<Bench> {
        // TLS of our own requests; rustls has no provider of its own here.
        rustls::crypto::ring::default_provider()
            .install_default()
            .map_err(|_| "a provider of cryptography is there already")?;
        let dir = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        Ok(Bench {
            dir,
            quick,
            runs,
            places: Cell::new(0),
        })
    }

    /// A size or number, at full size or for a quick run.
    pub fn size(&self, full: u64, quick: u64) -> u64 {
        if self.quick { quick } else { full }
    }

    /// How often something is measured.
    pub fn runs(&self, full: usize) -> usize {
        self.runs.unwrap_or(if self.quick { 1 } else { full })
    }

    /// A folder that nobody else has; it lies on a real disk, beside the build.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let number = self.places.get();
        self.places.set(number + 1);
        let dir = self.dir.path().join(format!("{number}-{name}"));
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    }

    pub fn place(&self) -> Result<Place> {
        Place::new(self.folder("place")?)
    }

    pub fn service(&self, plan: &Plan) -> Result<Service> {
        Service::start(plan, &self.folder("service")?)
    }

    /// Has each program do the work, in turn, so many times, each time newly mounted on
    /// a place that knows nothing, with the root folder listed.
    /// What the work gives is the value of a sample.
    pub fn compare(
        &self,
        service: &Service,
        peers: &[&dyn Peer],
        runs: usize,
        mut work: impl FnMut(&Stage) -> Result<f64>,
    ) -> Result<Vec<Series>> {
        let mut all: Vec<Series> = peers.iter().map(|peer| Series::of(peer.name())).collect();
        for _ in 0..self.runs(runs) {
            let round = self.compare_once(service, peers, &mut work)?;
            for (series, sample) in all.iter_mut().zip(round) {
                series.samples.push(sample);
            }
        }
        Ok(all)
    }

    /// One round of [`Bench::compare`].
    pub fn compare_once(
        &self,
        service: &Service,
        peers: &[&dyn Peer],
        mut work: impl FnMut(&Stage) -> Result<f64>,
    ) -> Result<Vec<Sample>> {
        let mut round = Vec::new();
        for peer in peers {
            let place = self.place()?;
            let mount = Mount::start(*peer, service, &place)?;
            let stage = Stage {
                service,
                peer: *peer,
                mount: &mount,
            };
            std::fs::read_dir(mount.path("."))?.count();
            round.push(stage.sample(|| work(&stage))?);
            mount.stop()?;
            discard(place.dir())?;
        }
        Ok(round)
    }

    /// Mounts all programs at once, prepares each, and has them do the work in turn, so
    /// many times, on what they have kept.
    pub fn prepared(
        &self,
        service: &Service,
        peers: &[&dyn Peer],
        mut prepare: impl FnMut(&Stage) -> Result<()>,
        runs: usize,
        mut work: impl FnMut(&Stage) -> Result<f64>,
    ) -> Result<Vec<Series>> {
        let mut mounts = Vec::new();
        for peer in peers {
            let mount = Mount::start(*peer, service, &self.place()?)?;
            let stage = Stage {
                service,
                peer: *peer,
                mount: &mount,
            };
            prepare(&stage)?;
            mounts.push((*peer, mount, Series::of(peer.name())));
        }
        for _ in 0..runs {
            for (peer, mount, series) in &mut mounts {
                let stage = Stage {
                    service,
                    peer: *peer,
                    mount,
                };
                series.samples.push(stage.sample(|| work(&stage))?);
            }
        }
        let mut all = Vec::new();
        for (_, mount, series) in mounts {
            let place = mount.place().clone();
            mount.stop()?;
            discard(place.dir())?;
            all.push(series);
        }
        Ok(all)
    }
}

/// Frees the disk of what a run left.
pub fn discard(dir: &Path) -> Result<()> {
    Ok(std::fs::remove_dir_all(dir)?)
}

/// A mounted program and its service.
pub struct Stage<'a> {
    pub service: &'a Service,
    pub peer: &'a dyn Peer,
    pub mount: &'a Mount,
}

impl<'a> Stage<'a> {
    pub fn new(service: &'a Service, peer: &'a dyn Peer, mount: &'a Mount) -> Stage<'a> {
        Stage {
            service,
            peer,
            mount,
        }
    }

    /// Measures what happens during some work.
    pub fn sample(&self, work: impl FnOnce() -> Result<f64>) -> Result<Sample> {
        self.service.begin()?;
        let figures = self.mount.begin()?;
        let value = work()?;
        let used = figures.end()?;
        Ok(Sample {
            value,
            report: self.service.report()?,
            cpu: used.cpu,
            peak: used.peak,
        })
    }
}

/// One measurement of one program.
pub struct Sample {
    /// What was measured, in the row's unit.
    pub value: f64,
    /// What the service saw meanwhile.
    pub report: Report,
    /// CPU seconds of the program.
    pub cpu: f64,
    /// Its most resident bytes.
    pub peak: u64,
}

impl Sample {
    /// Requests of any kind but downloads: API calls, uploads and their results.
    pub fn calls(&self) -> u64 {
        let others = ["upload", "end.pl", "site"];
        let more: u64 = others.map(|role| self.report.calls_of(role)).iter().sum();
        self.report.api_calls + more
    }

    /// All requests, by what was asked for, in words.
    pub fn calls_by_kind(&self) -> String {
        let kinds = self.report.calls.iter();
        let kinds: Vec<String> = kinds.map(|(kind, n)| format!("{n} {kind}")).collect();
        kinds.join(", ")
    }

    /// Download links asked for.
    pub fn tokens(&self) -> u64 {
        self.report.calls_of("download/get_token")
    }
}

/// The measurements of one program.
pub struct Series {
    pub name: String,
    pub samples: Vec<Sample>,
}

impl Series {
    pub fn of(name: &str) -> Series {
        Series {
            name: name.to_owned(),
            samples: Vec::new(),
        }
    }

    /// A series with one measurement.
    pub fn single(name: &str, sample: Sample) -> Series {
        Series {
            samples: vec![sample],
            ..Series::of(name)
        }
    }

    /// The median of any figure.
    pub fn median_of(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(figure))
    }

    pub fn value(&self) -> f64 {
        self.median_of(|sample| sample.value)
    }

    pub fn cpu(&self) -> f64 {
        self.median_of(|sample| sample.cpu)
    }

    pub fn calls(&self) -> f64 {
        self.median_of(|sample| sample.calls() as f64)
    }

    pub fn tokens(&self) -> f64 {
        self.median_of(|sample| sample.tokens() as f64)
    }

    /// The worst, not the median: memory that was needed once must be there.
    pub fn peak(&self) -> u64 {
        self.samples
            .iter()
            .map(|sample| sample.peak)
            .max()
            .unwrap_or(0)
    }

    pub fn locks(&self) -> u64 {
        self.samples.iter().map(|sample| sample.report.locks).sum()
    }
}
