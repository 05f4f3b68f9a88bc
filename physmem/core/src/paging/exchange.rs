//! What the pager is told, what it answers, and what happens when it does not.

use super::{Number, NumberState, Progress};
use crate::machine::Physmem;
use crate::pmap::{Pmap, RecordMemory};
use containers_api::pager::{
    Batch, Header, Kind, OPERATIONS, Operation as OperationNumber, PAGE_IN_OPERATIONS, PAGE_OUT_OPERATIONS,
    PAGER_TERM_NS, Requests, page_in_result, page_out_result,
};

/// The operation that gives names back.
const FREE: usize = PAGE_OUT_OPERATIONS + PAGE_IN_OPERATIONS;
/// The order in which the pager is told: somebody waits for what comes in.
const TELLING: [core::ops::Range<usize>; 2] = [PAGE_OUT_OPERATIONS..FREE, 0..PAGE_OUT_OPERATIONS];

/// What an operation is for.
pub(crate) fn kind(index: usize) -> Kind {
    OperationNumber(index as u8).kind().expect("an operation of ours has a kind")
}

impl<P: Pmap, M: RecordMemory> Physmem<'_, P, M> {
    /// The pager is to be told of an operation.
    pub(crate) fn post(&mut self, index: usize) {
        let deadline = self.now.saturating_add(PAGER_TERM_NS);
        let operation = &mut self.place_mut().operations[index];
        operation.progress = Progress::Posted;
        operation.sequence = operation.sequence.checked_add(1).unwrap_or(1);
        operation.deadline = deadline;
        self.signal_pager();
    }

    pub(super) fn signal_pager(&mut self) {
        let place = self.place_mut();
        if let (Some(notification), false) = (place.notification, place.is_signalled) {
            place.is_signalled = true;
            self.pmap.signal(notification);
        }
    }

    /// Whether names are on their way back, so that no more can be added.
    pub(crate) fn is_giving_back(&self) -> bool {
        self.place().operations[FREE].progress != Progress::Idle
    }

    /// Takes answers, and says what is wanted.
    pub(crate) fn exchange(&mut self, answers: &Batch) -> Requests {
        for (header, words) in answers.answers() {
            self.answered_by_pager(header, words);
        }
        self.begin_missed_anew();
        let mut requests = Batch::default();
        let mut more = false;
        for index in TELLING.into_iter().flatten() {
            if self.place().operations[index].progress == Progress::Posted {
                more |= !self.tell(index, &mut requests);
            }
        }
        more |= !self.tell_names(&mut requests);
        // Who has to ask again need not be signalled again.
        self.place_mut().is_signalled = more;
        Requests { more, ignored: self.paging.counters.ignored, requests }
    }

    fn header(&self, index: usize) -> Header {
        let operation = &self.place().operations[index];
        Header {
            operation: OperationNumber(index as u8),
            count: operation.count,
            sequence: operation.sequence,
        }
    }

    /// Tells of an operation; false: there was no room.
    fn tell(&mut self, index: usize, requests: &mut Batch) -> bool {
        let header = self.header(index);
        if !requests.has_room(header.request_words()) {
            return false;
        }
        let fits = match kind(index) {
            Kind::PageOut => requests.add(header, self.place().operations[index].words.into_iter()),
            Kind::PageIn => {
                let (first, _) = header.operation.window();
                let names = |page: usize| self.window_page(first + page).1;
                requests.add(header, (0..usize::from(header.count)).map(names))
            }
            Kind::Free => {
                requests.add(header, (0..usize::from(header.count)).map(|index| self.name_given_back(index)))
            }
        };
        if fits {
            self.place_mut().operations[index].progress = Progress::Told;
        }
        fits
    }

    /// Tells of names that are given back, when there are some.
    fn tell_names(&mut self, requests: &mut Batch) -> bool {
        if self.place().operations[FREE].progress == Progress::Idle {
            self.sweep();
            let names = self.place().free_names;
            if names == 0 {
                return true;
            }
            let operation = &mut self.place_mut().operations[FREE];
            operation.count = names as u8;
            operation.progress = Progress::Posted;
            operation.sequence = operation.sequence.checked_add(1).unwrap_or(1);
        }
        self.place().operations[FREE].progress != Progress::Posted || self.tell(FREE, requests)
    }

    /// Takes an answer, if it is awaited.
    fn answered_by_pager(&mut self, header: Header, words: &[u64]) {
        let index = usize::from(header.operation.0);
        let operation = self.place().operations[index];
        let is_told = matches!(operation.progress, Progress::Told | Progress::Expired);
        if !is_told || operation.sequence != header.sequence || operation.count != header.count {
            self.paging.counters.ignored += 1;
            return;
        }
        let (first, _) = header.operation.window();
        match header.operation.kind() {
            Some(Kind::PageOut) if operation.progress == Progress::Expired => self.too_late(words),
            Some(Kind::PageOut) => {
                words.iter().zip(first..).for_each(|(&word, page)| self.went_out(page, word));
            }
            Some(Kind::PageIn) => {
                self.unmap_operation(index);
                words.iter().zip(first..).for_each(|(&word, page)| self.came_in(page, word));
            }
            Some(Kind::Free) | None => self.place_mut().free_names = 0,
        }
        self.place_mut().operations[index].progress = Progress::Idle;
        self.paging.seizure_waits = false;
        if header.operation.kind() == Some(Kind::PageIn) {
            self.put_in_place(operation.waited_for);
            self.place_mut().operations[index].waited_for = (0, 0);
            self.wake_waiting_for(operation.waited_for);
        }
        let window = self.place().window;
        self.resume_waiters(window);
    }

    /// The pager has taken a page, or has not.
    fn went_out(&mut self, page: usize, word: u64) {
        let (number, _) = self.window_page(page);
        match page_out_result(word) {
            Ok(name) => self.set_window_page(page, number, name),
            Err(_) => self.lose_window_page(page),
        }
    }

    /// Pages that were given up are of no use: their names go back where there is room. What does not fit in is the pager's until it begins anew.
    fn too_late(&mut self, words: &[u64]) {
        for &word in words {
            if let Ok(name) = page_out_result(word) {
                self.give_back(name);
            }
        }
    }

    /// The pager has brought a page, or cannot.
    fn came_in(&mut self, page: usize, word: u64) {
        let (number, _) = self.window_page(page);
        if number == 0 {
            return;
        }
        if page_in_result(word).is_err() {
            return self.lose_window_page(page);
        }
        let frame = self.window_frame(page);
        self.set_window_frame(page, frame, true);
        self.remember_number(frame, number);
        self.paging.counters.paged_in += 1;
    }

    /// Requests that have no answer by now are expired.
    pub(crate) fn expire_requests(&mut self) {
        if self.next_pager_deadline().is_none_or(|deadline| deadline > self.now) {
            return;
        }
        for index in 0..OPERATIONS {
            let operation = self.place().operations[index];
            let is_due = matches!(operation.progress, Progress::Posted | Progress::Told)
                && operation.deadline <= self.now
                && kind(index) != Kind::Free;
            if !is_due {
                continue;
            }
            self.paging.counters.expired += 1;
            let was_told = operation.progress == Progress::Told;
            let progress = if was_told { Progress::Expired } else { Progress::Missed };
            self.place_mut().operations[index].progress = progress;
            if kind(index) == Kind::PageOut {
                let (first, _) = OperationNumber(index as u8).window();
                (first..first + usize::from(operation.count)).for_each(|page| self.lose_window_page(page));
            } else {
                self.wake_waiting_for(operation.waited_for);
            }
        }
        self.paging.seizure_waits = false;
        let window = self.place().window;
        self.resume_waiters(window);
    }

    /// When a request expires next.
    pub(crate) fn next_pager_deadline(&self) -> Option<u64> {
        let place = self.paging.place.as_ref()?;
        let waits = |here: &&super::Operation| matches!(here.progress, Progress::Posted | Progress::Told);
        place.operations[..FREE].iter().filter(waits).map(|here| here.deadline).min()
    }

    /// Another pager has come: it is told all that has no answer. What had expired is nobody's work any more.
    pub(crate) fn tell_all_again(&mut self) {
        for index in 0..OPERATIONS {
            let operation = self.place().operations[index];
            match operation.progress {
                Progress::Told => self.place_mut().operations[index].progress = Progress::Posted,
                Progress::Expired | Progress::Missed => self.begin_anew(index, operation.count),
                _ => {}
            }
        }
        self.paging.seizure_waits = false;
        let window = self.place().window;
        self.resume_waiters(window);
        self.signal_pager();
    }

    /// The pager asks again after it has missed requests: nobody works on those.
    fn begin_missed_anew(&mut self) {
        for index in 0..OPERATIONS {
            let operation = self.place().operations[index];
            if operation.progress == Progress::Missed {
                self.begin_anew(index, operation.count);
            }
        }
    }

    /// Nobody works on an expired operation any more. What was to come in can be asked for again.
    fn begin_anew(&mut self, index: usize, count: u8) {
        let (first, _) = OperationNumber(index as u8).window();
        self.unmap_operation(index);
        if kind(index) == Kind::PageIn {
            for page in first..first + usize::from(count) {
                let (number, name) = self.window_page(page);
                if number != 0 {
                    let is = self.number(number);
                    self.set_number(number, Number { state: NumberState::Kept { name }, ..is });
                    self.set_window_page(page, 0, 0);
                    self.settle_number(number);
                }
            }
        }
        let operation = &mut self.place_mut().operations[index];
        (operation.progress, operation.waited_for) = (Progress::Idle, (0, 0));
    }
}
