//! What QEMU is given: one value describes a machine, one function turns it into arguments.
//!
//! No default devices. The first serial port is the terminal, or a pair of pipes; the debug console is the
//! log; the exit device carries the ending; a QMP socket answers for the rest.

use crate::counter::Counter;
use crate::{Failure, Result, trace};
use hurd_glue_trace_core::channel::CHANNEL_BYTES;
use kernel_abi::trace::COMMAND_LINE_WORD;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What the name of the limit on a disk's speed begins with.
const SPEED: &str = "speed";
/// What the processor's random numbers begin with where runs repeat.
const SEED: &str = "1";
/// Place on the PCI bus of the disk for swap, as the guest knows it (`filesystems_block_core::SWAP_DEVICE`).
const SWAP_DEVICE: u8 = 16;

/// A machine to boot.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The kernel, an ELF file with a PVH note.
    pub kernel: PathBuf,
    /// The boot archive.
    pub archive: PathBuf,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Processors.
    pub cpus: u32,
    /// The disk, if there is one.
    pub disk: Option<Disk>,
    /// A second disk that the guest may write, for what does not fit in memory.
    pub swap: Option<Disk>,
    /// What the serial port is joined to.
    pub serial: Serial,
    /// Where the debug console writes.
    pub log: PathBuf,
    /// Where QEMU listens for QMP.
    pub qmp: PathBuf,
    /// Words for the kernel.
    pub command_line: String,
    /// Memory that guest and host share, by which events leave the machine; with it, the kernel is told to write some.
    pub events: Option<PathBuf>,
    /// How instructions are run.
    pub accelerator: Accelerator,
    /// Record the run, or replay one that was; instructions must be counted.
    pub replay: Option<Replay>,
    /// Count what is executed.
    pub counter: Option<Counter>,
    /// Wait for a debugger.
    pub gdb: bool,
}

/// A disk image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disk {
    /// The file.
    pub image: PathBuf,
    /// Whether the guest may write it.
    pub is_writable: bool,
    /// Which transfers fail.
    pub faults: Vec<Fault>,
    /// How fast it is read, if that is to be limited: so slow a disk seems to have stopped.
    pub bytes_per_second: Option<u64>,
}

/// A transfer that the disk answers with an I/O error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which way it goes.
    pub on: Transfer,
    /// Those that touch this sector of 512 bytes fail; `None`: all.
    pub sector: Option<u64>,
    /// Only the first of them fails.
    pub once: bool,
}

/// Which way a transfer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transfer {
    /// From the disk.
    Read,
    /// To the disk.
    Write,
}

/// What the serial port is joined to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serial {
    /// The terminal; Ctrl-A X leaves QEMU, everything else goes to the guest.
    Terminal,
    /// QEMU's standard input and output, byte for byte.
    Pipes,
}

/// QEMU's record of everything that reaches a machine from outside (QEMU system emulation, "Record/replay").
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replay {
    /// Write it to this file.
    Record(PathBuf),
    /// Read it from this file, and let nothing else in.
    Replay(PathBuf),
}

/// How QEMU runs instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accelerator {
    /// Software emulation, a thread of the host for each processor.
    Emulation,
    /// Software emulation, one thread of the host for all processors, which run in turns.
    EmulationInTurns,
    /// Software emulation in which the clock counts instructions, so that runs repeat.
    CountedEmulation,
    /// The same, on a processor that does not promise fast string instructions.
    CountedPlain,
    /// That processor, in software emulation that counts nothing.
    EmulationPlain,
    /// As the first, on a processor without random numbers.
    EmulationWithoutEntropy,
    /// The processor, by KVM.
    Kvm,
}

impl Disk {
    /// A disk without faults that is never written.
    pub fn new(image: impl Into<PathBuf>) -> Disk {
        Disk { image: image.into(), is_writable: false, faults: Vec::new(), bytes_per_second: None }
    }

    /// The same, to be written.
    pub fn writable(image: impl Into<PathBuf>) -> Disk {
        Disk { is_writable: true, ..Disk::new(image) }
    }
}

impl Machine {
    /// Words for the kernel, with what the events need.
    fn words(&self) -> String {
        if self.events.is_none() {
            return self.command_line.clone();
        }
        let pages = trace::ring_pages(self.memory_bytes, self.cpus);
        format!("{} {COMMAND_LINE_WORD}{pages}", self.command_line).trim_start().to_owned()
    }

    /// Arguments for `qemu-system-x86_64`.
    pub fn arguments(&self) -> Result<Vec<OsString>> {
        let mut arguments: Vec<OsString> =
            ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"].map(OsString::from).to_vec();
        let mut add = |option: &str, value: OsString| arguments.extend([OsString::from(option), value]);
        add("-machine", "pc".into());
        for (option, value) in self.accelerator.options() {
            match &self.replay {
                Some(replay) if *option == "-icount" => add(option, replay.counted()?),
                _ => add(option, value.into()),
            }
        }
        if self.accelerator.is_counted() {
            // Runs repeat: the processor's random numbers do, too.
            add("-seed", SEED.into());
        }
        add("-smp", self.cpus.to_string().into());
        add("-m", format!("{}K", self.memory_bytes >> 10).into());
        add("-kernel", self.kernel.clone().into());
        add("-initrd", self.archive.clone().into());
        add("-append", self.words().into());
        let terminal = if self.serial == Serial::Terminal { ",mux=on" } else { "" };
        add("-chardev", format!("stdio,id=terminal,signal=off{terminal}").into());
        add("-serial", "chardev:terminal".into());
        if self.serial == Serial::Terminal {
            add("-mon", "chardev=terminal,mode=readline".into());
        }
        add("-chardev", with_path("file,id=log,path=", &self.log, "")?);
        add("-device", "isa-debugcon,iobase=0xe9,chardev=log".into());
        add("-device", "isa-debug-exit,iobase=0xf4,iosize=0x04".into());
        add("-qmp", with_path("unix:", &self.qmp, ",server=on,wait=off")?);
        if let Some(events) = &self.events {
            let size = format!(",size={CHANNEL_BYTES}");
            add("-object", with_path("memory-backend-file,id=events,share=on,mem-path=", events, &size)?);
            add("-device", "ivshmem-plain,memdev=events".into());
        }
        // The guest knows the disk for swap by its place.
        let place = format!(",addr={SWAP_DEVICE:#x}");
        for (disk, node, place) in [(&self.disk, "disk0", ""), (&self.swap, "disk1", place.as_str())] {
            let Some(disk) = disk else { continue };
            if let Some(limit) = disk.bytes_per_second {
                add("-object", format!("throttle-group,id={SPEED}-{node},x-bps-read={limit}").into());
            }
            let mut description = disk.description(node)?;
            if self.replay.is_some() {
                // The record holds when each request of the disk was done.
                description = json!({"driver": "blkreplay", "image": description});
            }
            description["node-name"] = node.into();
            description["read-only"] = (!disk.is_writable).into();
            add("-blockdev", description.to_string().into());
            add("-device", format!("virtio-blk-pci,drive={node},disable-legacy=on{place}").into());
        }
        if let Some(counter) = &self.counter {
            add("-plugin", counter.argument()?);
        }
        if self.gdb {
            arguments.extend(["-s", "-S"].map(OsString::from));
        }
        Ok(arguments)
    }
}

impl Accelerator {
    /// Whether instructions are counted, so that runs repeat.
    pub const fn is_counted(self) -> bool {
        matches!(self, Accelerator::CountedEmulation | Accelerator::CountedPlain)
    }

    fn options(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Accelerator::Emulation => &[("-accel", "tcg,thread=multi"), ("-cpu", "max,la57=off")],
            Accelerator::EmulationInTurns => &[("-accel", "tcg,thread=single"), ("-cpu", "max,la57=off")],
            Accelerator::CountedEmulation => {
                &[("-accel", "tcg"), ("-cpu", "max,la57=off"), ("-icount", "shift=0,sleep=off")]
            }
            Accelerator::EmulationPlain => &[("-accel", "tcg,thread=multi"), ("-cpu", "qemu64")],
            Accelerator::CountedPlain => {
                &[("-accel", "tcg"), ("-cpu", "qemu64"), ("-icount", "shift=0,sleep=off")]
            }
            Accelerator::EmulationWithoutEntropy => {
                &[("-accel", "tcg,thread=multi"), ("-cpu", "max,la57=off,rdrand=off,rdseed=off")]
            }
            Accelerator::Kvm => &[("-accel", "kvm"), ("-cpu", "host")],
        }
    }
}

impl Disk {
    /// As QEMU's block layer wants it (QEMU QMP Reference Manual, "BlockdevOptions"). JSON, so that any file
    /// name goes through unharmed.
    fn description(&self, node: &str) -> Result<Value> {
        let read_only = !self.is_writable;
        let file = json!({"driver": "file", "filename": text(&self.image)?, "read-only": read_only});
        let file = if self.faults.is_empty() {
            file
        } else {
            let faults: Vec<Value> = self.faults.iter().map(Fault::description).collect();
            json!({"driver": "blkdebug", "image": file, "inject-error": faults})
        };
        let file = match self.bytes_per_second {
            None => file,
            Some(_) => {
                json!({"driver": "throttle", "throttle-group": format!("{SPEED}-{node}"), "file": file})
            }
        };
        Ok(json!({"driver": "raw", "read-only": read_only, "file": file}))
    }
}

impl Replay {
    /// The value of `-icount`.
    fn counted(&self) -> Result<OsString> {
        match self {
            Replay::Record(file) => with_path("shift=0,rr=record,rrfile=", file, ""),
            Replay::Replay(file) => with_path("shift=0,rr=replay,rrfile=", file, ""),
        }
    }
}

impl Fault {
    fn description(&self) -> Value {
        let kind = match self.on {
            Transfer::Read => "read",
            Transfer::Write => "write",
        };
        let mut fault = json!({"event": "none", "iotype": kind, "errno": 5, "once": self.once});
        if let Some(sector) = self.sector {
            fault["sector"] = sector.into();
        }
        fault
    }
}

/// A path within an option of QEMU, in which a comma is written twice.
pub(crate) fn with_path(before: &str, path: &Path, after: &str) -> Result<OsString> {
    Ok(format!("{before}{}{after}", text(path)?.replace(',', ",,")).into())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Failure::new(format!("QEMU cannot be given the file name {}", path.display()))
            .hint("give the file a name in UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counter::Profile;

    fn machine() -> Machine {
        Machine {
            kernel: "/k".into(),
            archive: "/a".into(),
            memory_bytes: 64 << 20,
            cpus: 3,
            disk: Some(Disk::new("/my, \"odd\" disk.img")),
            swap: None,
            serial: Serial::Pipes,
            log: "/l,og".into(),
            qmp: "/q".into(),
            command_line: String::new(),
            events: None,
            accelerator: Accelerator::Emulation,
            replay: None,
            counter: None,
            gdb: false,
        }
    }

    fn arguments(machine: &Machine) -> Vec<String> {
        machine.arguments().unwrap().into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    fn values(machine: &Machine, option: &str) -> Vec<String> {
        let arguments = arguments(machine);
        arguments.windows(2).filter(|pair| pair[0] == option).map(|pair| pair[1].clone()).collect()
    }

    #[test]
    fn events_have_rings_and_a_way_out() {
        assert_eq!(values(&machine(), "-append"), [""]);
        let machine = Machine { events: Some("/e,v".into()), ..machine() };
        assert_eq!(values(&machine, "-append"), ["trace=170"]);
        let object = "memory-backend-file,id=events,share=on,mem-path=/e,,v,size=16777216";
        assert_eq!(values(&machine, "-object"), [object]);
        assert!(values(&machine, "-device").contains(&String::from("ivshmem-plain,memdev=events")));
        let machine = Machine { command_line: "quiet".into(), ..machine };
        assert_eq!(values(&machine, "-append"), ["quiet trace=170"]);
    }

    #[test]
    fn software_emulation_is_the_default_and_kvm_and_counting_are_choices() {
        let mut machine = machine();
        assert_eq!(values(&machine, "-accel"), ["tcg,thread=multi"]);
        assert_eq!(values(&machine, "-icount"), [""; 0]);
        assert_eq!(values(&machine, "-seed"), [""; 0]);
        machine.accelerator = Accelerator::CountedEmulation;
        assert_eq!(
            (values(&machine, "-accel"), values(&machine, "-icount")),
            (vec!["tcg".into()], vec!["shift=0,sleep=off".into()])
        );
        assert_eq!(values(&machine, "-seed"), ["1"], "random numbers repeat with the run");
        machine.accelerator = Accelerator::Kvm;
        assert_eq!(
            (values(&machine, "-accel"), values(&machine, "-cpu")),
            (vec!["kvm".into()], vec!["host".into()])
        );
    }

    #[test]
    fn memory_is_exact_and_commas_are_escaped() {
        assert_eq!(values(&machine(), "-m"), ["65536K"]);
        assert_eq!(values(&machine(), "-smp"), ["3"]);
        assert!(values(&machine(), "-chardev").contains(&"file,id=log,path=/l,,og".to_owned()));
    }

    #[test]
    fn the_disk_is_read_only_under_any_file_name() {
        let described: Value = serde_json::from_str(&values(&machine(), "-blockdev")[0]).unwrap();
        assert_eq!(described["file"]["filename"], "/my, \"odd\" disk.img");
        assert_eq!((&described["read-only"], &described["file"]["read-only"]), (&json!(true), &json!(true)));
        assert!(
            values(&machine(), "-device").contains(&"virtio-blk-pci,drive=disk0,disable-legacy=on".into())
        );
        let none = Machine { disk: None, ..machine() };
        assert_eq!(values(&none, "-blockdev"), [""; 0]);
        assert_eq!(values(&none, "-device").len(), 2);
    }

    #[test]
    fn a_disk_for_swap_is_the_second_one_at_its_place_and_may_be_written() {
        let machine = Machine { swap: Some(Disk::writable("/s, \"odd\"")), ..machine() };
        let described: Value = serde_json::from_str(&values(&machine, "-blockdev")[1]).unwrap();
        assert_eq!(
            (&described["node-name"], &described["file"]["filename"]),
            (&json!("disk1"), &json!("/s, \"odd\""))
        );
        assert_eq!(
            (&described["read-only"], &described["file"]["read-only"]),
            (&json!(false), &json!(false))
        );
        assert_eq!(
            values(&machine, "-device").last().unwrap(),
            "virtio-blk-pci,drive=disk1,disable-legacy=on,addr=0x10"
        );
        let read_only = Machine { swap: Some(Disk::new("/s")), ..machine };
        let described: Value = serde_json::from_str(&values(&read_only, "-blockdev")[1]).unwrap();
        assert_eq!(described["read-only"], true);
    }

    #[test]
    fn the_plain_processor_differs_in_nothing_but_its_model() {
        for (usual, plain) in [
            (Accelerator::CountedEmulation, Accelerator::CountedPlain),
            (Accelerator::Emulation, Accelerator::EmulationPlain),
        ] {
            let [usual, plain] = [usual, plain].map(|accelerator| Machine { accelerator, ..machine() });
            assert_eq!(values(&usual, "-icount"), values(&plain, "-icount"));
            assert_eq!(values(&usual, "-accel"), values(&plain, "-accel"));
            assert_eq!(values(&plain, "-cpu"), ["qemu64"]);
        }
    }

    #[test]
    fn faults_are_put_between_disk_and_image() {
        let faults = vec![
            Fault { on: Transfer::Read, sector: Some(7), once: true },
            Fault { on: Transfer::Write, sector: None, once: false },
        ];
        let machine = Machine { disk: Some(Disk { faults, ..Disk::new("/d") }), ..machine() };
        let described: Value = serde_json::from_str(&values(&machine, "-blockdev")[0]).unwrap();
        assert_eq!(described["file"]["driver"], "blkdebug");
        assert_eq!(described["file"]["inject-error"][0]["sector"], 7);
        assert_eq!(described["file"]["inject-error"][1].get("sector"), None);
        let ways = [0, 1].map(|index| described["file"]["inject-error"][index]["iotype"].clone());
        assert_eq!(ways, ["read", "write"]);
        assert_eq!(described["file"]["image"]["filename"], "/d");
    }

    #[test]
    fn a_slow_disk_is_throttled() {
        let disk = Disk { bytes_per_second: Some(100), ..Disk::new("/d") };
        let machine = Machine { disk: Some(disk), ..machine() };
        assert_eq!(values(&machine, "-object"), ["throttle-group,id=speed-disk0,x-bps-read=100"]);
        let described: Value = serde_json::from_str(&values(&machine, "-blockdev")[0]).unwrap();
        assert_eq!(described["file"]["throttle-group"], "speed-disk0");
        assert_eq!(described["file"]["file"]["filename"], "/d");
    }

    #[test]
    fn a_recorded_machine_has_its_disk_behind_the_record() {
        let accelerator = Accelerator::CountedEmulation;
        let record = Some(Replay::Record("/r,1".into()));
        let machine = Machine { accelerator, replay: record, ..machine() };
        assert_eq!(values(&machine, "-icount"), ["shift=0,rr=record,rrfile=/r,,1"]);
        let described: Value = serde_json::from_str(&values(&machine, "-blockdev")[0]).unwrap();
        assert_eq!((&described["driver"], &described["node-name"]), (&json!("blkreplay"), &json!("disk0")));
        assert_eq!(described["image"]["file"]["filename"], "/my, \"odd\" disk.img");
        let machine = Machine { replay: Some(Replay::Replay("/r".into())), ..machine };
        assert_eq!(values(&machine, "-icount"), ["shift=0,rr=replay,rrfile=/r"]);
    }

    #[test]
    fn the_counter_is_loaded_with_its_arguments() {
        let counter = Counter {
            plugin: "/c,.so".into(),
            out: "/o".into(),
            profile: Some(Profile { file: "/p".into(), region: Some(7) }),
            processors: true,
        };
        let machine = Machine { counter: Some(counter), ..machine() };
        assert_eq!(values(&machine, "-plugin"), ["/c,,.so,out=/o,profile=/p,region=7,processors=on"]);
    }

    #[test]
    fn only_a_terminal_gets_the_monitor_and_only_a_debugger_stops_the_start() {
        assert_eq!(values(&machine(), "-mon"), [""; 0]);
        assert!(!arguments(&machine()).contains(&"-S".into()));
        let machine = Machine { serial: Serial::Terminal, gdb: true, ..machine() };
        assert_eq!(values(&machine, "-mon"), ["chardev=terminal,mode=readline"]);
        assert!(values(&machine, "-chardev")[0].contains("mux=on"));
        assert!(arguments(&machine).contains(&"-S".into()) && arguments(&machine).contains(&"-s".into()));
    }
}
