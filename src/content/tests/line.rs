//! How much of a line readers get: over an origin whose connections take time, on a clock
//! that stands still while the machine works.

use super::*;

/// The line is shape L of the benchmarks, in bytes a second.
const OF_ONE: f64 = 20e6;
const OF_ALL: f64 = 150e6;
const FIRST_BYTE: Duration = Duration::from_millis(80);
const CALL: Duration = Duration::from_millis(150);

/// Calls that are made at once; the next comes a second later.
const AT_ONCE: usize = 3;

const CHUNK: u64 = 64 * 1024;

#[derive(Clone, Default)]
struct Line {
    links: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    /// Connections by which bytes come.
    active: Arc<AtomicUsize>,
}

impl Origin for Line {
    fn link(
        &self,
        _: &FileId,
        _: Need,
        _: StdInstant,
    ) -> BoxFuture<'static, Result<Arc<dyn Link>, Fault>> {
        let turn = match self.links.fetch_add(1, Ordering::SeqCst) {
            ..AT_ONCE => Duration::ZERO,
            _ => Duration::from_secs(1),
        };
        let link: Arc<dyn Link> = Arc::new(self.clone());
        async move {
            tokio::time::sleep(turn + CALL).await;
            Ok(link)
        }
        .boxed()
    }

    fn asked(&self, id: &FileId) -> Asked {
        Asked::file(id.as_str(), "")
    }
}

impl Link for Line {
    fn open(&self, range: Range<u64>, _: u64) -> BoxFuture<'static, Result<Chunks, Fault>> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let active = Arc::clone(&self.active);
        async move {
            let mut due = Instant::now() + FIRST_BYTE;
            tokio::time::sleep_until(due).await;
            active.fetch_add(1, Ordering::SeqCst);
            let open = Open(Arc::clone(&active));
            let chunks = stream::iter(range.clone().step_by(CHUNK as usize)).then(move |at| {
                let _ = &open;
                let len = CHUNK.min(range.end - at);
                let share = OF_ALL / active.load(Ordering::SeqCst) as f64;
                due += Duration::from_secs_f64(len as f64 / share.min(OF_ONE));
                tokio::time::sleep_until(due).map(move |()| Ok(Bytes::from(vec![0; len as usize])))
            });
            Ok(chunks.boxed())
        }
        .boxed()
    }
}

/// How files of `size` bytes each are read at the same time, for so many readers. A reader takes
/// `pace` for each megabyte. Gives the part of the line that they got, and the requests.
fn read_side_by_side(readers: usize, size: u64, pace: Duration) -> (f64, usize) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let line = Line::default();
    let content = content_over(
        Arc::new(line.clone()),
        &dir.path().join("db"),
        &dir.path().join("cache"),
        ContentOptions::default(),
        runtime.handle(),
    );
    content.keep(HashSet::new());
    let films = (0..readers).map(|n| file(&format!("film{n}"), size));
    let read = films.map(|film| {
        let content = &content;
        async move {
            let _open = content.pin(&film.id);
            let began = Instant::now();
            for at in (0..size).step_by(2 * BLOCK_SIZE as usize) {
                tokio::time::sleep_until(began + pace.mul_f64(at as f64 / MIB as f64)).await;
                content.read(&film, at, 2 * BLOCK_SIZE as usize).await?;
            }
            Ok::<_, ContentError>(())
        }
    });
    let read: Vec<_> = read.collect();
    let took = runtime.block_on(async {
        let began = Instant::now();
        future::try_join_all(read).await.unwrap();
        began.elapsed().as_secs_f64()
    });
    assert_eq!(content.stats().fetched_bytes, readers as u64 * size);
    let rate = (readers as u64 * size) as f64 / took;
    (rate / OF_ALL, line.requests.load(Ordering::SeqCst))
}

#[test]
fn readers_get_the_line_by_few_requests_and_all_connections_end_together() {
    for (readers, size, least, most) in [(1, 512 * MIB, 0.815, 45), (4, 128 * MIB, 0.82, 60)] {
        let (part, requests) = read_side_by_side(readers, size, Duration::ZERO);
        // It begins with a call and small requests, and the fourth reader a second later.
        assert!(part >= least, "{readers}: {part:.3} of the line");
        assert!(requests <= most, "{readers}: {requests} requests");
    }
}

#[test]
fn a_reader_that_is_slower_than_the_line_costs_few_requests() {
    for (pace, most) in [(50, 128), (10, 60)] {
        let (_, requests) = read_side_by_side(1, 512 * MIB, Duration::from_millis(pace));
        assert!(
            requests <= most,
            "{pace} ms a megabyte: {requests} requests"
        );
    }
}
