//! How a program ended, for its parent and for people.

use containers_api::fault_reason::FaultReason;
use core::fmt;
use kernel_abi::task::TaskStatus;

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// By itself, with this status.
    Exited(u32),
    /// Somebody ended it, giving this code.
    Killed(u32),
    /// By a processor exception with this vector.
    Exception(u32),
    /// By a page fault that physmem answered with this reason.
    Fault(u32),
}

impl ExitStatus {
    /// The end of a task that has ended.
    pub fn from_task(status: TaskStatus) -> Option<ExitStatus> {
        Some(match status {
            TaskStatus::Alive => return None,
            TaskStatus::Exited(code) => ExitStatus::Exited(code),
            TaskStatus::Killed(code) => ExitStatus::Killed(code),
            TaskStatus::Exception(vector) => ExitStatus::Exception(vector),
            TaskStatus::Fault(reason) => ExitStatus::Fault(reason),
        })
    }

    /// As one number, the way shells count: the status itself, the killer's code, 139 for faults.
    pub fn code(self) -> u8 {
        match self {
            ExitStatus::Exited(code) | ExitStatus::Killed(code) => code as u8,
            ExitStatus::Exception(_) | ExitStatus::Fault(_) => 139,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitStatus::Exited(code) => write!(formatter, "exited with status {code}"),
            ExitStatus::Killed(code) => write!(formatter, "killed ({code})"),
            ExitStatus::Exception(vector) => {
                write!(formatter, "ended by processor exception {vector} ({})", exception_name(*vector))
            }
            ExitStatus::Fault(reason) => match FaultReason::from_label(*reason) {
                Some(reason) => write!(formatter, "ended by a page fault ({reason})"),
                None => write!(formatter, "ended by a page fault (reason {reason})"),
            },
        }
    }
}

/// Names of the exceptions that user code can cause (Intel SDM vol. 3, 6.3.1).
fn exception_name(vector: u32) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "no floating-point unit",
        11 => "segment not present",
        12 => "stack segment",
        13 => "general protection",
        14 => "page fault",
        16 => "floating point",
        17 => "alignment",
        19 => "vector floating point",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_have_numbers_and_words() {
        assert_eq!(ExitStatus::from_task(TaskStatus::Alive), None);
        let exited = ExitStatus::from_task(TaskStatus::Exited(2)).unwrap();
        assert_eq!((exited.code(), exited.to_string().as_str()), (2, "exited with status 2"));
        assert_eq!(ExitStatus::from_task(TaskStatus::Killed(130)).unwrap().code(), 130);
        let fault = ExitStatus::from_task(TaskStatus::Exception(13)).unwrap();
        assert_eq!(fault.code(), 139);
        assert_eq!(fault.to_string(), "ended by processor exception 13 (general protection)");
        let fault = ExitStatus::from_task(TaskStatus::Fault(FaultReason::NotMapped.label())).unwrap();
        assert_eq!(fault.to_string(), "ended by a page fault (nothing is mapped there)");
    }
}
