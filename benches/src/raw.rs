//! What the machine can do without Hayloft: durable files, durable rows.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use anyhow::{Result, anyhow};
use redb::{Database, Durability, TableDefinition};

pub(crate) type Bytes = &'static [u8];

const ROWS: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("rows");
/// Bytes read and written at a time.
const CHUNK: usize = 256 << 10;

/// Writes files the durable way: under a temporary name, flushed, renamed, directory flushed.
#[derive(Debug)]
pub(crate) struct RawFiles {
    directory: PathBuf,
    next: AtomicU64,
    /// Number of the first file that was not removed.
    cleared: AtomicU64,
}

impl RawFiles {
    /// Files go into 256 directories in turn, as Hayloft's do by digest.
    pub(crate) fn create(directory: PathBuf) -> Result<Self> {
        for shard in 0..256 {
            fs_err::create_dir_all(directory.join(shard.to_string()))?;
        }
        Ok(Self { directory, next: AtomicU64::new(0), cleared: AtomicU64::new(0) })
    }

    pub(crate) fn store(&self, content: impl Read) -> Result<()> {
        self.store_with(content, |_| ())
    }

    /// Lets `see` have each piece of the content as well.
    pub(crate) fn store_with(
        &self,
        mut content: impl Read,
        mut see: impl FnMut(&[u8]),
    ) -> Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let temporary = self.directory.join(format!("temporary-{number}"));
        let mut file = fs_err::File::create(&temporary)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = fill(&mut content, &mut buffer)?;
            let piece = buffer.get(..read).unwrap_or_default();
            see(piece);
            file.write_all(piece)?;
            if read < CHUNK {
                break;
            }
        }
        file.sync_data()?;
        drop(file);
        fs_err::rename(&temporary, self.path(number))?;
        fs_err::File::open(self.shard(number))?.sync_all()?;
        Ok(())
    }
}

impl RawFiles {
    /// Removes all files.
    pub(crate) fn clear(&self) -> Result<()> {
        for number in self.cleared.load(Ordering::Relaxed)..self.next.load(Ordering::Relaxed) {
            fs_err::remove_file(self.path(number))?;
            self.cleared.store(number + 1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn shard(&self, number: u64) -> PathBuf {
        self.directory.join((number % 256).to_string())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.shard(number).join(number.to_string())
    }
}

/// Reads until the buffer is full or the content is at its end.
fn fill(content: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match content.read(room)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

struct Order {
    value: Vec<u8>,
    done: SyncSender<()>,
}

/// Commits rows with random keys to redb the way that Hayloft does: one thread, all that wait in
/// one commit, flushed, with what makes recovery quick.
#[derive(Debug)]
pub(crate) struct RawRows {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl RawRows {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let database = Database::create(path)?;
        let (orders, incoming) = mpsc::sync_channel(1024);
        let thread = thread::spawn(move || serve(&database, &incoming));
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Stores a row; it is durable when this returns.
    pub(crate) fn store(&self, value: Vec<u8>) -> Result<()> {
        let gone = || anyhow!("the thread that commits rows has ended");
        let (done, wait) = mpsc::sync_channel(1);
        self.orders.as_ref().ok_or_else(gone)?.send(Order { value, done }).map_err(|_| gone())?;
        wait.recv().map_err(|_| gone())
    }
}

impl Drop for RawRows {
    fn drop(&mut self) {
        drop(self.orders.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => eprintln!("raw rows: {error:#}"),
            Some(Err(_)) => eprintln!("raw rows: the thread panicked"),
            _ => {}
        }
    }
}

fn serve(database: &Database, incoming: &Receiver<Order>) -> Result<()> {
    let mut number = 0_u64;
    while let Ok(first) = incoming.recv() {
        let orders: Vec<Order> =
            std::iter::once(first).chain(incoming.try_iter().take(255)).collect();
        let mut transaction = database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_quick_repair(true);
        let mut rows = transaction.open_table(ROWS)?;
        for order in &orders {
            number += 1;
            let key = blake3::hash(&number.to_be_bytes());
            rows.insert(key.as_bytes().as_slice(), order.value.as_slice())?;
        }
        drop(rows);
        transaction.commit()?;
        for order in orders {
            // Who no longer waits is no longer interested.
            let _ = order.done.send(());
        }
    }
    Ok(())
}

/// Appends pages to a file that is written already, each flushed.
#[derive(Debug)]
pub(crate) struct RawLog {
    file: fs_err::File,
    page: u64,
}

impl RawLog {
    const PAGES: u64 = 2_048;

    pub(crate) fn create(path: &Path) -> Result<Self> {
        let mut file = fs_err::File::create(path)?;
        for _ in 0..Self::PAGES {
            file.write_all(&[0; 4_096])?;
        }
        file.sync_all()?;
        Ok(Self { file, page: 0 })
    }

    /// One record; it is durable when this returns.
    pub(crate) fn append(&mut self) -> Result<()> {
        use std::io::Seek as _;
        self.file.seek(std::io::SeekFrom::Start(self.page % Self::PAGES * 4_096))?;
        self.file.write_all(&[7; 4_096])?;
        self.file.sync_data()?;
        self.page += 1;
        Ok(())
    }
}
