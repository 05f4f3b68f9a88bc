//! Paging oneself: seeing how short frames are, answering calls for extra frames in time, and finding out what was taken.
//!
//! ```text
//!   physmem ── pressure page ──> pressure::read       how short frames are, for whoever is about to take more
//!           ── call + signal ──> Watch's thread ────> SelfPaging::called      gives frames back before the deadline
//!           ── record ─────────> Repossessions        what was seized, where that was not done
//! ```
//! A program that holds extra frames and does nothing of this is well until frames are short. Then it is called in vain, and what
//! it holds beyond its guarantee is seized, in its eviction order ([`SetEviction`]) and then at the policy's choice; a touch of
//! such a page ends the thread.
//!
//! [`Watch::start`] starts the thread; a program with a loop of its own takes [`listen`] instead. Most programs give it [`InOrder`]: discardable caches first, then what else they can do
//! without, in their own order. A program with other ideas implements [`SelfPaging`] itself.
//!
//! [`SetEviction`]: containers_api::container::SetEviction

mod contract_page;
mod in_order;
pub mod pressure;
mod record;
mod view;
mod watch;

pub use contract_page::{Call, ContractState};
pub use in_order::{GiveBack, InOrder};
pub use record::{Repossession, Repossessions};
pub use watch::{CALLED, SelfPaging, Watch, listen};
