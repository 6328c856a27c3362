//! The bytes of one simulated file: on the medium, in the cache, and after a power cut.

use std::sync::Arc;

use super::random::Random;

const PAGE: usize = 4096;
const SECTOR: usize = 512;

type Page = Arc<[u8; PAGE]>;

/// Sparse bytes, cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    len: u64,
    /// `None` is a page of zeros; so is every page past the end of the list.
    pages: Vec<Option<Page>>,
}

/// Something done to a file and not flushed yet.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    Len(u64),
}

/// A file: what the medium holds, what the cache shows, and the changes that make the difference.
#[derive(Debug, Clone, Default)]
pub(super) struct FileBytes {
    durable: Content,
    current: Content,
    pending: Vec<Change>,
    /// A failed flush lost changes that `current` still shows.
    diverged: bool,
    /// A write that the power cut tears may ruin all of a page that it touches.
    ruins_pages: bool,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of all pages that were written to.
    pub(super) fn used(&self) -> u64 {
        self.pages.iter().flatten().count() as u64 * PAGE as u64
    }

    /// Bytes that writing there takes more, at most.
    pub(super) fn grows_by(&self, offset: u64, len: usize) -> u64 {
        let first = usize::try_from(offset).unwrap_or(usize::MAX) / PAGE;
        let end = usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(len).div_ceil(PAGE);
        let missing = (first..end).filter(|page| !matches!(self.pages.get(*page), Some(Some(_))));
        missing.count() as u64 * PAGE as u64
    }

    /// Copies bytes out; returns how many there were.
    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> usize {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = out.len().min(left);
        let Some(out) = out.get_mut(..wanted) else { return 0 };
        let mut at = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut rest = out;
        while !rest.is_empty() {
            let within = at % PAGE;
            let step = rest.len().min(PAGE - within);
            let (now, later) = rest.split_at_mut(step);
            match self.pages.get(at / PAGE).and_then(|page| page.as_deref()) {
                Some(page) => {
                    if let Some(bytes) = page.get(within..within + step) {
                        now.copy_from_slice(bytes);
                    }
                }
                None => now.fill(0),
            }
            at += step;
            rest = later;
        }
        wanted
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut at = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut rest = bytes;
        while !rest.is_empty() {
            let within = at % PAGE;
            let step = rest.len().min(PAGE - within);
            let (now, later) = rest.split_at(step);
            let number = at / PAGE;
            if self.pages.len() <= number {
                self.pages.resize(number + 1, None);
            }
            if let Some(slot) = self.pages.get_mut(number) {
                let page = Arc::make_mut(slot.get_or_insert_with(|| Arc::new([0; PAGE])));
                if let Some(into) = page.get_mut(within..within + step) {
                    into.copy_from_slice(now);
                }
            }
            at += step;
            rest = later;
        }
        self.len = self.len.max(offset.saturating_add(bytes.len() as u64));
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            let end = usize::try_from(len).unwrap_or(usize::MAX);
            self.pages.truncate(end.div_ceil(PAGE));
            // What a file grows by later has to read as zeros.
            if let Some(Some(page)) = self.pages.get_mut(end / PAGE)
                && let Some(cut) = Arc::make_mut(page).get_mut(end % PAGE..)
            {
                cut.fill(0);
            }
        }
        self.len = len;
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { offset, bytes } => self.write(*offset, bytes),
            Change::Len(len) => self.set_len(*len),
        }
    }

    /// Applies those 512-byte sectors of a write that `keep` says.
    fn apply_sectors(&mut self, change: &Change, mut keep: impl FnMut(u64) -> Sector) {
        let Change::Write { offset, bytes } = change else {
            self.apply(change);
            return;
        };
        let mut at = *offset;
        let mut rest: &[u8] = bytes;
        while !rest.is_empty() {
            let within = usize::try_from(at % SECTOR as u64).unwrap_or(0);
            let (now, later) = rest.split_at(rest.len().min(SECTOR - within));
            match keep(at) {
                Sector::Kept => self.write(at, now),
                Sector::Lost => {}
                Sector::Other(mut bytes) => {
                    bytes.truncate(now.len());
                    self.write(at, &bytes);
                }
            }
            at += now.len() as u64;
            rest = later;
        }
    }
}

/// What became of one sector of a write.
enum Sector {
    Kept,
    Lost,
    /// The block was given to the file but never written: it shows what lay there before.
    Other(Vec<u8>),
}

impl FileBytes {
    pub(super) fn current(&self) -> &Content {
        &self.current
    }

    pub(super) fn change(&mut self, change: Change) {
        self.current.apply(&change);
        self.pending.push(change);
    }

    /// Flushes.
    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            self.durable.apply(&change);
        }
    }

    /// A flush that fails: the cache counts as clean from here on, whatever reached the medium.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        self.durable = self.after_power_cut(random);
        self.pending.clear();
        self.diverged = true;
    }

    /// Of a file that a torn write may ruin whole pages of.
    pub(super) fn ruining() -> Self {
        Self { ruins_pages: true, ..Self::default() }
    }

    /// Drops what the cache shows beside the medium; what waits to be flushed stays.
    pub(super) fn forget(&mut self) {
        self.current = self.durable.clone();
        for change in &self.pending {
            self.current.apply(change);
        }
        self.diverged = false;
    }

    /// True if a power cut changes nothing.
    pub(super) fn is_clean(&self) -> bool {
        self.pending.is_empty() && !self.diverged
    }

    /// The same file after the power was cut.
    pub(super) fn rebooted(&self, random: &mut Random) -> Self {
        let found = self.after_power_cut(random);
        let ruins_pages = self.ruins_pages;
        Self { durable: found.clone(), current: found, ruins_pages, ..Self::default() }
    }

    /// Changes bytes behind everyone's back.
    pub(super) fn corrupt(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        self.sync();
        let mut bytes = vec![0; usize::try_from(self.durable.len()).unwrap_or(0)];
        self.durable.read(0, &mut bytes);
        change(&mut bytes);
        let mut rotten = Content::default();
        rotten.write(0, &bytes);
        rotten.set_len(bytes.len() as u64);
        self.current = rotten.clone();
        self.durable = rotten;
    }

    fn after_power_cut(&self, random: &mut Random) -> Content {
        let mut found = self.durable.clone();
        if self.pending.is_empty() {
            return found;
        }
        if self.ruins_pages && random.below(3) == 0 {
            self.ruin_pages(&mut found, random);
            return found;
        }
        match random.below(7) {
            0 => {}
            1 => self.pending.iter().for_each(|change| found.apply(change)),
            2 => self.keep_beginning(&mut found, random),
            3 => {
                for change in self.pending.iter().filter(|_| random.coin()) {
                    found.apply(change);
                }
            }
            4 => self.lose_one(&mut found, random),
            5 => {
                for change in &self.pending {
                    found.apply_sectors(change, |_| {
                        if random.coin() { Sector::Kept } else { Sector::Lost }
                    });
                }
            }
            _ => self.leave_garbage(&mut found, random),
        }
        found
    }

    /// Of each page that was written to, the medium has what was there before, what was written, or
    /// neither; but writing what was there anyway harms nothing.
    fn ruin_pages(&self, found: &mut Content, random: &mut Random) {
        for change in &self.pending {
            let Change::Write { offset, bytes } = change else {
                found.apply(change);
                continue;
            };
            let page = PAGE as u64;
            let end = offset.saturating_add(bytes.len() as u64);
            let mut at = offset - offset % page;
            while at < end {
                let from = at.max(*offset);
                let first = usize::try_from(from - offset).unwrap_or(0);
                let last = usize::try_from((at + page).min(end) - offset).unwrap_or(0);
                let bytes = bytes.get(first..last).unwrap_or_default();
                let mut there = vec![0; bytes.len()];
                let known = found.read(from, &mut there);
                match random.below(3) {
                    0 => {}
                    _ if known == bytes.len() && there == bytes => {}
                    1 => found.write(from, bytes),
                    _ => {
                        let mut noise = [0; PAGE];
                        random.fill(&mut noise);
                        found.write(at, &noise);
                    }
                }
                at += page;
            }
        }
    }

    /// Changes reached the medium in order, up to the middle of one.
    fn keep_beginning(&self, found: &mut Content, random: &mut Random) {
        let whole = random.index(self.pending.len());
        for change in self.pending.iter().take(whole) {
            found.apply(change);
        }
        if let Some(Change::Write { offset, bytes }) = self.pending.get(whole) {
            let sectors = random.index(bytes.len() / SECTOR + 1);
            let torn = bytes.get(..(sectors * SECTOR).min(bytes.len())).unwrap_or_default();
            if !torn.is_empty() {
                found.write(*offset, torn);
            }
        }
    }

    /// All but one change reached the medium, which is what one forgotten flush looks like.
    fn lose_one(&self, found: &mut Content, random: &mut Random) {
        let lost = random.index(self.pending.len());
        for (number, change) in self.pending.iter().enumerate() {
            if number != lost {
                found.apply(change);
            }
        }
    }

    /// The length reached the medium before the bytes did.
    fn leave_garbage(&self, found: &mut Content, random: &mut Random) {
        let old_end = self.durable.len();
        for change in &self.pending {
            found.apply_sectors(change, |at| match random.below(3) {
                0 => Sector::Kept,
                1 if at >= old_end => {
                    let mut bytes = vec![0; SECTOR];
                    if random.coin() {
                        random.fill(&mut bytes);
                    }
                    Sector::Other(bytes)
                }
                _ => Sector::Lost,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(content: &Content) -> Vec<u8> {
        let mut out = vec![0xee; usize::try_from(content.len()).unwrap()];
        assert_eq!(content.read(0, &mut out), out.len());
        out
    }

    #[derive(Debug, Clone)]
    enum Step {
        Write(usize, Vec<u8>),
        Len(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_usize..20_000, proptest::collection::vec(any::<u8>(), 1..9_000))
                .prop_map(|(at, bytes)| Step::Write(at, bytes)),
            (0_usize..20_000).prop_map(Step::Len),
        ]
    }

    proptest! {
        #[test]
        fn sparse_pages_hold_what_a_plain_vector_holds(
            steps in proptest::collection::vec(step(), 0..12)
        ) {
            let (mut content, mut model) = (Content::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Write(at, bytes) => {
                        content.write(at as u64, &bytes);
                        model.resize(model.len().max(at + bytes.len()), 0);
                        model[at..at + bytes.len()].copy_from_slice(&bytes);
                    }
                    Step::Len(len) => {
                        content.set_len(len as u64);
                        model.resize(len, 0);
                    }
                }
                prop_assert_eq!(&all(&content), &model);
            }
        }
    }

    fn written(bytes: &[u8]) -> FileBytes {
        let mut file = FileBytes::default();
        file.change(Change::Write { offset: 0, bytes: bytes.into() });
        file
    }

    #[test]
    fn flushed_bytes_survive_every_power_cut() {
        let mut file = written(&[7; 10_000]);
        file.sync();
        for seed in 0..200 {
            assert_eq!(all(file.rebooted(&mut Random::new(seed)).current()), [7; 10_000]);
        }
    }

    #[test]
    fn bytes_that_were_not_flushed_may_be_whole_missing_short_or_other() {
        let file = written(&[7; 10_000]);
        let (mut whole, mut missing, mut short, mut other) = (0, 0, 0, 0);
        for seed in 0..200 {
            let found = all(file.rebooted(&mut Random::new(seed)).current());
            match found.len() {
                10_000 if found == [7; 10_000] => whole += 1,
                10_000 => other += 1,
                0 => missing += 1,
                _ => short += 1,
            }
        }
        assert!(whole > 5 && missing > 5 && short > 5 && other > 5);
    }

    #[test]
    fn overwriting_flushed_bytes_leaves_in_each_sector_the_old_or_the_new() {
        let mut file = written(&[1; 4096]);
        file.sync();
        file.change(Change::Write { offset: 0, bytes: vec![2; 4096].into() });
        let mut torn = 0;
        for seed in 0..200 {
            let found = all(file.rebooted(&mut Random::new(seed)).current());
            assert!(found.chunks(SECTOR).all(|sector| sector == [1; 512] || sector == [2; 512]));
            torn += usize::from(found.iter().any(|byte| *byte != found[0]));
        }
        assert!(torn > 10);
    }

    #[test]
    fn a_later_flush_does_not_bring_back_what_a_failed_one_lost() {
        let mut lost = 0;
        for seed in 0..200 {
            let mut file = written(&[7; 1000]);
            file.fail_sync(&mut Random::new(seed));
            file.sync();
            assert_eq!(all(file.current()), [7; 1000]);
            lost += usize::from(all(file.rebooted(&mut Random::new(seed)).current()) != [7; 1000]);
        }
        assert!(lost > 20);
    }
}
