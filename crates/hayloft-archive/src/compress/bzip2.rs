//! bzip2 as libbz2 reads it, without the randomised blocks of versions before 1.0.
//!
//! The kept crate is C or has the licence of its model; what else there is reads on after damage.

use std::io::{self, BufRead};

use hayloft_feed::{Account, Hold};

use super::gzip::only_zeros;
use crate::ArchiveError;

const BLOCK: u64 = 0x3141_5926_5359;
const END: u64 = 0x1772_4538_5090;
/// Symbols that one table codes in a row.
const GROUP: u32 = 50;
/// Longest code of a symbol in bits.
const LONGEST_CODE: usize = 20;
/// Selectors that are of use.
const SELECTORS: u32 = 18_002;
/// Runs are followed by their further length.
const RUN: u8 = 4;

/// Reads one bzip2 stream, behind which nothing but zeros may be.
pub(crate) struct Bzip2Reader<R> {
    bits: Bits<R>,
    /// Bytes of a block before the last step.
    block_size: usize,
    /// Each byte of the block in its lowest bits, and above it where the next one is.
    block: Vec<u32>,
    /// Bytes of the block that are left, and where the next one is.
    left: usize,
    at: u32,
    run: Run,
    sum: Sum,
    expected: u32,
    all_sums: u32,
    state: State,
    memory: Memory,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Between,
    Block,
    Ended,
}

enum Memory {
    Wanted(Account),
    Held { _hold: Hold },
}

/// Equal bytes in a row so far, and how many more are due.
#[derive(Default)]
struct Run {
    byte: u8,
    length: u8,
    due: u8,
}

fn damaged(fault: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

impl<R: BufRead> Bzip2Reader<R> {
    pub(crate) fn new(input: R, account: &Account) -> Self {
        Self {
            bits: Bits { input, held: 0, count: 0 },
            block_size: 0,
            block: Vec::new(),
            left: 0,
            at: 0,
            run: Run::default(),
            sum: Sum::default(),
            expected: 0,
            all_sums: 0,
            state: State::Start,
            memory: Memory::Wanted(account.clone()),
        }
    }

    fn start(&mut self) -> io::Result<()> {
        let magic = self.bits.take(24)?;
        let level = self.bits.take(8)?.checked_sub(u32::from(b'0'));
        let level = level.filter(|level| (1..=9).contains(level));
        let (Some(level), 0x0042_5a68) = (level, magic) else {
            return Err(damaged("it has no header"));
        };
        let size = level * 100_000;
        if let Memory::Wanted(account) = &self.memory {
            let hold = account.hold(u64::from(size) * 4);
            let hold = hold.map_err(|exhausted| ArchiveError::from(exhausted).into_io())?;
            self.memory = Memory::Held { _hold: hold };
        }
        self.block_size = usize::try_from(size).unwrap_or(0);
        self.block.reserve_exact(self.block_size);
        self.state = State::Between;
        Ok(())
    }

    /// Goes on with the next block, or ends.
    fn begin(&mut self) -> io::Result<()> {
        let magic = u64::from(self.bits.take(24)?) << 24 | u64::from(self.bits.take(24)?);
        self.expected = self.bits.take(32)?;
        match magic {
            BLOCK => {
                self.read_block()?;
                self.run = Run::default();
                self.sum = Sum::default();
                self.state = State::Block;
                Ok(())
            }
            END if self.expected == self.all_sums => {
                self.state = State::Ended;
                // The rest of the last byte is filling.
                only_zeros(&mut self.bits.input)
            }
            END => Err(damaged("its checksum is another")),
            _ => Err(damaged("a block has no beginning")),
        }
    }

    fn read_block(&mut self) -> io::Result<()> {
        if self.bits.bit()? {
            return Err(damaged("a block is randomised, as only the oldest versions did"));
        }
        let origin = self.bits.take(24)?;
        let used = self.used()?;
        let symbols = used.len() + 2;
        let tables = self.bits.take(3)?;
        if used.is_empty() || !(2..=6).contains(&tables) {
            return Err(damaged("a block has no symbols or no tables"));
        }
        let selectors = self.selectors(tables)?;
        let tables = (0..tables).map(|_| self.table(symbols)).collect::<io::Result<Vec<_>>>()?;
        let mut counts = [0; 256];
        self.read_symbols(used, &selectors, &tables, &mut counts)?;
        self.link(origin, counts)
    }

    /// The bytes that are in the block.
    fn used(&mut self) -> io::Result<Vec<u8>> {
        let ranges = self.bits.take(16)?;
        let mut used = Vec::new();
        for high in (0..16_u8).filter(|high| ranges & 0x8000 >> high != 0) {
            let bytes = self.bits.take(16)?;
            used.extend(
                (0..16).filter(|low| bytes & 0x8000 >> low != 0).map(|low| high << 4 | low),
            );
        }
        Ok(used)
    }

    /// Which table codes which symbols.
    fn selectors(&mut self, tables: u32) -> io::Result<Vec<u8>> {
        let count = self.bits.take(15)?;
        let mut order: Vec<u8> = (0..6).collect();
        let mut selectors = Vec::new();
        for number in 0..count {
            let mut place = 0;
            while self.bits.bit()? {
                place += 1;
                if place >= tables {
                    return Err(damaged("a block has no such table"));
                }
            }
            let selector = to_front(&mut order, place)?;
            if number < SELECTORS {
                selectors.push(selector);
            }
        }
        Ok(selectors)
    }

    fn table(&mut self, symbols: usize) -> io::Result<Table> {
        let mut length = self.bits.take(5)?;
        let mut lengths = Vec::with_capacity(symbols);
        for _ in 0..symbols {
            loop {
                if !(1..=20).contains(&length) {
                    return Err(damaged("a code is too long or too short"));
                }
                if !self.bits.bit()? {
                    break;
                }
                length = if self.bits.bit()? { length - 1 } else { length + 1 };
            }
            lengths.push(usize::try_from(length).unwrap_or(0));
        }
        Ok(Table::new(&lengths))
    }

    fn read_symbols(
        &mut self,
        mut order: Vec<u8>,
        selectors: &[u8],
        tables: &[Table],
        counts: &mut [u32; 256],
    ) -> io::Result<()> {
        let end = u32::try_from(order.len()).unwrap_or(0) + 1;
        let mut selectors = selectors.iter();
        let mut table = None;
        let mut left = 0;
        let (mut repeats, mut weight) = (0_u32, 1_u32);
        self.block.clear();
        loop {
            if left == 0 {
                table = selectors.next().and_then(|number| tables.get(usize::from(*number)));
                left = GROUP;
            }
            left -= 1;
            let table = table.ok_or_else(|| damaged("a block has too few tables"))?;
            let symbol = table.read(&mut self.bits)?;
            if symbol < 2 {
                // Digits of a number to the base of two, made of ones and twos.
                if weight >= 2 << 20 {
                    return Err(damaged("a run is too long"));
                }
                repeats += (symbol + 1) * weight;
                weight *= 2;
                continue;
            }
            if repeats > 0 {
                let byte = order.first().copied().unwrap_or_default();
                self.add(byte, repeats, counts)?;
                (repeats, weight) = (0, 1);
            }
            if symbol == end {
                return Ok(());
            }
            let byte = to_front(&mut order, symbol - 1)?;
            self.add(byte, 1, counts)?;
        }
    }

    fn add(&mut self, byte: u8, times: u32, counts: &mut [u32; 256]) -> io::Result<()> {
        let length = self.block.len() + usize::try_from(times).unwrap_or(usize::MAX);
        if length > self.block_size {
            return Err(damaged("a block is too long"));
        }
        self.block.resize(length, byte.into());
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += times;
        }
        Ok(())
    }

    /// Undoes the sorting: each byte learns where the next one is.
    fn link(&mut self, origin: u32, mut counts: [u32; 256]) -> io::Result<()> {
        let mut sum = 0;
        for count in &mut counts {
            sum += std::mem::replace(count, sum);
        }
        for at in 0..self.block.len() {
            let byte = self.block.get(at).map_or(0, |entry| entry & 0xff);
            let Some(count) = usize::try_from(byte).ok().and_then(|byte| counts.get_mut(byte))
            else {
                continue;
            };
            let place = usize::try_from(*count).ok();
            *count += 1;
            if let Some(entry) = place.and_then(|place| self.block.get_mut(place)) {
                *entry |= u32::try_from(at).unwrap_or(0) << 8;
            }
        }
        self.left = self.block.len();
        self.at = self.entry(origin)? >> 8;
        Ok(())
    }

    fn entry(&self, at: u32) -> io::Result<u32> {
        let entry = usize::try_from(at).ok().and_then(|at| self.block.get(at));
        entry.copied().ok_or_else(|| damaged("a block leads out of itself"))
    }

    fn next_byte(&mut self) -> io::Result<u8> {
        let entry = self.entry(self.at)?;
        self.at = entry >> 8;
        self.left -= 1;
        Ok(entry.to_le_bytes()[0])
    }

    /// Fills `into` as far as the block goes.
    fn unfold(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        for free in &mut *into {
            if self.run.due == 0 {
                if self.run.length == RUN {
                    if self.left == 0 {
                        return Err(damaged("a run has no length"));
                    }
                    self.run.due = self.next_byte()?;
                    self.run.length = 0;
                    if self.run.due == 0 {
                        // The next byte begins a run of its own.
                        if self.left == 0 {
                            break;
                        }
                        self.run.byte = self.next_byte()?;
                        self.run.length = 1;
                        *free = self.run.byte;
                        filled += 1;
                        continue;
                    }
                } else {
                    if self.left == 0 {
                        break;
                    }
                    let byte = self.next_byte()?;
                    let goes_on = self.run.length > 0 && self.run.byte == byte;
                    self.run.length = if goes_on { self.run.length + 1 } else { 1 };
                    self.run.byte = byte;
                    *free = byte;
                    filled += 1;
                    continue;
                }
            }
            self.run.due -= 1;
            *free = self.run.byte;
            filled += 1;
        }
        self.sum.add(into.get(..filled).unwrap_or_default());
        Ok(filled)
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.sum.value() != self.expected {
            return Err(damaged("the checksum of a block is another"));
        }
        self.all_sums = self.all_sums.rotate_left(1) ^ self.expected;
        self.state = State::Between;
        Ok(())
    }
}

impl<R: BufRead> io::Read for Bzip2Reader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            match self.state {
                State::Start => self.start()?,
                State::Between => self.begin()?,
                State::Ended => return Ok(0),
                State::Block => match self.unfold(into)? {
                    0 => self.end_block()?,
                    filled => return Ok(filled),
                },
            }
        }
    }
}

/// Moves what is at a place to the front, and gives it.
fn to_front(order: &mut [u8], place: u32) -> io::Result<u8> {
    let moved = usize::try_from(place).ok().and_then(|place| order.get_mut(..=place));
    let moved = moved.ok_or_else(|| damaged("a block has no such symbol"))?;
    moved.rotate_right(1);
    Ok(moved.first().copied().unwrap_or_default())
}

/// Codes of symbols: for each length the highest code, and what leads from a code to its symbol.
struct Table {
    shortest: usize,
    highest: [i64; LONGEST_CODE + 2],
    base: [i64; LONGEST_CODE + 2],
    symbols: Vec<u32>,
}

impl Table {
    fn new(lengths: &[usize]) -> Self {
        let shortest = lengths.iter().copied().min().unwrap_or(1);
        let mut table = Self {
            shortest,
            highest: [-1; LONGEST_CODE + 2],
            base: [0; LONGEST_CODE + 2],
            symbols: Vec::with_capacity(lengths.len()),
        };
        let mut code = 0_i64;
        let rows = table.highest.iter_mut().zip(&mut table.base).enumerate();
        for (length, (highest, base)) in rows.take(LONGEST_CODE + 1).skip(shortest) {
            let before = i64::try_from(table.symbols.len()).unwrap_or(0);
            let numbered = (0..).zip(lengths);
            table.symbols.extend(numbered.filter(|(_, own)| **own == length).map(|(it, _)| it));
            let many = i64::try_from(table.symbols.len()).unwrap_or(0) - before;
            *base = code - before;
            *highest = code + many - 1;
            code = (code + many) << 1;
        }
        table
    }

    fn read<R: BufRead>(&self, bits: &mut Bits<R>) -> io::Result<u32> {
        let mut code = 0_i64;
        for _ in 1..self.shortest {
            code = code << 1 | i64::from(bits.bit()?);
        }
        let rows = self.highest.iter().zip(&self.base).take(LONGEST_CODE + 1).skip(self.shortest);
        for (highest, base) in rows {
            code = code << 1 | i64::from(bits.bit()?);
            if code <= *highest {
                let symbol = usize::try_from(code - base).ok().and_then(|at| self.symbols.get(at));
                return symbol.copied().ok_or_else(|| damaged("a code stands for nothing"));
            }
        }
        Err(damaged("a code stands for nothing"))
    }
}

/// The highest bit of each byte first.
struct Bits<R> {
    input: R,
    held: u64,
    count: u32,
}

impl<R: BufRead> Bits<R> {
    /// At most 32.
    fn take(&mut self, wanted: u32) -> io::Result<u32> {
        while self.count < wanted {
            let byte = loop {
                match self.input.fill_buf() {
                    Ok(bytes) => break bytes.first().copied(),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            };
            let byte = byte.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.input.consume(1);
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
        self.count -= wanted;
        let taken = self.held >> self.count & ((1 << wanted) - 1);
        Ok(u32::try_from(taken).unwrap_or(0))
    }

    fn bit(&mut self) -> io::Result<bool> {
        Ok(self.take(1)? != 0)
    }
}

/// The checksum of zip's polynomial, the highest bit first.
struct Sum(u32);

const STEPS: [u32; 256] = steps();

#[expect(clippy::indexing_slicing, reason = "checked when it is compiled")]
const fn steps() -> [u32; 256] {
    let mut steps = [0; 256];
    let mut byte = 0_u32;
    let mut at = 0;
    while at < 256 {
        let mut sum = byte << 24;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 };
            bit += 1;
        }
        steps[at] = sum;
        byte += 1;
        at += 1;
    }
    steps
}

impl Default for Sum {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [first, ..] = self.0.to_be_bytes();
            let step = STEPS.get(usize::from(first ^ byte)).copied().unwrap_or_default();
            self.0 = self.0 << 8 ^ step;
        }
    }

    fn value(&self) -> u32 {
        !self.0
    }
}
