//! Both ends of the socket together, with a made-up daemon behind it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::error::RefusalKind;
use super::super::protocol::*;
use super::super::server::Server;
use super::super::{Controlled, Health, Refusal};
use super::*;

#[derive(Clone)]
struct Fake {
    mountpoint: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn on(mountpoint: &str) -> Fake {
        Fake {
            mountpoint: mountpoint.into(),
            asked: Arc::default(),
        }
    }

    fn note(&self, what: impl Into<String>) {
        self.asked.lock().push(what.into());
    }
}

impl Controlled for Fake {
    fn hello(&self) -> Hello {
        Hello {
            schema: SCHEMA,
            version: "1.2.3".into(),
            pid: 42,
            mountpoint: self.mountpoint.clone(),
            state_dir: "/state".into(),
            phase: Phase::Mounted,
        }
    }
    async fn health(&self) -> std::result::Result<Health, Refusal> {
        Ok(Health {
            phase: Phase::Mounted,
            key_refused: false,
        })
    }
    async fn status(&self) -> std::result::Result<Status, Refusal> {
        Err(Refusal::failed("not today"))
    }
    async fn queue(&self, _limit: usize) -> std::result::Result<Queue, Refusal> {
        Ok(Queue {
            schema: SCHEMA,
            backlog: Backlog::default(),
            items: Vec::new(),
            transfers: Vec::new(),
        })
    }
    async fn wait(
        &self,
        path: Option<PathBuf>,
        at_most: Duration,
    ) -> std::result::Result<Backlog, Refusal> {
        self.note(format!("wait {path:?} {at_most:?}"));
        Ok(Backlog {
            uploads: 3,
            ..Backlog::default()
        })
    }
    async fn flush(&self, path: Option<PathBuf>) -> std::result::Result<(), Refusal> {
        self.note(format!("flush {path:?}"));
        Ok(())
    }
    async fn cancel(
        &self,
        path: Option<PathBuf>,
        force: bool,
    ) -> std::result::Result<Cancelled, Refusal> {
        Ok(Cancelled {
            schema: 1,
            count: u64::from(force),
            losses: Vec::new(),
            left: path.into_iter().collect(),
        })
    }

    async fn retry(&self, _path: Option<PathBuf>) -> std::result::Result<u64, Refusal> {
        Ok(5)
    }
    async fn refresh(&self, path: PathBuf) -> std::result::Result<(), Refusal> {
        Err(Refusal::new(
            RefusalKind::NotFound,
            format!("no {}", path.display()),
        ))
    }
    async fn walk(&self, ask: WalkRequest) -> std::result::Result<WalkProgress, Refusal> {
        Err(Refusal::failed(ask.path.display()))
    }
    async fn pin(&self, _path: PathBuf) -> std::result::Result<Pin, Refusal> {
        Err(Refusal::failed("no room"))
    }
    async fn unpin(&self, path: PathBuf) -> std::result::Result<(), Refusal> {
        self.note(format!("unpin {path:?}"));
        Ok(())
    }
    async fn new_names(&self, ask: NewNamesRequest) -> std::result::Result<NewNames, Refusal> {
        Ok(NewNames {
            schema: SCHEMA,
            path: ask.path,
            whole: false,
            new_names: !ask.off,
            new_folders: false,
            reason: None,
        })
    }
    async fn verify(&self, _ask: VerifyRequest) -> std::result::Result<Verification, Refusal> {
        Err(Refusal::failed("no network"))
    }
    async fn pins(&self) -> std::result::Result<Pins, Refusal> {
        Ok(Pins {
            schema: SCHEMA,
            pins: Vec::new(),
        })
    }
    async fn account(&self) -> std::result::Result<Account, Refusal> {
        Err(Refusal::new(RefusalKind::NotNow, "locked"))
    }
    async fn link(&self, path: PathBuf) -> std::result::Result<Link, Refusal> {
        let url = path.display().to_string();
        Ok(Link { url })
    }

    async fn clear_cache(&self) -> std::result::Result<u64, Refusal> {
        Ok(5)
    }

    async fn reload(&self, _ask: ReloadRequest) -> std::result::Result<Reloaded, Refusal> {
        Ok(Reloaded::default())
    }

    async fn stop(&self, parting: Parting) -> std::result::Result<Duration, Refusal> {
        self.note(format!("stop {parting:?}"));
        Ok(Duration::from_secs(7))
    }
}

#[tokio::test]
async fn questions_arrive_and_answers_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let fake = Fake::on("/mnt/a");
    let server = Server::start(&path, fake.clone()).unwrap();

    let client = Client::find(&[dir.path().to_owned()], None).await.unwrap();
    assert_eq!(client.hello().pid, 42);
    assert_eq!(
        client.wait(Duration::from_secs(2)).await.unwrap().uploads,
        3
    );
    client.flush(Some("x/y".into())).await.unwrap();
    client.flush(None).await.unwrap();
    assert_eq!(client.retry(None).await.unwrap(), 5);
    let cancelled = client.cancel(Some("a/b".into()), true).await.unwrap();
    assert_eq!(
        (cancelled.count, &cancelled.left[..]),
        (1, &["a/b".into()][..])
    );
    for off in [false, true] {
        let ask = NewNamesRequest {
            path: "a/b".into(),
            off,
        };
        let told = client.new_names(&ask).await.unwrap();
        assert_eq!((told.path, told.new_names), ("a/b".into(), !off));
    }
    assert_eq!(
        client.stop(Parting::Leave).await.unwrap(),
        Duration::from_secs(7)
    );
    assert_eq!(client.queue().await.unwrap().items, []);
    assert_eq!(
        *fake.asked.lock(),
        [
            "wait None 2s",
            "flush Some(\"x/y\")",
            "flush None",
            "stop Leave"
        ]
    );

    drop(server);
    assert!(!path.exists());
    let alone = Client::find(&[dir.path().to_owned()], None).await;
    assert!(matches!(alone, Err(ControlError::NotRunning)));
}

#[tokio::test]
async fn a_refusal_keeps_its_kind_and_its_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let _server = Server::start(&path, Fake::on("/mnt/a")).unwrap();
    let client = Client::at(&path).await.unwrap();
    for (refused, kind, words) in [
        (
            client.status().await.err(),
            RefusalKind::Failed,
            "not today",
        ),
        (client.account().await.err(), RefusalKind::NotNow, "locked"),
        (
            client.refresh("q".into()).await.err(),
            RefusalKind::NotFound,
            "no q",
        ),
    ] {
        let Some(ControlError::Refused(refusal)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((refusal.kind, refusal.message.as_str()), (kind, words));
    }
}

#[tokio::test]
async fn a_supervisor_is_told_without_the_whole_status() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    // Its status fails.
    let _server = Server::start(&path, Fake::on("/mnt/a")).unwrap();
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
}

#[tokio::test]
async fn a_daemon_is_found_by_its_mountpoint_or_a_path_below() {
    let dir = tempfile::tempdir().unwrap();
    let _a = Server::start(&dir.path().join("a.sock"), Fake::on("/mnt/a")).unwrap();
    let _b = Server::start(&dir.path().join("b.sock"), Fake::on("/mnt/a/inner")).unwrap();
    // A killed daemon leaves a socket that nobody answers.
    drop(socket::bind(&dir.path().join("dead.sock")).unwrap());

    let several = Client::find(&[dir.path().to_owned()], None).await;
    assert!(matches!(several, Err(ControlError::Several(m)) if m.len() == 2));
    for (asked, found) in [
        ("/mnt/a", "/mnt/a"),
        ("/mnt/a/inner/x", "/mnt/a/inner"),
        ("/mnt/a/innermost", "/mnt/a"),
    ] {
        let client = Client::find(&[dir.path().to_owned()], Some(Path::new(asked)))
            .await
            .unwrap();
        assert_eq!(client.hello().mountpoint, Path::new(found));
    }
    let none = Client::find(&[dir.path().to_owned()], Some(Path::new("/mnt"))).await;
    assert!(matches!(none, Err(ControlError::NoSuchMount(_))));
}
