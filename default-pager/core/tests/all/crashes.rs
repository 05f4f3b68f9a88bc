//! The pager is cut off after every write of a script: to the region, to the store, to the disk. Each time the next
//! pager must know every page whose name was told, lose no slot, and do the rest of the script.

use crate::support::client::Client;
use crate::support::pages::Kind::{self, LongWord, Noise, ShortWord, Text, Zeros};
use default_pager_core::SlotName;

enum Step {
    Out(u8, &'static [Kind]),
    /// Frees every so many-th page that is out.
    Free(usize),
    Bring,
    Flush,
    Disk,
}

const SCRIPT: &[Step] = &[
    Step::Out(0, &[Zeros, Text, Noise, LongWord]),
    Step::Out(1, &[Text, Text, Noise]),
    Step::Disk,
    Step::Bring,
    Step::Free(3),
    Step::Out(0, &[Text, ShortWord]),
    Step::Flush,
    Step::Free(4),
    Step::Disk,
    Step::Out(1, &[Noise, Text]),
    Step::Out(0, &[Noise, Noise]),
    Step::Disk,
    Step::Flush,
    Step::Disk,
    Step::Free(2),
    Step::Bring,
    Step::Out(2, &[Noise, Zeros, Noise, Noise, Text, LongWord, Text]),
    Step::Disk,
    Step::Free(1),
    Step::Out(2, &[Text, Noise, Text]),
    Step::Flush,
    Step::Disk,
    Step::Bring,
    Step::Disk,
];

fn client() -> Client {
    Client::new(40, 64 * 1024)
}

/// Does the script from a step on, until the fuse blows: the step at which it did.
fn play(client: &mut Client, from: usize) -> usize {
    for (index, step) in SCRIPT.iter().enumerate().skip(from) {
        match step {
            Step::Out(lane, kinds) => client.out(*lane, 7, kinds, index as u64 * 100).unwrap(),
            Step::Free(every) => {
                let names: Vec<SlotName> = client.live.keys().copied().step_by(*every).collect();
                client.free(&names);
            }
            Step::Bring => {
                let names: Vec<SlotName> = client.live.keys().copied().collect();
                client.bring(&names).unwrap();
            }
            Step::Flush => {
                client.pager().flush();
            }
            Step::Disk => client.run_disk(),
        }
        if client.fuse.is_blown() {
            return index;
        }
    }
    SCRIPT.len()
}

/// What must hold after a crash, and that the rest can be done.
fn recovered(mut client: Client, stopped: usize) {
    client.fuse.set(None);
    client.check_all();
    client.ask_again();
    client.run_disk();
    client.check_all();
    client.check_books();
    let done = play(&mut client, stopped + 1);
    assert_eq!(done, SCRIPT.len());
    client.check_all();
    client.check_books();
}

fn writes_of_script() -> u64 {
    let mut client = client();
    assert_eq!(play(&mut client, 0), SCRIPT.len());
    client.check_books();
    client.fuse.spent.get()
}

#[test]
fn cut_off_after_every_write_nothing_is_lost() {
    let writes = writes_of_script();
    assert!(writes > 200, "{writes} writes are no test");
    for writes in 0..writes {
        for finished in [0, usize::MAX] {
            let mut client = client();
            client.fuse.set(Some(writes));
            let stopped = play(&mut client, 0);
            client.fuse.set(None);
            client.crash(finished);
            recovered(client, stopped);
        }
    }
}

#[test]
fn cut_off_again_while_it_recovers_nothing_is_lost() {
    for writes in (0..writes_of_script()).step_by(3) {
        for again in 0..6 {
            let mut client = client();
            client.fuse.set(Some(writes));
            let stopped = play(&mut client, 0);
            client.fuse.set(Some(again));
            client.crash(0);
            client.fuse.set(None);
            client.crash(0);
            recovered(client, stopped);
        }
    }
}

#[test]
fn cut_off_while_it_is_formatted_the_region_is_not_formatted() {
    use crate::support::machine::parts;
    use default_pager_core::seal::Secret;
    use default_pager_core::{OpenError, Pager};
    let secret = Secret([9; 48]);
    let whole = {
        let (words, bytes, device, fuse) = parts(4, 16384, 4);
        Pager::format(words, bytes, device, &secret).unwrap();
        fuse.spent.get()
    };
    for writes in (0..whole).step_by(7).chain([whole - 1]) {
        let (words, bytes, device, fuse) = parts(4, 16384, 4);
        fuse.set(Some(writes));
        let pager = Pager::format(words, bytes, device, &secret).unwrap();
        fuse.set(None);
        let (mut words, bytes, device) = pager.into_parts();
        words.thaw();
        assert_eq!(Pager::recover(words, bytes, device).err(), Some(OpenError::NotFormatted));
    }
}
