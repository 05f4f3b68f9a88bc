//! Records: typed groups of words that lie in frames charged to the contract that caused them.
//!
//! A record is named by [`Name`]: frame, slot and a generation that is never used twice for that slot, so
//! that a name kept too long is found out. Fields are read and written one at a time through [`Records`],
//! never as a copied whole, so two users of a record cannot overwrite each other's changes. The first word of a
//! record is its header: kind and generation.
//!
//! Names that come from outside are checked by [`Records::resolve`]. Inside, a stale name is a broken
//! invariant of ours, and panics.

use containers_api::MemoryError;
use core::fmt;
use core::marker::PhantomData;

/// Words in a frame.
pub const FRAME_WORDS: usize = 512;

/// A frame full of records.
pub type RecordFrame = [u64; FRAME_WORDS];

/// Bits of a frame number in a name.
pub const FRAME_BITS: u32 = 25;
/// Bits of a slot number in a name; a slot is [`UNIT_WORDS`] long.
pub const SLOT_BITS: u32 = 5;
/// Bits of a generation in a name.
pub const GENERATION_BITS: u32 = 23;
/// Last generation: a slot that reaches it is retired.
pub const GENERATION_MAX: u32 = (1 << GENERATION_BITS) - 1;
/// Bits that a name needs.
pub const NAME_BITS: u32 = FRAME_BITS + SLOT_BITS + GENERATION_BITS;
/// Words of the smallest record, and the unit in which slots are counted.
pub const UNIT_WORDS: usize = 16;

/// How large a record is. Records of one contract and one size share frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// 16 words.
    Small = 0,
    /// 32 words.
    Large = 1,
    /// A node of a page array: 64 words, all of them entries, no header.
    Node = 2,
    /// 128 words.
    Huge = 3,
}

impl Size {
    /// All of them.
    pub const ALL: [Size; 4] = [Size::Small, Size::Large, Size::Node, Size::Huge];

    /// Slot units of a record.
    pub const fn units(self) -> u32 {
        match self {
            Size::Small => 1,
            Size::Large => 2,
            Size::Node => 4,
            Size::Huge => 8,
        }
    }

    /// Words of a record.
    pub const fn words(self) -> usize {
        self.units() as usize * UNIT_WORDS
    }

    /// Records in a frame.
    pub const fn per_frame(self) -> u32 {
        FRAME_WORDS as u32 / UNIT_WORDS as u32 / self.units()
    }
}

/// A kind of record.
pub trait Record: Sized + 'static {
    /// Tells it from the other kinds; never 0.
    const KIND: u8;
    /// Its size.
    const SIZE: Size;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $kind:literal, $size:ident;)*) => { $(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl Record for $name {
            const KIND: u8 = $kind;
            const SIZE: Size = Size::$size;
        }
    )* };
}

kinds! {
    /// Who pays. Its fields are physmem's affair.
    Contract = 1, Huge;
    /// See [`crate::layout::container`].
    Container = 2, Large;
    /// See [`crate::layout::grant`].
    Grant = 3, Small;
    /// See [`crate::layout::lock`].
    Lock = 4, Small;
    /// Frames that a device may be writing, and who answers for them. See [`crate::layout::hold`].
    Hold = 5, Small;
    /// An address space. Its fields are physmem's affair.
    Space = 6, Large;
    /// A range of a container in an address space. Its fields are physmem's affair.
    Mapping = 7, Small;
    /// A caller that is answered later. Its fields are physmem's affair.
    Waiter = 8, Small;
}

/// Names a record of kind `R`.
pub struct Name<R> {
    word: u64,
    kind: PhantomData<fn() -> R>,
}

impl<R> Name<R> {
    /// The name of a slot at a generation, which is never 0.
    pub const fn new(frame: u32, slot: u32, generation: u32) -> Name<R> {
        let word = (frame as u64) << (SLOT_BITS + GENERATION_BITS)
            | (slot as u64) << GENERATION_BITS
            | generation as u64;
        Name { word, kind: PhantomData }
    }

    /// A word that claims to be a name; [`Records::resolve`] finds out whether it is one.
    pub const fn claimed(word: u64) -> Name<R> {
        Name { word, kind: PhantomData }
    }

    /// As a word, of which the upper bits are zero.
    pub const fn word(self) -> u64 {
        self.word
    }

    /// The frame.
    pub const fn frame(self) -> u32 {
        (self.word >> (SLOT_BITS + GENERATION_BITS)) as u32
    }

    /// The slot, in units.
    pub const fn slot(self) -> u32 {
        (self.word >> GENERATION_BITS) as u32 & ((1 << SLOT_BITS) - 1)
    }

    /// The generation.
    pub const fn generation(self) -> u32 {
        self.word as u32 & GENERATION_MAX
    }

    /// Index of the record's first word in its frame.
    pub const fn offset(self) -> usize {
        self.slot() as usize * UNIT_WORDS
    }
}

impl<R> Clone for Name<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Name<R> {}

impl<R> PartialEq for Name<R> {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl<R> Eq for Name<R> {}

impl<R> fmt::Debug for Name<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.frame(), self.slot(), self.generation())
    }
}

/// A value that is kept in one word of a record.
pub trait Word: Copy {
    /// As a word.
    fn to_word(self) -> u64;
    /// From a word that was written by [`Word::to_word`].
    fn from_word(word: u64) -> Self;
}

macro_rules! number_words {
    ($($type:ty),*) => { $(
        impl Word for $type {
            fn to_word(self) -> u64 {
                u64::from(self)
            }

            fn from_word(word: u64) -> Self {
                word as $type
            }
        }
    )* };
}

number_words!(u8, u16, u32, u64);

impl Word for bool {
    fn to_word(self) -> u64 {
        u64::from(self)
    }

    fn from_word(word: u64) -> Self {
        word != 0
    }
}

impl<R> Word for Name<R> {
    fn to_word(self) -> u64 {
        self.word
    }

    fn from_word(word: u64) -> Self {
        Name::claimed(word)
    }
}

impl<R> Word for Option<Name<R>> {
    fn to_word(self) -> u64 {
        self.map_or(0, Name::word)
    }

    fn from_word(word: u64) -> Self {
        (word != 0).then_some(Name::claimed(word))
    }
}

impl Word for containers_api::LockMode {
    fn to_word(self) -> u64 {
        self as u64
    }

    fn from_word(word: u64) -> Self {
        containers_api::LockMode::from_number(word).expect("a lock's record holds a mode")
    }
}

impl Word for containers_api::ContainerRights {
    fn to_word(self) -> u64 {
        u64::from(self.bits())
    }

    fn from_word(word: u64) -> Self {
        containers_api::ContainerRights::from_bits_retain(word as u16)
    }
}

/// A field of records of kind `R`, holding a `T`.
pub struct Field<R, T> {
    offset: usize,
    kind: PhantomData<fn() -> (R, T)>,
}

impl<R: Record, T> Field<R, T> {
    /// The field at a word of the record.
    pub const fn at(offset: usize) -> Field<R, T> {
        assert!(offset > 0 && offset < R::SIZE.words());
        Field { offset, kind: PhantomData }
    }
}

impl<R, T> Clone for Field<R, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, T> Copy for Field<R, T> {}

/// A record that has been found to live, for reading several fields.
pub struct View<'a, R> {
    words: &'a [u64],
    kind: PhantomData<fn() -> R>,
}

impl<R: Record> View<'_, R> {
    /// Reads a field.
    #[inline(always)]
    pub fn get<T: Word>(&self, field: Field<R, T>) -> T {
        T::from_word(self.words[field.offset])
    }
}

/// Declares the fields of a kind of record as constants, in order from the second word on.
#[macro_export]
macro_rules! record_fields {
    ($record:ty { $($(#[$doc:meta])* $field:ident : $type:ty),* $(,)? }) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Offset { HEADER_, $($field,)* }
        const _: usize = Offset::HEADER_ as usize;
        $($(#[$doc])* pub const $field: $crate::record::Field<$record, $type> =
            $crate::record::Field::at(Offset::$field as usize);)*
    };
}

/// Header of a live record.
pub const fn header(kind: u8, generation: u32) -> u64 {
    kind as u64 | (generation as u64) << 8
}

/// Where records are kept.
pub trait Records {
    /// The words of a record frame.
    fn words(&self, frame: u32) -> &RecordFrame;
    /// The same, to be changed.
    fn words_mut(&mut self, frame: u32) -> &mut RecordFrame;
    /// Whether a frame holds records of a size; any number may be asked.
    fn holds_records(&self, frame: u32, size: Size) -> bool;
    /// Makes a record, all fields zero. Errors: `NoRecord`.
    fn create<R: Record>(&mut self, payer: Name<Contract>) -> Result<Name<R>, MemoryError>;
    /// Ends a record.
    fn delete<R: Record>(&mut self, payer: Name<Contract>, name: Name<R>);
    /// Makes a node of a page array, all entries zero: frame and slot. Errors: `NoRecord`.
    fn create_node(&mut self, payer: Name<Contract>) -> Result<(u32, u32), MemoryError>;
    /// Ends a node.
    fn delete_node(&mut self, payer: Name<Contract>, frame: u32, slot: u32);

    /// The name that a word from outside claims to be, if that record lives.
    fn resolve<R: Record>(&self, word: u64) -> Option<Name<R>> {
        let name = Name::<R>::claimed(word);
        let live = word >> NAME_BITS == 0
            && name.generation() != 0
            && name.slot().is_multiple_of(R::SIZE.units())
            && self.holds_records(name.frame(), R::SIZE)
            && self.words(name.frame())[name.offset()] == header(R::KIND, name.generation());
        live.then_some(name)
    }

    /// Looks at a record.
    #[inline(always)]
    fn view<R: Record>(&self, name: Name<R>) -> View<'_, R> {
        let words = &self.words(name.frame())[name.offset()..name.offset() + R::SIZE.words()];
        assert!(words[0] == header(R::KIND, name.generation()), "stale record {name:?}");
        View { words, kind: PhantomData }
    }

    /// Reads a field.
    #[inline]
    fn get<R: Record, T: Word>(&self, name: Name<R>, field: Field<R, T>) -> T {
        let words = self.words(name.frame());
        assert!(words[name.offset()] == header(R::KIND, name.generation()), "stale record {name:?}");
        T::from_word(words[name.offset() + field.offset])
    }

    /// Writes a field.
    #[inline]
    fn set<R: Record, T: Word>(&mut self, name: Name<R>, field: Field<R, T>, value: T) {
        let words = self.words_mut(name.frame());
        assert!(words[name.offset()] == header(R::KIND, name.generation()), "stale record {name:?}");
        words[name.offset() + field.offset] = value.to_word();
    }

    /// Adds to a count.
    fn raise<R: Record>(&mut self, name: Name<R>, field: Field<R, u64>, by: u64) {
        let count = self.get(name, field).checked_add(by).expect("a count overflows");
        self.set(name, field, count);
    }

    /// Takes from a count.
    fn lower<R: Record>(&mut self, name: Name<R>, field: Field<R, u64>, by: u64) {
        let count = self.get(name, field).checked_sub(by).expect("a count falls below zero");
        self.set(name, field, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_parts() {
        let name = Name::<Lock>::new((1 << FRAME_BITS) - 1, 31, GENERATION_MAX);
        assert_eq!(
            (name.frame(), name.slot(), name.generation()),
            ((1 << FRAME_BITS) - 1, 31, GENERATION_MAX)
        );
        assert_eq!(name.word() >> NAME_BITS, 0);
        assert_eq!(Name::<Lock>::claimed(name.word()), name);
        assert_eq!(Option::<Name<Lock>>::from_word(None::<Name<Lock>>.to_word()), None);
    }

    #[test]
    fn sizes_fill_a_frame() {
        for size in Size::ALL {
            assert_eq!(size.words() * size.per_frame() as usize, FRAME_WORDS);
        }
    }
}
