//! Says where the pages are that do not fit in memory, and what was done with them.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::{String, ToString};
use containers_api::pager::{SwapStat, SwapStatus};
use core::time::Duration;
use hurd_glue_api::pager::{PagerStat, PagerStatus};
use hurd_glue_programs::{Context, Program, run};
use hurd_glue_programs_core::arguments::Accepts;
use hurd_glue_programs_core::table::{Align, Table};
use hurd_glue_programs_core::units;
use kernel_runtime::Deadline;
use kernel_runtime::ipc::call;
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

const PROGRAM: Program = Program {
    name: "swap",
    help: "\
usage: swap
Says where the pages are that do not fit in memory. First physmem's books: names
that the default pager can give and that are in use, pages that are out (more than
names where pages are shared) or on their way, and what happened since boot: pages
that went out, that needed no writing as the pager had them, that came in, that
were found on their way, and that were lost.
Then the pager's: its slots by what is in them, the compressed tier and what it
makes of a page, the disk, and what was done since the pager was started.
For rates see `vmstat`.
",
    accepts: Accepts { letters: "", least: 0, most: 0 },
};

/// How long the pager may take to answer: longer than a transfer, as it may have just been started again.
const PATIENCE: Duration = Duration::from_secs(5);

fn main(startup: Startup<'static>) -> i32 {
    run(&startup, &PROGRAM, |context| {
        let Some(control) = context.control() else { return };
        let books = match call(control, &SwapStat {}, &[], Deadline::NEVER) {
            Ok(books) => books,
            Err(error) => return context.complain(b"physmem", error),
        };
        if books.slots == 0 {
            return context.print("no swap: there is no default pager\n");
        }
        context.print(&of_physmem(&books));
        of_pager(context);
    })
}

fn of_physmem(books: &SwapStatus) -> String {
    let mut table = Amounts::new("PAGES");
    table.pages("names", books.slots);
    table.pages("in use", books.used);
    table.pages("out", books.swapped);
    table.pages("on their way out", books.leaving);
    table.pages("on their way in", books.coming);
    let mut done = Amounts::new("SINCE BOOT");
    done.pages("went out", books.paged_out);
    done.pages("without writing", books.dropped_clean);
    done.pages("came in", books.paged_in);
    done.pages("found on their way", books.found_in_window);
    done.pages("lost", books.lost);
    done.count("requests too late", books.expired);
    done.count("answers not awaited", books.ignored);
    format!("{}\n{}", table.0.text(), done.0.text())
}

fn of_pager(context: &mut Context<'_>) {
    let Some(pager) = context.pager() else { return };
    match call(pager, &PagerStat {}, &[], Deadline::after(PATIENCE)) {
        Ok(told) => {
            context.print("\n");
            context.print(&tables(&told));
        }
        Err(error) => context.complain(b"default-pager", error),
    }
}

fn tables(told: &PagerStatus) -> String {
    let mut slots = Amounts::new("SLOTS");
    slots.pages("all", told.slots);
    slots.pages("free", told.free);
    slots.pages("on the disk", told.on_disk);
    slots.pages("compressed", told.compressed);
    slots.pages("one repeated word", told.filled);
    slots.pages("unusable", told.unusable);
    let mut tier = Amounts::new("COMPRESSED TIER");
    tier.bytes("bytes", told.tier_bytes);
    tier.bytes("in use", told.tier_used_bytes);
    tier.bytes("written out beyond", told.tier_limit_bytes);
    let ratio = (told.tier_used_bytes * 100).checked_div(told.compressed * 4096);
    let ratio = ratio.map_or(String::from("-"), |percent| format!("{percent} %"));
    tier.0.row([String::from("of a page's size"), ratio]);
    let mut disk = Amounts::new("DISK");
    let yes = if told.disk_is_writable { "yes" } else { "no" };
    disk.0.row([String::from("takes pages"), String::from(yes)]);
    disk.count("transfers under way", told.transfers);
    let cipher = ["plain registers", "SSE2", "AVX2"];
    let cipher = cipher.get(told.cipher as usize).copied().unwrap_or("?");
    disk.0.row([String::from("ChaCha12 on"), String::from(cipher)]);
    let mut done = Amounts::new("SINCE THE PAGER'S START");
    done.pages("taken", told.pages_out);
    done.pages("compressed", told.out_compressed);
    done.pages("straight to the disk", told.out_direct);
    done.pages("from tier to disk", told.written_out);
    done.pages("given from memory", told.in_from_memory);
    done.pages("given from the disk", told.in_from_disk);
    done.pages("spoilt", told.lost);
    done.count("transfers that failed", told.transfer_errors);
    [slots, tier, disk, done].map(|table| table.0.text()).join("\n")
}

/// A table of amounts with what they are in bytes.
struct Amounts(Table);

impl Amounts {
    fn new(heading: &'static str) -> Amounts {
        Amounts(Table::new(&[(heading, Align::Left), ("", Align::Right), ("", Align::Right)]))
    }

    fn pages(&mut self, name: &str, pages: u64) {
        self.0.row([String::from(name), pages.to_string(), units::frames(pages)]);
    }

    fn bytes(&mut self, name: &str, bytes: u64) {
        self.0.row([String::from(name), bytes.to_string(), units::bytes(bytes)]);
    }

    fn count(&mut self, name: &str, count: u64) {
        self.0.row([String::from(name), count.to_string()]);
    }
}
