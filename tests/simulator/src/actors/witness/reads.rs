//! Reading files: a range of a container is lent to the file server until its answer, or until the owner takes it back.
//!
//! While it is lent, each sector is what it was, zeros, or what the file has there; nothing else ever. An answer says
//! exactly which bytes are the file's.

use super::lies::from_liar;
use super::{Witness, grant_request, server_rights};
use crate::contents::{Cell, FRAME, SECTOR, SECTORS, ZEROS};
use crate::env::{Counter, Env, ReadCall};
use crate::image::File;
use crate::law;
use containers_api::MemoryError;
use filesystems_api::file::{FileError, ReadDone};
use kernel_protocol::{ErrorCode, Refusal};

/// The file server asks for at least this term, and so does whoever it passes the lock on to.
const LOCK_NS: u64 = 30_000_000_000;

/// A range in the file server's hands.
pub(super) struct Loan {
    call: u64,
    inode: u32,
    offset: u64,
    bytes: u64,
    at: u64,
    began: u64,
    pub deadline: u64,
    /// The owner took it back early.
    pub broken: bool,
    /// How many locks have troubled it: none unless something crashes.
    crashes: u64,
    /// It is in the liar's hands.
    is_liars: bool,
}

impl Loan {
    /// A range that the liar has from now on.
    pub fn to_liar(call: u64, (at, bytes): (u64, u64), now: u64, patience: u64) -> Loan {
        let deadline = now + patience;
        let (inode, offset, began) = (0, 0, now);
        Loan { call, inode, offset, bytes, at, began, deadline, broken: false, crashes: 0, is_liars: true }
    }

    /// Whether a page is part of it.
    pub fn covers(&self, page: u64) -> bool {
        let (first, end) = (self.at / FRAME as u64, (self.at + self.bytes).div_ceil(FRAME as u64));
        page >= first && page < end
    }

    /// Where in the file a place of the container is; the place may lie before the range, within its first page.
    fn file_offset(&self, at: u64) -> Option<u64> {
        (at + self.offset).checked_sub(self.at)
    }
}

impl Witness {
    /// Asks the file server for a piece of a file.
    pub(super) fn read(&mut self, env: &mut Env<'_>, place: usize) {
        let holding = &self.holdings[place];
        if holding.loan.is_some() || holding.sealed {
            return;
        }
        let pages = holding.pages.len() as u64;
        if holding.grant.is_none() && !self.make_grant(env, place, pages) {
            return;
        }
        let Some(grant) = self.holdings[place].grant else { return };
        if let Some(page) =
            self.holdings[place].pages.iter().position(|page| page.iter().any(|it| it.is_hashed()))
        {
            return self.write_page(env, place, page as u64);
        }
        let image = env.image.clone();
        let file = &image.files[env.random.below(image.files.len() as u64) as usize];
        let whole = env.random.below(4) != 0;
        let unit = if whole { FRAME } else { SECTOR } as u64;
        let offset = env.random.below(file.size.div_ceil(unit)) * unit;
        let at = env.random.below(pages * FRAME as u64 / unit) * unit;
        let room = pages * FRAME as u64 - at;
        let bytes = if whole { room } else { SECTOR as u64 * (1 + env.random.below(room / SECTOR as u64)) };
        let call = env.next_call();
        let patience = env.mix.patience_ns;
        let deadline = env.now() + env.random.between(patience / 50 + 1, patience);
        env.record.count(Counter::Reads);
        env.record.note(offset ^ at << 32, || {
            format!("asks for {bytes} bytes of file {} from {offset}, container {place} at {at}", file.inode)
        });
        self.holdings[place].loan = Some(Loan {
            call,
            inode: file.inode,
            offset,
            bytes,
            at,
            began: env.now(),
            deadline,
            broken: false,
            crashes: crashes(env),
            is_liars: false,
        });
        env.to_server.push_back(ReadCall {
            call,
            client: self.index,
            inode: file.inode,
            offset,
            bytes,
            container_offset: at,
            container: grant.badge,
        });
    }

    fn make_grant(&mut self, env: &mut Env<'_>, place: usize, pages: u64) -> bool {
        let rights = server_rights(env.random.below(4) != 0, env.random.below(5) != 0);
        let maximum_lock_ns = env.random.between(1_000_000, 60_000_000_000);
        let request = grant_request(0, pages, rights, maximum_lock_ns);
        match env.world.ask_badge(self.holdings[place].badge, &request, &[]) {
            Ok(badge) => {
                self.holdings[place].grant = Some(super::Grant { badge, maximum_lock_ns });
                true
            }
            Err(refused) => {
                self.require_scarce(env, refused, 1);
                false
            }
        }
    }

    /// Looks for the answer. True: that was the step.
    pub(super) fn take_answer(&mut self, env: &mut Env<'_>, place: usize) -> bool {
        let Some(loan) = &self.holdings[place].loan else { return false };
        let (call, deadline) = (loan.call, loan.deadline);
        if loan.is_liars {
            return self.take_back_from_liar(env, place, call);
        }
        match env.take_mail(self.index, call).map(|answer| answer.result) {
            Some(Some(Ok(done))) => self.accept(env, place, done),
            Some(Some(Err(refusal))) => {
                env.record.count(Counter::ReadsFailed);
                env.record.note(u64::from(refusal.error.code()), || format!("is refused: {}", refusal.error));
                self.judge(env, place, refusal);
                self.settle(env, place);
            }
            // The server is dead, or slow: nothing is certain before it has no way to the range any more.
            Some(None) => {
                env.record.note(0, || String::from("hears that the file server has ended"));
                self.revoke(env, place);
            }
            None if env.now() > deadline => {
                env.record.count(Counter::Calls);
                env.record.note(0, || String::from("gives its call up"));
                self.revoke(env, place);
            }
            None => return false,
        }
        true
    }

    /// The answer says how much is valid.
    fn accept(&mut self, env: &mut Env<'_>, place: usize, done: ReadDone) {
        env.record.count(Counter::ReadsDone);
        env.record.add(Counter::ReadBytes, done.bytes);
        env.record.note(done.bytes, || format!("gets {} bytes (error {})", done.bytes, done.error));
        let Some(loan) = &self.holdings[place].loan else { return };
        let image = env.image.clone();
        let file = image.file(loan.inode);
        let available = loan.bytes.min(file.size.saturating_sub(loan.offset));
        law!("reads", done.bytes <= available, "{} bytes of {available} were read", done.bytes);
        let whole = done.error != 0 || done.bytes == available;
        law!("reads", whole, "{} of {available} bytes, and no error", done.bytes);
        let (at, offset, end) = (loan.at, loan.offset, loan.at + done.bytes);
        if !loan.broken {
            self.require_read(env, place, (at, end), offset, file);
        }
        self.settle(env, place);
    }

    /// Every byte that the server says is valid is the file's.
    fn require_read(&self, env: &mut Env<'_>, place: usize, (at, end): (u64, u64), offset: u64, file: &File) {
        let mut expected = [0; SECTOR];
        for sector in (at..end).step_by(SECTOR) {
            let cell = file.sector(offset + (sector - at));
            if cell == Cell::ZERO {
                expected.fill(0);
            } else {
                cell.put(&mut expected);
            }
            let valid = (end - sector).min(SECTOR as u64) as usize;
            let found = crate::laws::frame_of(&env.world, self.holdings[place].badge, sector / FRAME as u64);
            let within = (sector % FRAME as u64) as usize;
            let is_read = match found {
                Some(frame) => env.world.frame(frame)[within..within + valid] == expected[..valid],
                None => expected[..valid].iter().all(|&byte| byte == 0),
            };
            law!("reads", is_read, "byte {sector} of container {place} is not the file's ({cell:?})");
        }
    }

    /// A refusal must have a reason: trouble that happens in this scenario, or the owner's own doing.
    fn judge(&self, env: &mut Env<'_>, place: usize, refusal: Refusal<FileError>) {
        let Some(loan) = &self.holdings[place].loan else { return };
        let Some(grant) = self.holdings[place].grant else { return };
        let gone = [MemoryError::LockGone.code(), MemoryError::Stale.code()].map(u64::from);
        if refusal.error == FileError::Container && gone.contains(&refusal.detail) && !loan.broken {
            let (elapsed, term) = (env.now() - loan.began, grant.maximum_lock_ns.min(LOCK_NS));
            let early = elapsed < term && loan.crashes == crashes(env);
            law!("lock-terms", !early, "the lock was gone after {elapsed} ns of {term}");
        }
        law!("reads", refusal.error != FileError::Stale, "the file is said to be gone");
        law!("reads", refusal.error != FileError::Damaged, "the volume is said to be damaged");
    }

    /// The range is the owner's again: takes what is in it now into the model, if each sector may be that.
    pub(super) fn settle(&mut self, env: &mut Env<'_>, place: usize) {
        let Some(loan) = self.holdings[place].loan.take() else { return };
        let pages = self.holdings[place].pages.len() as u64;
        for page in (0..pages).filter(|&page| loan.covers(page)) {
            let found = crate::laws::frame_of(&env.world, self.holdings[place].badge, page);
            let mut settled = ZEROS;
            if let Some(frame) = found {
                for (sector, cell) in settled.iter_mut().enumerate() {
                    *cell = self.identify(env, place, &loan, (page, sector), frame);
                }
            }
            self.holdings[place].pages[page as usize] = settled;
        }
    }

    /// A thread sees a page that is lent.
    pub(super) fn look_at_lent(&mut self, env: &mut Env<'_>, place: usize, page: u64, frame: u32) {
        let Some(loan) = self.holdings[place].loan.take() else { return };
        for sector in 0..SECTORS {
            self.identify(env, place, &loan, (page, sector), frame);
        }
        self.holdings[place].loan = Some(loan);
    }

    /// What a sector of a range that is or was lent holds.
    fn identify(
        &self,
        env: &mut Env<'_>,
        place: usize,
        loan: &Loan,
        (page, sector): (u64, usize),
        frame: u32,
    ) -> Cell {
        let old = self.holdings[place].pages[page as usize][sector];
        if loan.is_liars {
            let bytes = &env.world.frame(frame)[sector * SECTOR..(sector + 1) * SECTOR];
            return from_liar(old, bytes).unwrap_or_else(|| {
                let what = crate::contents::describe(bytes);
                let text = format!("witness {}: page {page}, sector {sector}, lent: {what}", self.index);
                crate::violation::broken("contents", text)
            });
        }
        let image = env.image.clone();
        let file = image.file(loan.inode);
        let at = page * FRAME as u64 + (sector * SECTOR) as u64;
        let from_file = loan.file_offset(at);
        let candidates = [
            Cell::ZERO,
            old,
            from_file.map_or(Cell::ZERO, |offset| file.sector(offset)),
            from_file.map_or(Cell::ZERO, |offset| file.whole_sector(offset)),
        ];
        let bytes = &env.world.frame(frame)[sector * SECTOR..(sector + 1) * SECTOR];
        match candidates.iter().find(|cell| cell.is(bytes)) {
            Some(&cell) => cell,
            None if from_file.is_some_and(|offset| is_end_over(file, offset, old, bytes)) => {
                Cell::hashed(bytes)
            }
            None => crate::violation::broken(
                "contents",
                format!(
                    "witness {}: page {page}, sector {sector}, lent for file {} from {}: {}",
                    self.index,
                    loan.inode,
                    loan.offset,
                    crate::contents::describe(bytes)
                ),
            ),
        }
    }
}

/// Whether bytes are the end of a file, in the middle of a sector, and behind it what was there before.
fn is_end_over(file: &File, offset: u64, old: Cell, bytes: &[u8]) -> bool {
    let left = file.size.saturating_sub(offset).min(SECTOR as u64) as usize;
    old.under(file.whole_sector(offset), left) == bytes
}

/// Crashes so far: a server or driver that died may have left a lock to its end.
fn crashes(env: &Env<'_>) -> u64 {
    env.record.counts[Counter::ServerCrashes as usize] + env.record.counts[Counter::DriverCrashes as usize]
}
