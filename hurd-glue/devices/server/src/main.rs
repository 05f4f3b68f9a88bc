//! The devices `null`, `zero` and `full` as files below `/dev`. What they do is [`hurd_glue_devices_core`]'s.
//!
//! The server owns one container, all of holes. Zeros are copies of it: whole pages of the client become absent, without a frame moved
//! or charged, and edges are zeroed by physmem. So a reader of `zero` pays for what it touches, and the server for nothing.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use filesystems_api::directory::Entries;
use filesystems_api::file::{
    FileSystemStatus, IoReadContainer, NodeStatus, ReadDone, SMALL_READ_BYTES, SmallContents, Written,
};
use filesystems_serve::{FileSystem, Found, NodeBadge, Result, SentContainer, memory_refusal, serve};
use hurd_glue_devices_core as devices;
use hurd_glue_devices_core::{READ_BYTES_MAX, ROOT};
use kernel_abi::FRAME_BYTES;
use kernel_protocol::Bytes;
use kernel_runtime::containers::OwnContainer;
use kernel_runtime::startup::Startup;

kernel_runtime::program!(main);

/// Exit status where the server was not given what it needs.
const NOT_GIVEN: i32 = 1;

/// Pages of holes: the largest read, wherever in a page it begins.
const HOLES: u64 = READ_BYTES_MAX / FRAME_BYTES + 1;

/// Bytes of the stack that any request is done with.
const STACK_BYTES: usize = 16 << 10;

fn main(startup: Startup<'static>) -> i32 {
    let Some(endpoint) = startup.capability("endpoint") else {
        log::error!("`endpoint` was not given");
        return NOT_GIVEN;
    };
    // What requests need of the stack is there before the first one: none makes the server grow.
    core::hint::black_box([0_u8; STACK_BYTES]);
    match OwnContainer::new(HOLES) {
        Ok(holes) => {
            let error = serve(endpoint, &Devices { holes });
            log::error!("the endpoint is gone ({error:?})");
        }
        Err(error) => log::error!("no container: {error}"),
    }
    NOT_GIVEN
}

struct Devices {
    /// Nothing is ever written here.
    holes: OwnContainer,
}

/// A node's number; numbers are never used again, so generations do not matter.
fn number(badge: NodeBadge) -> u32 {
    match badge {
        NodeBadge::Root => ROOT,
        NodeBadge::Node { inode, .. } => inode,
    }
}

impl FileSystem for Devices {
    type Sent = SentContainer;

    fn look_up(&self, directory: NodeBadge, path: &[u8], _follow: bool) -> Result<Found> {
        let inode = devices::look_up(number(directory), path)?;
        Ok(Found::Node { inode, generation: 0, kind: devices::kind(inode)?, size: 0 })
    }

    fn read_directory(&self, directory: NodeBadge, cookie: u64) -> Result<Entries> {
        Ok(devices::entries(number(directory), cookie)?)
    }

    fn status(&self, node: NodeBadge) -> Result<NodeStatus> {
        Ok(devices::status(number(node))?)
    }

    fn read_container(
        &self,
        node: NodeBadge,
        read: &IoReadContainer,
        sent: SentContainer,
    ) -> Result<ReadDone> {
        let bytes = devices::device(number(node))?.zeros(read.bytes);
        let mut done = ReadDone { bytes, error: 0, moved_bytes: 0, dma_bytes: 0 };
        if bytes > 0 {
            // From the same place in a page, so that whole pages go without copying.
            let source = read.container_offset % FRAME_BYTES;
            let copied = sent.copy_from(&self.holes, source, read.container_offset, bytes);
            done.moved_bytes = copied.map_err(memory_refusal)?.moved_bytes;
        }
        Ok(done)
    }

    fn read_small(&self, node: NodeBadge, _offset: u64, bytes: usize) -> Result<SmallContents> {
        let bytes = devices::device(number(node))?.zeros(bytes.min(SMALL_READ_BYTES) as u64);
        let zeros = [0; SMALL_READ_BYTES];
        Ok(SmallContents { bytes: Bytes::new(&zeros[..bytes as usize]).expect("it is no longer than that") })
    }

    fn write_small(&self, node: NodeBadge, _offset: u64, bytes: &[u8]) -> Result<Written> {
        Ok(Written { bytes: devices::device(number(node))?.takes(bytes.len() as u64)? })
    }

    fn file_system(&self) -> Result<FileSystemStatus> {
        Ok(devices::file_system())
    }
}
