//! How a run of the guest ended, read from QEMU's exit status.
//!
//! The guest ends QEMU by writing a number `n` to the exit device, which makes QEMU's status `2 n + 1`.
//! QEMU's own failures have status 1 too, so an `n` of 0 counts only if the guest has logged anything.

use std::process::ExitStatus;

/// Number that the kernel writes when it panics, or is asked by an NMI where it stands.
const KERNEL_PANIC: i32 = 100;
/// Number that the kernel writes when the first task ends.
const FIRST_TASK_ENDED: i32 = 101;
/// Number that a failure of kernel or init to bring the system up ends in.
const DID_NOT_COME_UP: i32 = 102;

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The guest ended on purpose, with the status of the last shell command.
    Status(u8),
    /// The kernel panicked.
    KernelPanic,
    /// The first task, physmem, ended.
    FirstTaskEnded,
    /// Kernel or init could not bring the system up; the typed error is in the log.
    DidNotComeUp,
    /// The time ran out. The kernel was asked for a backtrace: whether it answered.
    TimedOut {
        /// The kernel answered the NMI.
        answered: bool,
    },
    /// QEMU was left, or told to quit, while the guest was running.
    Quit,
    /// The machine reset or switched itself off, such as by a triple fault: QEMU's word for it.
    GuestReset(String),
    /// QEMU itself failed: what it said.
    QemuFailed(String),
}

impl Ending {
    /// From QEMU's exit status, what it wrote on standard error, and whether the guest logged anything.
    pub fn from_qemu(status: ExitStatus, said: &str, guest_has_logged: bool) -> Ending {
        let Some(code) = status.code() else {
            return Ending::QemuFailed(format!("QEMU was ended ({status}). {said}"));
        };
        if code == 0 {
            return Ending::Quit;
        }
        let number = (code - 1) / 2;
        match number {
            _ if code % 2 == 0 || (code == 1 && !guest_has_logged) => {
                Ending::QemuFailed(format!("QEMU ended with status {code}. {said}"))
            }
            KERNEL_PANIC => Ending::KernelPanic,
            FIRST_TASK_ENDED => Ending::FirstTaskEnded,
            DID_NOT_COME_UP => Ending::DidNotComeUp,
            0..=99 => Ending::Status(number as u8),
            _ => Ending::QemuFailed(format!("the guest ended with the unknown number {number}")),
        }
    }

    /// Exit status of the runner after `--exec`.
    pub fn exec_status(&self) -> u8 {
        match self {
            Ending::Status(status) => *status,
            Ending::KernelPanic => KERNEL_PANIC as u8,
            Ending::FirstTaskEnded => FIRST_TASK_ENDED as u8,
            Ending::DidNotComeUp => DID_NOT_COME_UP as u8,
            Ending::TimedOut { .. } => 124,
            Ending::Quit | Ending::GuestReset(_) | Ending::QemuFailed(_) => 125,
        }
    }

    /// What went wrong, in one sentence; `None` if nothing did.
    pub fn complaint(&self) -> Option<String> {
        Some(match self {
            Ending::Status(_) => return None,
            Ending::KernelPanic => String::from("the kernel panicked"),
            Ending::FirstTaskEnded => String::from("the first task, physmem, ended"),
            Ending::DidNotComeUp => String::from("the system did not come up"),
            Ending::TimedOut { answered: true } => {
                String::from("the time ran out; the backtrace shows where the kernel stood")
            }
            Ending::TimedOut { answered: false } => {
                String::from("the time ran out, and the kernel did not answer when asked for a backtrace")
            }
            Ending::Quit => String::from("QEMU ended before the guest did"),
            Ending::GuestReset(reason) => {
                format!("the machine reset itself, as by a triple fault ({reason})")
            }
            Ending::QemuFailed(said) => said.trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Ending;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn ending(code: i32, logged: bool) -> Ending {
        Ending::from_qemu(ExitStatus::from_raw(code << 8), "qemu: said", logged)
    }

    #[test]
    fn the_number_written_by_the_guest_is_recovered() {
        assert_eq!(ending(1, true), Ending::Status(0));
        assert_eq!(ending(3, true), Ending::Status(1));
        assert_eq!(ending(199, true), Ending::Status(99));
        assert_eq!(ending(201, true), Ending::KernelPanic);
        assert_eq!(ending(203, true), Ending::FirstTaskEnded);
        assert_eq!(ending(205, true), Ending::DidNotComeUp);
        assert!(matches!(ending(207, true), Ending::QemuFailed(_)));
    }

    #[test]
    fn a_failure_of_qemu_is_no_success_of_the_guest() {
        assert!(matches!(ending(1, false), Ending::QemuFailed(said) if said.contains("qemu: said")));
        assert!(matches!(ending(2, true), Ending::QemuFailed(_)));
        assert!(matches!(Ending::from_qemu(ExitStatus::from_raw(9), "", true), Ending::QemuFailed(_)));
        assert_eq!(ending(0, true), Ending::Quit);
    }

    #[test]
    fn only_a_status_is_without_complaint() {
        assert_eq!((Ending::Status(7).complaint(), Ending::Status(7).exec_status()), (None, 7));
        let bad = [
            Ending::KernelPanic,
            Ending::FirstTaskEnded,
            Ending::DidNotComeUp,
            Ending::TimedOut { answered: true },
            Ending::TimedOut { answered: false },
            Ending::Quit,
            Ending::GuestReset(String::from("guest-reset")),
            Ending::QemuFailed(String::from("x")),
        ];
        for ending in bad {
            assert!(ending.complaint().is_some() && ending.exec_status() >= 100, "{ending:?}");
        }
    }
}
