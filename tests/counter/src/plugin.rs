//! Where QEMU calls in: at its start, at each translation, at each mark, at the end.

use crate::instruction::{Mark, is_repeated, mark};
use crate::profile::Profile;
use crate::qemu::{self, Block, Info, RawBlock};
use crate::record::{Counts, Record};
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

static INSTRUCTIONS: AtomicU64 = AtomicU64::new(0);
static REPEATED: AtomicU64 = AtomicU64::new(0);
static PLUGIN: Mutex<Option<Plugin>> = Mutex::new(None);

/// Processors that are told apart at most.
const PROCESSORS_MAX: usize = 16;
/// What each executed: in the kernel, in programs. Only where that is asked for.
static BY_PROCESSOR: [[AtomicU64; 2]; PROCESSORS_MAX] =
    [const { [const { AtomicU64::new(0) }; 2] }; PROCESSORS_MAX];
static TELLS_PROCESSORS: AtomicBool = AtomicBool::new(false);

/// Size of a page, of guest and host.
const PAGE: u64 = 4096;

struct Plugin {
    record: Record<BufWriter<File>>,
    profile: Option<(Profile, BufWriter<File>)>,
}

/// The version of the interface that QEMU looks for.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = qemu::VERSION;

/// QEMU's first call. Anything but 0 ends QEMU.
///
/// # Safety
///
/// For QEMU alone to call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: qemu::Id,
    _info: *const Info,
    count: c_int,
    values: *const *const c_char,
) -> c_int {
    // SAFETY: they are QEMU's.
    let arguments = unsafe { qemu::arguments(count, values) };
    match Plugin::new(&arguments) {
        Ok(plugin) => *lock() = Some(plugin),
        Err(complaint) => {
            eprintln!("counter: {complaint}");
            return 1;
        }
    }
    qemu::register(id, translated, ended);
    0
}

impl Plugin {
    fn new(arguments: &[String]) -> Result<Plugin, String> {
        let (mut record, mut profile, mut region) = (None, None, None);
        for argument in arguments {
            match argument.split_once('=') {
                Some(("out", file)) => record = Some(Record::new(create(file)?)),
                Some(("profile", file)) => profile = Some(create(file)?),
                Some(("region", number)) => {
                    region = Some(number.parse().map_err(|_| format!("{number}: not a region"))?);
                }
                Some(("processors", "on")) => TELLS_PROCESSORS.store(true, Ordering::Relaxed),
                _ => return Err(format!("{argument}: not an argument")),
            }
        }
        let record = record.ok_or("out=FILE is missing")?;
        Ok(Plugin { record, profile: profile.map(|file| (Profile::new(region), file)) })
    }
}

fn create(path: &str) -> Result<BufWriter<File>, String> {
    File::create(path).map(BufWriter::new).map_err(|error| format!("{path}: {error}"))
}

fn lock() -> MutexGuard<'static, Option<Plugin>> {
    PLUGIN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn counts() -> Counts {
    Counts { instructions: INSTRUCTIONS.load(Ordering::Relaxed), repeated: REPEATED.load(Ordering::Relaxed) }
}

/// What each processor has executed, if that is asked for.
fn by_processor() -> Vec<[u64; 2]> {
    let told = TELLS_PROCESSORS.load(Ordering::Relaxed);
    let load = |counts: &[AtomicU64; 2]| [0, 1].map(|place| counts[place].load(Ordering::Relaxed));
    BY_PROCESSOR.iter().take(if told { PROCESSORS_MAX } else { 0 }).map(load).collect()
}

extern "C" fn translated(_: qemu::Id, block: *mut RawBlock) {
    // SAFETY: it is the callback's argument, and used in here only.
    let block = unsafe { Block::new(block) };
    let instructions = block.instructions();
    let bytes: Vec<Vec<u8>> = instructions.iter().map(qemu::Instruction::bytes).collect();
    if let Some((profile, _)) = lock().as_mut().and_then(|plugin| plugin.profile.as_mut()) {
        let page = instructions.first().map_or(0, qemu::Instruction::host_address) / PAGE * PAGE;
        let counters = profile.add(block.address(), page, &bytes);
        instructions.iter().zip(counters).for_each(|(instruction, counter)| instruction.count(counter));
    }
    let tells_processors = TELLS_PROCESSORS.load(Ordering::Relaxed);
    // The kernel lies in the upper half.
    let is_program = block.address() >> 63 == 0;
    for (instruction, bytes) in instructions.iter().zip(&bytes) {
        instruction.count(&INSTRUCTIONS);
        if tells_processors {
            instruction.call(executed, is_program.into());
        }
        if is_repeated(bytes) {
            instruction.count(&REPEATED);
        }
        match mark(bytes) {
            Some(Mark::Begin(region)) => instruction.call(begin, region.into()),
            Some(Mark::End(region)) => instruction.call(end, region.into()),
            None => {}
        }
    }
}

extern "C" fn executed(processor: c_uint, place: *mut c_void) {
    if let Some(counts) = BY_PROCESSOR.get(processor as usize) {
        counts[place as usize & 1].fetch_add(1, Ordering::Relaxed);
    }
}

extern "C" fn begin(processor: c_uint, region: *mut c_void) {
    passed(processor, Mark::Begin(region as usize as u16));
}

extern "C" fn end(processor: c_uint, region: *mut c_void) {
    passed(processor, Mark::End(region as usize as u16));
}

fn passed(processor: c_uint, mark: Mark) {
    let mut plugin = lock();
    let Some(plugin) = plugin.as_mut() else { return };
    if let Some((profile, _)) = &mut plugin.profile {
        match mark {
            Mark::Begin(region) => profile.begin(region),
            Mark::End(region) => profile.end(region),
        }
    }
    report(plugin.record.mark(mark, processor, counts(), by_processor()));
}

extern "C" fn ended(_: qemu::Id, _: *mut c_void) {
    let mut plugin = lock();
    let Some(plugin) = plugin.as_mut() else { return };
    report(plugin.record.end(counts()));
    if let Some((profile, out)) = &mut plugin.profile {
        report(profile.write(out).and_then(|()| out.flush()));
    }
}

fn report(result: std::io::Result<()>) {
    if let Err(error) = result {
        eprintln!("counter: {error}");
    }
}
