//! `demo`: a simulated account in this process, mounted until Ctrl-C.
//!
//! State and cache are in a directory of their own that goes at the end; nothing of
//! the user's configuration is read or written.

mod files;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::exit::{Exit, Failure};
use super::show::{self, Paint, Tone};
use super::signals::Signals;
use super::{Outcome, log, mount};
use crate::config::{ApiKey, Layers, LogFormat, LogLevel, Paths, resolve};
use crate::control::protocol::Parting;
use crate::daemon::{self, Ended, Running, Secrets, Setup};
use crate::sim::{Shape, SimConfig, Simulator};

/// Where to mount if nobody says.
const PLACE: &str = "1fichier-demo";

/// Roughly what a call of the real service takes.
const LATENCY: Duration = Duration::from_millis(40);

pub(super) async fn run(mountpoint: Option<PathBuf>) -> Outcome {
    let _ = log::start(LogLevel::Warn, LogFormat::Text, log::Target::Stderr)?;
    let mut signals = Signals::new()?;
    let mountpoint = std::path::absolute(mountpoint.unwrap_or_else(|| PLACE.into()))?;
    let scratch = Scratch::new()?;
    let made = Made::folder(&mountpoint)?;
    let simulator = Simulator::start(SimConfig {
        shape: Shape {
            api_latency: LATENCY,
            ..Shape::default()
        },
        ..SimConfig::default()
    })
    .await?;
    files::fill(&simulator.account()).map_err(|error| Failure::of(&error))?;
    let setup = setup(&simulator, scratch.path(), &mountpoint)?;
    let [.., sockets] = setup.paths.all();
    let sockets = Made::folder(sockets)?;
    let mut running = daemon::start(setup).await?;
    show::print(&invitation(&mountpoint, Paint::for_stdout()))?;

    let ended = tokio::select! {
        ended = running.ended() => ended,
        _ = signals.next() => end(&mut running).await,
    };
    simulator.stop().await;
    drop(scratch);
    drop((made, sockets));
    match ended.failure {
        Some(_) => mount::outcome(ended),
        None => {
            show::print("\nUnmounted; the demo's files are gone.\n")?;
            Ok(Exit::Done)
        }
    }
}

/// The account goes with this process: nothing queued is worth waiting for, and
/// nobody in the mount may keep it from going.
async fn end(running: &mut Running) -> Ended {
    match running.stop(Parting::Leave).await {
        Ok(ended) => ended,
        Err(error) => {
            tracing::warn!("{error}; it is taken away all the same");
            running.handle().interrupt(Duration::ZERO).await;
            running.ended().await
        }
    }
}

fn setup(simulator: &Simulator, scratch: &Path, mountpoint: &Path) -> Result<Setup, Failure> {
    let inside = |name: &str| scratch.join(name).to_string_lossy().into_owned();
    let layers = Layers {
        flags: vec![
            ("api_url", simulator.api_url()),
            ("site_url", simulator.site_url()),
            ("state_dir", inside("state")),
            ("cache_dir", inside("cache")),
            ("cache_size", "1GiB".to_owned()),
        ],
        ..Layers::default()
    };
    let settings = resolve(&layers)?.settings;
    Ok(Setup {
        paths: Paths::new(&settings, None)?,
        secrets: Secrets {
            key: Some(
                ApiKey::new(simulator.key().to_owned()).map_err(|error| Failure::of(&error))?,
            ),
            ..Secrets::default()
        },
        mountpoint: mountpoint.to_owned(),
        settings,
        kernel_options: Vec::new(),
        messenger: Some(super::messenger_program()),
        reread: None,
    })
}

fn invitation(mountpoint: &Path, paint: Paint) -> String {
    let at = show::plain(&mountpoint.to_string_lossy());
    let program = std::env::args_os()
        .next()
        .unwrap_or_else(|| "fichierfs".into());
    let program = show::plain(&program.to_string_lossy());
    format!(
        "{title}

A made-up account is mounted on {at}. Open it in a file manager, or try in another terminal:

  1. Read            ls -lR {at} && cat {at}/Welcome.txt
                     head -c 1M {at}/Videos/holiday-film.mkv | sha256sum    (fetches a start, not all 200 MB)
  2. Write           cp -r /etc/apt {at}/Backup && {program} queue wait && {program} status
  3. Edit in place   echo 'a line of mine' >> {at}/Documents/notes.md && cat {at}/Documents/notes.md

Nothing leaves this machine. Ctrl-C here unmounts and removes everything.
",
        title = paint.tone(Tone::Strong, "fichierfs demo"),
    )
}

/// Folders that we made go when they are no longer needed, the deepest first.
struct Made(Vec<PathBuf>);

impl Made {
    /// Makes a folder, for the user alone, with those above it that are missing. Whether one
    /// that was there serves is for the mount to say.
    fn folder(path: &Path) -> std::io::Result<Made> {
        use std::os::unix::fs::DirBuilderExt;
        let missing = path.ancestors().take_while(|folder| !folder.exists());
        let made = Made(missing.map(Path::to_owned).collect());
        let mut folders = std::fs::DirBuilder::new();
        folders
            .recursive(true)
            .mode(0o700)
            .create(path)
            .or_else(|error| {
                // As a dead mount, which cannot be looked at.
                match error.kind() {
                    std::io::ErrorKind::AlreadyExists => Ok(()),
                    _ => Err(error),
                }
            })?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            // Empty, or somebody put something there: then it stays, with those above it.
            let _ = std::fs::remove_dir(path);
        }
    }
}

/// A directory for state and cache, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Scratch> {
        use std::os::unix::fs::DirBuilderExt;
        let base = std::env::temp_dir();
        let path = base.join(format!("fichierfs-demo-{}", std::process::id()));
        // Not recursive: one that is there already is somebody else's.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Scratch(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the demo's files cannot be removed");
        }
    }
}
