//! One upload request: the last closed versions of some files of one folder.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use tokio::task::block_in_place;

use super::failure::{Failure, judge};
use super::hashing::{Differs, Hashing};
use super::kept::Kept;
use super::plan::{MAX_FILES, Sending};
use super::transfers::Meter;
use super::uplink::{Flow, PIECE};
use super::{Context, RATE, UploadError, kept_rate};
use crate::api::limits::FILE_SIZE;
use crate::api::{ApiError, Class, Fate, PartStream, UploadForm, UploadPart};
use crate::content::{ContentError, RemoteFile};
use crate::ids::{Ino, Time, Whirlpool};
use crate::staging::{StagingError, Version};
use crate::store::setting;
use crate::tree::TreeError;
use crate::tree::journal::{Underway, Way};

/// A file of a request: what is sent of it.
struct Part {
    sending: Sending,
    content: Content,
    digest: Arc<Mutex<Hashing>>,
    /// Why its bytes were not given, if so.
    withheld: Arc<Mutex<Option<Withheld>>>,
    /// The user wants it to be tried though the line may not carry it in time.
    anyway: bool,
}

/// Why a request was broken off on our side.
enum Withheld {
    /// The bytes cannot be read.
    Unreadable(String),
    /// The service does not give what they are a layer over now.
    NotNow(String),
    /// The service does not have what they are a layer over any more.
    Gone(String),
    /// It begins with all of this file of the service, which did not come as it is there.
    Differs(Arc<RemoteFile>),
    /// Nobody wants the file any more.
    Unwanted,
    /// The line cannot carry it in time, in which it would take so long.
    TooSlow(Duration),
}

impl Withheld {
    /// What a failure to read a version means for its upload.
    fn by(e: &StagingError) -> Withheld {
        let why = e.to_string();
        match e {
            StagingError::Content(ContentError::Gone(_)) => Withheld::Gone(why),
            StagingError::Content(
                ContentError::Held(_) | ContentError::Unavailable(_) | ContentError::Timeout(_),
            ) => Withheld::NotNow(why),
            _ => Withheld::Unreadable(why),
        }
    }
}

/// Where a part's bytes come from.
enum Content {
    Version(Version),
    Link(Bytes),
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Content::Version(version) => version.size(),
            Content::Link(target) => target.len() as u64,
        }
    }

    /// The file of the service that it begins with.
    fn base(&self) -> Option<Arc<RemoteFile>> {
        match self {
            Content::Version(version) => version.map().begins_with().cloned(),
            Content::Link(_) => None,
        }
    }

    /// Links have one version only.
    fn version(&self) -> u64 {
        match self {
            Content::Version(version) => version.number(),
            Content::Link(_) => 0,
        }
    }
}

impl Part {
    /// The bytes, hashed and counted as they are taken.
    fn stream(
        &self,
        meter: Meter,
        stop: impl Fn() -> Option<Withheld> + Send + 'static,
    ) -> PartStream {
        let digest = self.digest.clone();
        let withheld = self.withheld.clone();
        let bytes = match &self.content {
            Content::Version(version) => version.clone().read_stream().boxed(),
            Content::Link(target) => stream::iter([Ok(target.clone())]).boxed(),
        };
        bytes
            .map(move |read| {
                let taken = read.map_err(|e| Withheld::by(&e)).and_then(|bytes| {
                    stop().map_or(Ok(()), Err)?;
                    let hashed = digest.lock().update(&bytes);
                    hashed.map_err(|Differs(base)| Withheld::Differs(base))?;
                    meter.add(bytes.len());
                    Ok(bytes)
                });
                taken.map_err(|why| {
                    *withheld.lock() = Some(why);
                    io::Error::other("broken off")
                })
            })
            .boxed()
    }

    /// Brings the bytes to the disk. Blocks.
    fn sync(&self) -> Result<(), StagingError> {
        match &self.content {
            Content::Version(version) => version.sync(),
            Content::Link(_) => Ok(()),
        }
    }

    fn whirlpool(&self) -> Whirlpool {
        self.digest.lock().whirlpool()
    }
}

/// Versions under way; they are let go with this.
pub(super) struct Held<'a> {
    context: &'a Context,
    inos: Vec<Ino>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut sent = self.context.sent.lock();
        for ino in &self.inos {
            sent.remove(ino);
        }
    }
}

/// What is done before the last bytes of a request leave.
type Note = Arc<dyn Fn() -> Result<(), TreeError> + Send + Sync>;

/// How often a file may be sent for as long as the service allows and not arrive.
const OVERTIMES: u32 = 2;

/// The same bytes; how long they are waited for is told to `flow`.
fn timed(mut bytes: PartStream, flow: Arc<Flow>) -> PartStream {
    let mut since = None;
    stream::poll_fn(move |cx| {
        let next = bytes.poll_next_unpin(cx);
        match &next {
            Poll::Pending => {
                since.get_or_insert_with(Instant::now);
            }
            Poll::Ready(_) => flow.waited(since.take().map_or(Duration::ZERO, |at| at.elapsed())),
        }
        next
    })
    .boxed()
}

/// A chunk in pieces that share it.
fn pieces(mut chunk: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let size = chunk.len().min(PIECE);
        (size > 0).then(|| chunk.split_to(size))
    })
}

impl Context {
    /// Sends one request. Its result is journaled as unknown before the first
    /// byte leaves, and settled at the end.
    pub(super) async fn upload(&self, sends: Vec<Sending>) -> Result<(), UploadError> {
        let Some(folder) = sends.first().map(|s| s.at.folder) else {
            return Ok(());
        };
        let mut parts = block_in_place(|| self.parts(sends))?;
        if parts.is_empty() {
            return Ok(());
        }
        let mut inos: Vec<Ino> = parts.iter().map(|part| part.sending.ino).collect();

        let node = match self.api.upload_node(Class::Upload).await {
            Ok(node) => node,
            Err(e) => return self.all_failed(&inos, &e),
        };
        // It may have arisen meanwhile.
        if self.is_in_doubt() {
            return Ok(());
        }
        let _sent = self.hold(parts.iter().filter_map(|part| match &part.content {
            Content::Version(version) => Some(version.clone()),
            Content::Link(_) => None,
        }));
        let mut underway: Vec<Underway> = parts
            .iter()
            .map(|part| Underway {
                ino: part.sending.ino,
                version: part.content.version(),
                at: part.sending.at.clone(),
                size: part.content.size(),
                whirlpool: None,
                way: Way::Upload {
                    node: node.host.clone(),
                    xid: node.id.clone(),
                },
                started: Time::now(),
                not_before: Time(0),
                attempts: 0,
            })
            .collect();
        // Waits for the disk.
        let begun = block_in_place(|| self.tree.uploads_begin(&underway))?;
        parts.retain(|part| begun.contains(&part.sending.ino));
        underway.retain(|upload| begun.contains(&upload.ino));
        inos.retain(|ino| begun.contains(ino));
        if parts.is_empty() {
            return Ok(());
        }

        let alone = parts.len() == 1;
        let flow = Arc::new(self.uplink.begin());
        let bytes: u64 = parts.iter().map(|part| part.content.size()).sum();
        let left = Arc::new(AtomicU64::new(bytes));
        let note = self.note_of(&parts, &underway);
        let form = UploadForm {
            folder,
            parts: parts
                .iter()
                .map(|part| UploadPart {
                    name: part.sending.at.name.clone(),
                    len: part.content.size(),
                    body: self.paced(
                        part.stream(
                            self.transfers.begin(part.sending.ino, part.content.size()),
                            self.stop(part, alone.then(|| (flow.clone(), left.clone()))),
                        ),
                        left.clone(),
                        flow.clone(),
                        note.clone(),
                    ),
                })
                .collect(),
        };
        let at_work = self.content.at_work();
        let sent = self.api.upload(&node, form).await;
        drop(at_work);
        let over = self.uplink.is_over(&flow);
        if sent.is_ok() {
            self.uplink.ended(&flow);
        }
        block_in_place(|| self.keep_rate());
        let ticket = match sent {
            Ok(ticket) => {
                self.refusals.forget(inos.iter().copied());
                ticket
            }
            Err(failure) if failure.fate == Fate::NotStored => {
                for &ino in &inos {
                    self.tree.upload_failed(ino)?;
                }
                return self.not_stored(&parts, &failure.error, over).await;
            }
            Err(failure) => {
                tracing::info!("an upload broke off, its result is unknown: {failure}");
                node.ticket()
            }
        };
        let sent: Vec<(Ino, Whirlpool)> = parts
            .iter()
            .map(|part| (part.sending.ino, part.whirlpool()))
            .collect();
        // Held by nobody else, the staged bytes of a confirmed version become cache.
        drop(parts);
        let way = Way::Upload {
            node: ticket.host.clone(),
            xid: ticket.xid.clone(),
        };
        block_in_place(|| self.tree.uploads_were_sent(&way, &sent, Time::now()))?;
        for (upload, (_, whirlpool)) in underway.iter_mut().zip(&sent) {
            upload.whirlpool = Some(*whirlpool);
            upload.way = way.clone();
            upload.started = Time::now();
        }
        self.settle(&underway).await
    }

    /// Journals the checksums of a request, all bytes of which have been read.
    fn note_of(&self, parts: &[Part], underway: &[Underway]) -> Note {
        let sums: Vec<_> = parts
            .iter()
            .map(|part| (part.sending.ino, part.digest.clone()))
            .collect();
        let (tree, way) = (self.tree.clone(), underway.first().map(|u| u.way.clone()));
        Arc::new(move || {
            let sums: Vec<(Ino, Whirlpool)> = sums
                .iter()
                .map(|(ino, digest)| (*ino, digest.lock().whirlpool()))
                .collect();
            match &way {
                // Waits for the disk.
                Some(way) => block_in_place(|| tree.uploads_were_sent(way, &sums, Time::now())),
                None => Ok(()),
            }
        })
    }

    /// The same bytes, as our own limit lets them through. `left` are those of the whole
    /// request. Before the last ones go, and with them the service may have it all, their
    /// checksums are noted: after a crash nobody else could tell what became of them.
    fn paced(
        &self,
        bytes: PartStream,
        left: Arc<AtomicU64>,
        flow: Arc<Flow>,
        note: Note,
    ) -> PartStream {
        let uplink = self.uplink.clone();
        timed(bytes, flow.clone())
            .map_ok(|chunk| stream::iter(pieces(chunk).map(Ok)))
            .try_flatten()
            .and_then(move |piece: Bytes| {
                let (uplink, left, note) = (uplink.clone(), left.clone(), note.clone());
                let flow = flow.clone();
                async move {
                    let size = piece.len() as u64;
                    let before = left.fetch_sub(size, Ordering::Relaxed);
                    uplink.pass(size, before, &flow).await;
                    if before <= size {
                        note().map_err(io::Error::other)?;
                    }
                    Ok(piece)
                }
            })
            .boxed()
    }

    /// Says when a file that is sent `alone` is not to be sent on: it is not wanted any more,
    /// or the line is known now and cannot carry the rest of it. Where others travel with it, it is small,
    /// and they shall arrive.
    fn stop(
        &self,
        part: &Part,
        alone: Option<(Arc<Flow>, Arc<AtomicU64>)>,
    ) -> impl Fn() -> Option<Withheld> + Send + 'static {
        let tree = self.tree.clone();
        let abandoned = self.abandoned.clone();
        let uplink = self.uplink.clone();
        let (ino, anyway) = (part.sending.ino, part.anyway);
        move || {
            let (flow, left) = alone.as_ref()?;
            if abandoned.lock().contains(&ino) || matches!(tree.is_wanted(ino), Ok(false)) {
                return Some(Withheld::Unwanted);
            }
            let left = left.load(Ordering::Relaxed);
            let time = uplink.cannot_end(flow, left).filter(|_| !anyway)?;
            Some(Withheld::TooSlow(time))
        }
    }

    /// What is known of the line now is for later processes, too.
    fn keep_rate(&self) {
        let best = self.uplink.best();
        if best <= kept_rate(&self.store) {
            return;
        }
        let kept = self
            .store
            .write(|tx| setting::put(tx, RATE, &best.to_string()));
        if let Err(e) = kept {
            tracing::warn!("how fast uploads were is not kept: {e}");
        }
    }

    /// Keeps the versions that are being sent for [`Context::settle`], until
    /// the result is dropped.
    pub(super) fn hold(&self, versions: impl Iterator<Item = Version>) -> Held<'_> {
        let mut sent = self.sent.lock();
        let mut inos = Vec::new();
        for version in versions {
            inos.push(version.ino());
            sent.insert(version.ino(), version);
        }
        Held {
            context: self,
            inos,
        }
    }

    /// What is to be sent, with its staged bytes on the disk: they must outlast a
    /// power cut as the journal does, or what arrives whole would be compared with
    /// what the cut left of them. What cannot be sent at all is left out. Blocks for
    /// the disk.
    fn parts(&self, sends: Vec<Sending>) -> Result<Vec<Part>, UploadError> {
        let mut parts = Vec::with_capacity(sends.len());
        for sending in sends {
            let ino = sending.ino;
            let synced = match self.part(sending) {
                Ok(Some(part)) => part.sync().map(|()| part),
                Ok(None) => continue,
                Err(UploadError::Staging(e)) => Err(e),
                Err(e) => return Err(e),
            };
            match synced {
                Ok(part) => parts.push(part),
                Err(e) => self.unreadable(ino, &Kept::Unreadable(e.to_string()))?,
            }
        }
        Ok(parts)
    }

    /// What is to be sent of a node; `None` when there is nothing, or it cannot
    /// be sent at all.
    fn part(&self, sending: Sending) -> Result<Option<Part>, UploadError> {
        let content = match &sending.link {
            Some(target) => {
                use std::os::unix::ffi::OsStrExt;
                Content::Link(Bytes::copy_from_slice(target.as_bytes()))
            }
            None => {
                let file = self.staging.file(sending.ino, None)?;
                match file.snapshot() {
                    Some(version) => Content::Version(version),
                    // It was removed a moment ago.
                    None if !self.tree.is_wanted(sending.ino)? => return Ok(None),
                    None => {
                        tracing::error!(
                            path = %self.path(sending.ino),
                            "nothing is staged of a file that is to be sent"
                        );
                        self.tree.park(sending.ino, &Kept::Missing.to_string())?;
                        return Ok(None);
                    }
                }
            }
        };
        if content.size() > FILE_SIZE {
            self.tree.park(sending.ino, &Kept::TooLarge.to_string())?;
            return Ok(None);
        }
        let queued = self.tree.queued(sending.ino)?;
        let anyway = queued.is_some_and(|queued| queued.attempts == 0 && queued.error.is_some());
        if let Some(time) = self.uplink.too_long(content.size())
            && !anyway
        {
            self.too_slow(sending.ino, time)?;
            return Ok(None);
        }
        Ok(Some(Part {
            digest: Arc::new(Mutex::new(Hashing::new(content.base()))),
            sending,
            anyway,
            content,
            withheld: Arc::default(),
        }))
    }

    /// Parks a file that the line cannot carry in the time that the service allows: it would
    /// take `time`.
    fn too_slow(&self, ino: Ino, time: Duration) -> Result<(), UploadError> {
        let allowed = self.api.limits().upload_time;
        let needed = time;
        let text = Kept::TooSlow { needed, allowed }.to_string();
        tracing::error!(path = %self.path(ino), "not sent: {text}");
        Ok(self.tree.park(ino, &text)?)
    }

    /// A file was sent for as long as the service allows, and not to its end. The line may
    /// have been slower than it is: that is believed the second time.
    fn not_in_time(&self, ino: Ino, e: &ApiError) -> Result<(), UploadError> {
        let attempts = self.attempts(ino)?;
        if self.refusals.add(ino, attempts, 1) < OVERTIMES {
            return self.intent_failed(ino, e);
        }
        let text = Kept::OutOfTime(self.api.limits().upload_time).to_string();
        tracing::error!(path = %self.path(ino), "not sent: {text}");
        Ok(self.tree.park(ino, &text)?)
    }

    /// The service has nothing of a request, which was broken off at the end of its time if
    /// that is `over`. Where that is the fault of files which cannot be read on our side, the
    /// others of the request are not to blame.
    async fn not_stored(
        &self,
        parts: &[Part],
        e: &ApiError,
        over: bool,
    ) -> Result<(), UploadError> {
        let inos: Vec<Ino> = parts.iter().map(|part| part.sending.ino).collect();
        let mut ours = false;
        for part in parts {
            let withheld = part.withheld.lock().take();
            ours |= withheld.is_some();
            match withheld {
                Some(Withheld::Unreadable(why)) => {
                    self.unreadable(part.sending.ino, &Kept::Unreadable(why))?;
                }
                Some(Withheld::Differs(base)) => {
                    self.unreadable(part.sending.ino, &Kept::Differs)?;
                    if let Err(e) = self.content.mend(&base).await {
                        tracing::info!(file = %base.id, "what came wrong is not fetched anew: {e}");
                    }
                }
                Some(Withheld::NotNow(why)) => self.not_readable_now(part.sending.ino, &why)?,
                Some(Withheld::Gone(why)) => self.is_gone(part.sending.ino, &why)?,
                Some(Withheld::TooSlow(time)) => self.too_slow(part.sending.ino, time)?,
                Some(Withheld::Unwanted) => {
                    tracing::info!(ino = %part.sending.ino, "broken off: removed meanwhile");
                }
                None => {}
            }
        }
        if ours {
            return Ok(());
        }
        if let ([ino], true) = (inos.as_slice(), over) {
            return self.not_in_time(*ino, e);
        }
        if inos.len() > 1 && judge(e) == Failure::Permanent {
            return self.refused_in_company(&inos, e);
        }
        self.all_failed(&inos, e)
    }

    /// One of them is refused, and nobody says which: each goes with half as many next.
    fn refused_in_company(&self, inos: &[Ino], e: &ApiError) -> Result<(), UploadError> {
        tracing::info!(files = inos.len(), "will be sent in smaller requests: {e}");
        for &ino in inos {
            let attempts = self.attempts(ino)?;
            self.refusals.add(ino, attempts, inos.len() / 2);
            self.tree
                .postpone(ino, self.later(attempts + 1), &e.to_string())?;
        }
        Ok(())
    }

    /// Part of the content is on the service alone, which does not give it now: nothing is
    /// wrong with the file, so it is tried for as long as that takes.
    fn not_readable_now(&self, ino: Ino, why: &str) -> Result<(), UploadError> {
        let text = Kept::NotNow(why.to_owned()).to_string();
        let attempts = self.attempts(ino)?;
        tracing::info!(path = %self.path(ino), "will be tried again: {text}");
        Ok(self.tree.postpone(ino, self.later(attempts + 1), &text)?)
    }

    /// The content of a file cannot be read here: tried again some times, for the disk may
    /// be in trouble for a while, and then left to the user.
    fn unreadable(&self, ino: Ino, kept: &Kept) -> Result<(), UploadError> {
        let text = kept.to_string();
        let attempts = self.attempts(ino)?;
        tracing::error!(path = %self.path(ino), attempts, "{text}");
        if self.refusals.add(ino, attempts, MAX_FILES) > self.options.refusal_tries {
            Ok(self.tree.park(ino, &text)?)
        } else {
            Ok(self.tree.postpone(ino, self.later(attempts + 1), &text)?)
        }
    }

    /// Part of the content was on the service alone, and is not there any more. To ask again
    /// would only add to the failing calls.
    fn is_gone(&self, ino: Ino, why: &str) -> Result<(), UploadError> {
        let text = Kept::Unreadable(why.to_owned()).to_string();
        tracing::error!(path = %self.path(ino), "{text}");
        Ok(self.tree.park(ino, &text)?)
    }

    fn all_failed(&self, inos: &[Ino], e: &ApiError) -> Result<(), UploadError> {
        for &ino in inos {
            self.failed_in(inos.len(), ino, e)?;
        }
        Ok(())
    }
}
