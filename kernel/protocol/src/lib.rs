//! How typed requests and replies become message words, and the macro by which a protocol is declared once.
//!
//! A protocol is a module with one [`protocol!`] block: per request a label, its fields and its reply.
//! The macro makes a struct for each, their encoding, and an enum of all requests for the server's
//! dispatch. Encoding is one word a number, in field order, so that a small request travels in registers;
//! [`Text`] takes as many words as it needs.
//!
//! Decoding trusts nothing: too few words, words left over, numbers out of range and text that is not
//! UTF-8 are [`Malformed`].
#![no_std]
#![forbid(unsafe_code)]

mod field;
mod text;

pub use field::{Field, Reader, Writer};
pub use text::{Bytes, Text};

/// The words do not form the message they claim to be. Whoever sent them is at fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// Something that is sent as words.
pub trait Message: Sized {
    /// Words it needs at most; at most [`kernel_abi::message::MESSAGE_WORDS`].
    const MAX_WORDS: usize;

    /// Writes the words to the front of `out`, which has room for `MAX_WORDS`; returns how many.
    fn encode(&self, out: &mut [u64]) -> usize;

    /// Reads exactly these words.
    fn decode(words: &[u64]) -> Result<Self, Malformed>;
}

/// A message that asks for something.
pub trait Request: Message {
    /// Label that tells the requests of one protocol apart.
    const LABEL: u32;
    /// What a successful answer carries.
    type Reply: Message;
    /// Why it can be refused.
    type Error: ErrorCode;
}

/// An error that travels as the label of a reply: a number above 0, with one word of detail beside it.
pub trait ErrorCode: Copy + core::fmt::Debug {
    /// The number; never 0.
    fn code(self) -> u32;
    /// Whether the server only asks for the same request once more.
    fn is_again(self) -> bool {
        false
    }
    /// The error with this number. A number that means nothing becomes the protocol's error for a peer that
    /// does not keep to the protocol.
    fn from_code(code: u32) -> Self;
}

/// A request that was refused: why, and one word whose meaning the error documents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal<E> {
    /// Why.
    pub error: E,
    /// See the error's documentation; 0 where it says nothing.
    pub detail: u64,
}

impl<E> Refusal<E> {
    /// A refusal without detail.
    pub const fn new(error: E) -> Refusal<E> {
        Refusal { error, detail: 0 }
    }

    /// A refusal with detail.
    pub const fn with_detail(error: E, detail: u64) -> Refusal<E> {
        Refusal { error, detail }
    }
}

impl<E> From<E> for Refusal<E> {
    fn from(error: E) -> Self {
        Refusal::new(error)
    }
}

/// A message without words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Empty;

impl Message for Empty {
    const MAX_WORDS: usize = 0;

    fn encode(&self, _out: &mut [u64]) -> usize {
        0
    }

    fn decode(words: &[u64]) -> Result<Self, Malformed> {
        if words.is_empty() { Ok(Empty) } else { Err(Malformed) }
    }
}

/// Declares a struct that is a message: fields in order, each a [`Field`].
#[macro_export]
macro_rules! message {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident : $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        impl $crate::Message for $name {
            const MAX_WORDS: usize = 0 $(+ <$type as $crate::Field>::MAX_WORDS)*;

            #[allow(unused_mut, unused_variables)]
            fn encode(&self, out: &mut [u64]) -> usize {
                let mut writer = $crate::Writer::new(out);
                $($crate::Field::put(&self.$field, &mut writer);)*
                writer.used()
            }

            #[allow(unused_mut, unused_variables)]
            fn decode(words: &[u64]) -> Result<Self, $crate::Malformed> {
                let mut reader = $crate::Reader::new(words);
                let message = $name { $($field: $crate::Field::take(&mut reader)?,)* };
                reader.finish()?;
                Ok(message)
            }
        }

        const _: () = assert!(
            <$name as $crate::Message>::MAX_WORDS <= $crate::MESSAGE_WORDS,
            "the message has more words than a message can carry"
        );
    };
}

/// Declares a protocol: `label Request { fields } => Reply;` for each request. Makes the request structs and
/// `enum Request`, which decodes any of them. Replies are declared by [`message!`] or are [`Empty`].
#[macro_export]
macro_rules! protocol {
    (error $error:ty; $($(#[$meta:meta])* $label:literal $name:ident
        { $($(#[$field_meta:meta])* $field:ident : $type:ty),* $(,)? } => $reply:ty;)*) => {
        $(
            $crate::message! { $(#[$meta])* pub struct $name { $($(#[$field_meta])* $field: $type),* } }

            impl $crate::Request for $name {
                const LABEL: u32 = $label;
                type Reply = $reply;
                type Error = $error;
            }
        )*

        /// Any request of this protocol.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Request { $(
            #[doc = concat!("See [`", stringify!($name), "`].")]
            $name($name),
        )* }

        impl Request {
            /// The request that these words form.
            pub fn decode(label: u32, words: &[u64]) -> Result<Request, $crate::Malformed> {
                match label {
                    $($label => <$name as $crate::Message>::decode(words).map(Request::$name),)*
                    _ => Err($crate::Malformed),
                }
            }
        }
    };
}

/// Declares an error enum that implements [`ErrorCode`], each variant with number, side at fault and text.
/// The variant marked `other` stands for numbers that mean nothing.
#[macro_export]
macro_rules! error_codes {
    ($(#[$meta:meta])* pub enum $enum:ident, other $other:ident $(, again $again:ident)? {
        $($(#[$doc:meta])* $name:ident = $number:literal, $side:ident, $text:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub enum $enum { $($(#[$doc])* $name = $number,)* }

        #[allow(dead_code, reason = "not every protocol's users ask for all of this")]
        impl $enum {
            /// All of them, for tests and tables.
            pub const ALL: &'static [$enum] = &[$($enum::$name,)*];

            /// Who is at fault.
            pub const fn side(self) -> $crate::Side {
                match self { $($enum::$name => $crate::Side::$side,)* }
            }
        }

        impl $crate::ErrorCode for $enum {
            fn code(self) -> u32 {
                self as u32
            }

            fn from_code(code: u32) -> Self {
                match code { $($number => $enum::$name,)* _ => $enum::$other }
            }

            $(fn is_again(self) -> bool {
                self == $enum::$again
            })?
        }

        impl core::fmt::Display for $enum {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                formatter.write_str(match self { $($enum::$name => $text,)* })
            }
        }
    };
}

/// Declares an enum that is one message word.
#[macro_export]
macro_rules! word_enum {
    ($(#[$meta:meta])* pub enum $enum:ident { $($(#[$doc:meta])* $name:ident = $number:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $enum { $($(#[$doc])* $name = $number,)* }

        impl $enum {
            /// The variant with this number.
            pub const fn from_number(number: u64) -> Option<$enum> {
                match number { $($number => Some($enum::$name),)* _ => None }
            }
        }

        impl $crate::Field for $enum {
            const MAX_WORDS: usize = 1;

            fn put(&self, writer: &mut $crate::Writer<'_>) {
                writer.word(*self as u64);
            }

            fn take(reader: &mut $crate::Reader<'_>) -> Result<Self, $crate::Malformed> {
                $enum::from_number(reader.word()?).ok_or($crate::Malformed)
            }
        }
    };
}

/// Makes a `bitflags` type over an unsigned integer one message word; unknown bits are malformed.
#[macro_export]
macro_rules! word_flags {
    ($flags:ty, $bits:ty) => {
        impl $crate::Field for $flags {
            const MAX_WORDS: usize = 1;

            fn put(&self, writer: &mut $crate::Writer<'_>) {
                writer.word(u64::from(self.bits()));
            }

            fn take(reader: &mut $crate::Reader<'_>) -> Result<Self, $crate::Malformed> {
                let bits = <$bits>::try_from(reader.word()?).map_err(|_| $crate::Malformed)?;
                <$flags>::from_bits(bits).ok_or($crate::Malformed)
            }
        }
    };
}

pub use kernel_abi::Side;
pub use kernel_abi::message::MESSAGE_WORDS;

#[cfg(test)]
mod tests {
    use super::*;

    error_codes! {
        /// Errors of the sample.
        pub enum SampleError, other Nonsense {
            /// A.
            Full = 1, System, "full";
            /// B.
            Nonsense = 2, Peer, "nonsense";
        }
    }

    word_enum! {
        /// A colour.
        pub enum Colour { /** R. */ Red = 0, /** B. */ Blue = 7 }
    }

    message! {
        /// Reply.
        pub struct Painted { /** N. */ number: u32, /** T. */ name: Text<20> }
    }

    protocol! {
        error SampleError;
        /// Paints.
        3 Paint { /** C. */ colour: Colour, /** W. */ wet: bool, /** N. */ name: Text<20> } => Painted;
        /// Dries.
        4 Dry {} => Empty;
    }

    #[test]
    fn a_request_survives_the_words() {
        let paint = Paint { colour: Colour::Blue, wet: true, name: Text::new("façade").unwrap() };
        let mut words = [0; 8];
        let used = paint.encode(&mut words);
        assert_eq!(used, 4);
        assert_eq!(Request::decode(3, &words[..used]), Ok(Request::Paint(paint)));
        assert_eq!(Request::decode(4, &[]), Ok(Request::Dry(Dry {})));
    }

    #[test]
    fn what_is_malformed_is_refused() {
        assert_eq!(Request::decode(5, &[]), Err(Malformed), "unknown label");
        assert_eq!(Request::decode(4, &[0]), Err(Malformed), "left-over words");
        assert_eq!(Request::decode(3, &[7, 1]), Err(Malformed), "too short");
        assert_eq!(Request::decode(3, &[6, 1, 0]), Err(Malformed), "no such colour");
        assert_eq!(Request::decode(3, &[7, 2, 0]), Err(Malformed), "no such bool");
        assert_eq!(Request::decode(3, &[7, 1, 21, 0, 0, 0]), Err(Malformed), "text too long");
        assert_eq!(Request::decode(3, &[7, 1, 1, 0xff]), Err(Malformed), "not UTF-8");
        assert_eq!(Request::decode(3, &[7, 1, 1, 0x4141]), Err(Malformed), "bytes beyond the text");
        assert_eq!(Painted::decode(&[1 << 32, 0]), Err(Malformed), "number out of range");
    }

    #[test]
    fn unknown_error_numbers_become_the_other() {
        assert_eq!(SampleError::from_code(1), SampleError::Full);
        assert_eq!(SampleError::from_code(99), SampleError::Nonsense);
    }
}
