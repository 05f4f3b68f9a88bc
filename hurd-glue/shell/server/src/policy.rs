//! The command `policy`: by which policy physmem chooses whose extra frames are taken back. The shell's control capability has
//! the right to change it; those of its programs can only look.

use crate::builtins::{FAILED, USAGE, usage};
use crate::shell::Shell;
use containers_api::control::{PolicyKind, PolicySet, RevocationStat};
use core::fmt::Write;
use kernel_runtime::Deadline;
use kernel_runtime::ipc::call;

/// The policies as people name them.
const POLICIES: [(&str, PolicyKind, &str); 3] = [
    ("client-order", PolicyKind::ClientOrder, "in the owners' order, in proportion to what they hold"),
    ("global-clock", PolicyKind::GlobalClock, "what was not used lately, of who ran least recently"),
    ("aging", PolicyKind::Aging, "working sets by aging, with weights and a tax on what is idle"),
];

/// Shows the policies and which one is in force, or puts another one in force.
pub fn run(shell: &mut Shell, arguments: &[&[u8]]) -> u8 {
    let Some(control) = shell.control() else {
        return shell.complain(b"policy", "no authority over contracts", FAILED);
    };
    match arguments {
        [] => match call(control, &RevocationStat {}, &[], Deadline::NEVER) {
            Ok(status) => {
                for (name, policy, what) in POLICIES {
                    let mark = if policy == status.policy { '*' } else { ' ' };
                    let _ = writeln!(shell.out(), "{mark} {name:<12}  {what}");
                }
                0
            }
            Err(error) => shell.complain(b"policy", error, FAILED),
        },
        [asked] => {
            let Some((_, policy, _)) = POLICIES.into_iter().find(|(name, ..)| name.as_bytes() == *asked)
            else {
                return shell.complain(asked, "no such policy; `policy` lists them", USAGE);
            };
            match call(control, &PolicySet { policy }, &[], Deadline::NEVER) {
                Ok(_) => 0,
                Err(error) => shell.complain(asked, error, FAILED),
            }
        }
        _ => usage(shell, "policy"),
    }
}
