//! The default pager's logic: where pages are that do not fit in memory.
//!
//! A page that is put out becomes the word that it repeats, an object in a compressed tier in memory, or an
//! encrypted page on the swap disk; whoever holds it keeps a [`SlotName`]. [`Pager`] is the way in. Below it are
//! three traits: a [`Region`] of words and a [`Store`] of bytes that outlive the pager, and a [`Disk`]. There is no
//! clock, no message and no unsafe code here, and nothing is allocated once a pager has begun.
//!
//! What holds:
//! - Each change to what outlives the pager is whole or absent, so a pager that stops at any point is followed by
//!   one that knows every page whose name was told, and nothing of those that were not ([`lanes`](Ticket)).
//! - A page comes back as it was put out, or an error says that this page does not; others are not touched.
//! - A page that is out costs eight bytes here, in the table; what stays in the compressed tier is charged by bytes.
//!
//! [`Service`] stands between the pager and the requests that physmem tells it.
//!
//! `docs/default-pager.md` tells the whole story.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod accounts;
pub mod codec;
pub mod header;
mod lanes;
mod ledger;
pub mod limits;
mod name;
mod operation;
mod outside;
mod page_in;
mod page_out;
mod pager;
mod reserve;
pub mod seal;
mod service;
mod statistics;
mod tier;
pub mod word;
mod write_out;

pub use lanes::{PageOut, PageOutError, Ticket};
pub use ledger::{Slots, is_formatted, region_words};
pub use name::{Page, SlotName};
pub use outside::{Direction, Disk, DiskError, OpenError, Region, Store, Transfer};
pub use page_in::{PageIn, PageInError};
pub use pager::{Event, Pager, Progress, Refusal};
pub use service::Service;
pub use statistics::{Counters, Statistics};
