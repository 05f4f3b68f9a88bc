//! Round trips of a small message between two processes, or two threads.
//!
//! Whoever answers does so a known number of times and ends.

use crate::report::Report;
use crate::sys::{Memory, fork};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, Result, read, write};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::pipe::pipe;
use rustix::thread::futex;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use tests_linux_core::Row;

/// Samples of each row.
const COUNT: usize = 1000;

/// Largest message.
const BYTES: usize = 4096;

/// Two ways for messages: what is written into the first of a pair is read from the second.
struct Ways {
    there: (OwnedFd, OwnedFd),
    back: (OwnedFd, OwnedFd),
}

/// Measures all rows of this module.
pub fn measure(report: &mut Report) -> Result<()> {
    futexes(report)?;
    between_processes(report, Row::EventProcesses, &eventfds()?, 8)?;
    for (row, bytes) in [
        (Row::PipeByte, 1),
        (Row::PipeWord, 8),
        (Row::PipeWords2, 16),
        (Row::PipeWords4, 32),
        (Row::PipeWords8, 64),
        (Row::PipeWords64, 512),
        (Row::PipePage, BYTES),
    ] {
        between_processes(report, row, &pipes()?, bytes)?;
    }
    between_threads(report, Row::PipeThreads, &pipes()?, 1);
    between_processes(report, Row::UnixStream, &sockets(SocketType::STREAM)?, 64)?;
    between_processes(report, Row::UnixSeqpacket, &sockets(SocketType::SEQPACKET)?, 64)?;
    descriptors(report)?;
    report.write();
    Ok(())
}

fn between_processes(report: &mut Report, row: Row, ways: &Ways, bytes: usize) -> Result<()> {
    let child = fork(|| ways.answer(bytes))?;
    ways.ask(report, row, bytes);
    child.wait()
}

fn between_threads(report: &mut Report, row: Row, ways: &Ways, bytes: usize) {
    std::thread::scope(|scope| {
        scope.spawn(|| ways.answer(bytes));
        ways.ask(report, row, bytes);
    });
}

impl Ways {
    fn ask(&self, report: &mut Report, row: Row, bytes: usize) {
        let mut buffer = [0; BYTES];
        report.each(row, COUNT, |_| {
            whole(write(&self.there.0, &number_first(&mut buffer)[..bytes]), bytes)?;
            whole(read(&self.back.1, &mut buffer[..bytes]), bytes)
        });
    }

    fn answer(&self, bytes: usize) -> Result<()> {
        let mut buffer = [0; BYTES];
        for _ in 0..COUNT {
            whole(read(&self.there.1, &mut buffer[..bytes]), bytes)?;
            whole(write(&self.back.0, &number_first(&mut buffer)[..bytes]), bytes)?;
        }
        Ok(())
    }
}

/// What a counter of events takes: a number that is not 0.
fn number_first(buffer: &mut [u8; BYTES]) -> &[u8; BYTES] {
    buffer[0] = 1;
    buffer
}

fn whole(moved: Result<usize>, bytes: usize) -> Result<()> {
    if moved? == bytes { Ok(()) } else { Err(Errno::MSGSIZE) }
}

fn pipes() -> Result<Ways> {
    let turned = |(reader, writer)| (writer, reader);
    Ok(Ways { there: turned(pipe()?), back: turned(pipe()?) })
}

fn sockets(kind: SocketType) -> Result<Ways> {
    let (near, far) = socketpair(AddressFamily::UNIX, kind, SocketFlags::empty(), None)?;
    Ok(Ways { there: (near.try_clone().map_err(errno)?, far.try_clone().map_err(errno)?), back: (far, near) })
}

fn eventfds() -> Result<Ways> {
    let both = || {
        let event = eventfd(0, EventfdFlags::empty())?;
        Ok((event.try_clone().map_err(errno)?, event))
    };
    Ok(Ways { there: both()?, back: both()? })
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn futexes(report: &mut Report) -> Result<()> {
    let memory = Memory::shared(2 * crate::sys::PAGE)?;
    let (there, back) = (memory.word(0), memory.word(1));
    let child = fork(|| {
        (0..COUNT).for_each(|_| answer(there, back, futex::Flags::empty()));
        Ok(())
    })?;
    report.each(Row::FutexProcesses, COUNT, |_| {
        ask(there, back, futex::Flags::empty());
        Ok(())
    });
    child.wait()?;
    std::thread::scope(|scope| {
        scope.spawn(|| (0..COUNT).for_each(|_| answer(there, back, futex::Flags::PRIVATE)));
        report.each(Row::FutexThreads, COUNT, |_| {
            ask(there, back, futex::Flags::PRIVATE);
            Ok(())
        });
    });
    Ok(())
}

fn ask(there: &AtomicU32, back: &AtomicU32, flags: futex::Flags) {
    there.store(1, Ordering::Release);
    let _ = futex::wake(there, flags, 1);
    sleep_for(back, flags);
}

fn answer(there: &AtomicU32, back: &AtomicU32, flags: futex::Flags) {
    sleep_for(there, flags);
    back.store(1, Ordering::Release);
    let _ = futex::wake(back, flags, 1);
}

/// Waits until the word is set, and clears it.
fn sleep_for(word: &AtomicU32, flags: futex::Flags) {
    while word.swap(0, Ordering::Acquire) == 0 {
        let _ = futex::wait(word, flags, 0, None);
    }
}

/// A descriptor there, one byte back.
fn descriptors(report: &mut Report) -> Result<()> {
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::empty(), None)?;
    let sent = eventfd(0, EventfdFlags::empty())?;
    let child = fork(|| {
        for _ in 0..COUNT {
            receive(&far)?;
            write(&far, &[1])?;
        }
        Ok(())
    })?;
    report.each(Row::UnixRights, COUNT, |_| {
        send(&near, sent.as_fd())?;
        whole(read(&near, &mut [0]), 1)
    });
    child.wait()
}

fn send(socket: &OwnedFd, descriptor: BorrowedFd<'_>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    whole(sendmsg(socket, &[IoSlice::new(&[1])], &mut control, SendFlags::empty()), 1)
}

/// Receives a message; the descriptor in it is closed with the buffer.
fn receive(socket: &OwnedFd) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let message = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty())?;
    if message.bytes == 1 && control.drain().count() == 1 { Ok(()) } else { Err(Errno::MSGSIZE) }
}
