//! Starting one server: its member of the boot archive, its share of the memory, and its capabilities.

use crate::archive::{Archive, MemberError};
use crate::authority::{Authority, GrantError};
use alloc::vec::Vec;
use containers_api::pager::NAMES_MAX;
use core::fmt;
use hurd_glue_init_core::servers::{Server, Specification, Urgency};
use hurd_glue_init_core::shares::{Share, share, thousandths_of_time};
use kernel_runtime::containers::Allowance;
use kernel_runtime::layout::{PRIORITY_DRIVER, PRIORITY_FILE_SERVER, PRIORITY_SHELL};
use kernel_runtime::notification::Notification;
use kernel_runtime::process::{Process, Program, SpawnError};

/// Member with commands that the shell runs instead of talking to a person.
const EXEC_MEMBER: &str = "exec";

/// Why a server was not started.
#[derive(Debug)]
pub enum StartError {
    /// The archive has no such member, or is damaged before it.
    Archive(MemberError),
    /// The machine has too little memory.
    TooLittleMemory,
    /// A capability for it could not be made.
    Grant(&'static str, GrantError),
    /// It could not be loaded.
    Spawn(SpawnError),
}

impl StartError {
    /// Whether another attempt must fail alike: the archive and the machine stay what they are.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            StartError::Archive(_) | StartError::TooLittleMemory | StartError::Spawn(SpawnError::Image(_))
        )
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Archive(error) => error.fmt(formatter),
            StartError::TooLittleMemory => formatter.write_str("the machine has too little memory"),
            StartError::Grant(name, error) => write!(formatter, "cannot give it `{name}`: {error}"),
            StartError::Spawn(error) => error.fmt(formatter),
        }
    }
}

/// Everything that servers are made of.
pub struct Maker {
    /// Where their programs are.
    pub archive: Archive,
    /// Where their capabilities come from.
    pub authority: Authority,
    /// What is divided among them.
    pub all: Share,
    /// Each server's end sets the bit of its number.
    pub deaths: Notification,
}

impl Maker {
    /// Starts a server.
    pub fn start(&self, specification: &Specification) -> Result<Process, StartError> {
        let mut source = self.archive.program(specification.name).map_err(StartError::Archive)?;
        let Share { guaranteed, extra_limit, pin_limit, .. } =
            share(specification.server, &self.all).ok_or(StartError::TooLittleMemory)?;
        let mut given = self.authority.given(specification, &self.archive)?;
        if specification.server == Server::Shell && self.archive.program(EXEC_MEMBER).is_ok() {
            given.arguments.push(b"exec".to_vec());
        }
        // What servers hold, files that they keep among it, is theirs to give up; only what people run goes out.
        let has_pager = specification.server == Server::Shell && self.authority.has_swap_window();
        let swap_limit = if has_pager { NAMES_MAX } else { 0 };
        let program = Program {
            name: specification.name,
            arguments: &given.arguments.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            capabilities: &given.capabilities,
            mounts: &given.mounts,
            directory: b"/",
            allowance: Allowance { guaranteed, extra_limit, pin_limit },
            swap_limit,
            priority: match specification.urgency {
                Urgency::Driver => PRIORITY_DRIVER,
                Urgency::FileServer => PRIORITY_FILE_SERVER,
                Urgency::Shell => PRIORITY_SHELL,
            },
            time: thousandths_of_time(specification.server),
        };
        let bits = 1 << specification.server as u32;
        Process::spawn(&mut source, &program, &self.deaths, bits).map_err(StartError::Spawn)
    }
}
