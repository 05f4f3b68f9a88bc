//! Requests to a node of a file system. A node is a capability to its server's endpoint; object, rights and
//! generation are in the badge, so that an open file is no record in the server and the offset is the client's.

use kernel_protocol::{Bytes, Empty, Text, error_codes, message, protocol, word_enum};

use crate::directory::Entries;

/// Bytes of a path in one lookup; a longer path is looked up in parts.
pub const PATH_BYTES: usize = 400;

/// Bytes of one name within a path.
pub const NAME_BYTES: usize = 255;

/// Bytes that one [`IoRead`] returns at most.
pub const SMALL_READ_BYTES: usize = 400;

/// Bytes that one [`IoWrite`] carries at most.
pub const SMALL_WRITE_BYTES: usize = 400;

/// Offset of a write that begins where the file ends, whoever else writes.
pub const APPEND: u64 = u64::MAX;

/// Symbolic links followed in one lookup, as Linux does.
pub const LINKS_MAX: u32 = 40;

error_codes! {
    /// Why a file server refused.
    pub enum FileError, other Protocol {
        /// The request's words are malformed or the node does not understand it.
        Malformed = 1, Caller, "malformed request";
        /// No such file or directory.
        NotFound = 2, Caller, "no such file or directory";
        /// A component of the path is not a directory.
        NotDirectory = 3, Caller, "not a directory";
        /// The operation needs a file.
        IsDirectory = 4, Caller, "is a directory";
        /// A name is longer than names can be.
        NameTooLong = 5, Caller, "name too long";
        /// More symbolic links than [`LINKS_MAX`].
        LinkLoop = 6, Caller, "too many levels of symbolic links";
        /// The file system is mounted read-only.
        ReadOnly = 7, Caller, "read-only file system";
        /// The node is of a kind that cannot do this (a device, a socket).
        Unsupported = 8, Caller, "not supported by this kind of file";
        /// The node exists no longer.
        Stale = 9, Peer, "the file exists no longer";
        /// The offset or length overflows or lies beyond the container.
        OutOfRange = 10, Caller, "range out of bounds";
        /// The container sent along was refused by physmem (detail: the memory error).
        Container = 11, Caller, "the container was refused";
        /// The client has as many requests in progress as its share allows, or the table is full.
        Busy = 12, System, "too many requests in progress";
        /// The disk reported an error (detail: the sector). What the reply to a read counts is valid.
        Io = 13, System, "input/output error";
        /// Metadata on the disk is damaged.
        Damaged = 14, System, "the file system is damaged";
        /// The disk or its driver did not answer in time.
        TimedOut = 15, System, "the disk did not answer";
        /// The server has no memory left for this.
        NoMemory = 16, System, "the file server is out of memory";
        /// The peer does not keep to the protocol.
        Protocol = 17, Peer, "the peer does not keep to the protocol";
        /// The node's capability does not allow this.
        MissingRight = 18, Caller, "the capability does not allow this";
        /// There is no disk.
        NoDisk = 19, System, "there is no disk";
        /// The disk holds no file system that the server knows.
        UnknownFormat = 20, System, "no ext2, ext3 or ext4 file system on the disk";
        /// The journal holds changes that are not in their places. Remedy: the command.
        NeedsRecovery = 21, System, "the journal needs recovery: run 'e2fsck -p IMAGE' on the host";
        /// The file system uses incompatible features that the server does not know (detail: their bits; the log names
        /// them).
        UnknownFeatures = 22, System, "the file system uses unsupported features, see the log";
        /// The file system is larger than its disk.
        Truncated = 23, System, "the file system is larger than its disk: run 'e2fsck -f IMAGE' on the host";
        /// The disk's driver ended in the middle of it. It is started again: another attempt waits for it.
        DriverEnded = 24, System, "the disk's driver has ended";
        /// There is no room for what is written.
        NoSpace = 25, Caller, "no space left";
        /// There is such a name already.
        Exists = 26, Caller, "file exists";
        /// Whoever paid for the file's memory is gone, or the memory was seized.
        DataLost = 27, Peer, "the file's memory is gone";
    }
}

word_enum! {
    /// What a node is.
    pub enum NodeKind {
        /// A regular file.
        File = 1,
        /// A directory.
        Directory = 2,
        /// A symbolic link.
        Link = 3,
        /// A character device.
        CharacterDevice = 4,
        /// A block device.
        BlockDevice = 5,
        /// A named pipe.
        Pipe = 6,
        /// A socket.
        Socket = 7,
    }
}

message! {
    /// Everything a node tells of itself.
    pub struct NodeStatus {
        /// Number within its file system.
        inode: u64,
        /// What it is.
        kind: NodeKind,
        /// Permission bits, as in Unix, without the kind.
        mode: u16,
        /// Names it has.
        links: u32,
        /// Owner.
        user: u32,
        /// Group.
        group: u32,
        /// Bytes.
        size: u64,
        /// Storage taken, in 512-byte units.
        blocks: u64,
        /// Last access, seconds since 1970.
        accessed: u64,
        /// Last change of contents, seconds since 1970.
        modified: u64,
        /// Last change of the node, seconds since 1970.
        changed: u64,
    }
}

message! {
    /// A lookup's end: a node (in the capability), or a path to go on with from the client's own root.
    pub struct Looked {
        /// What the node is; of no meaning where `retry` is not empty.
        kind: NodeKind,
        /// Its size in bytes.
        size: u64,
        /// Absolute path to look up instead, from the client's root: an absolute link was met. Then no capability comes.
        retry: Bytes<PATH_BYTES>,
    }
}

message! {
    /// What a read did. Bytes from the first asked for are valid, in order, without holes.
    pub struct ReadDone {
        /// Valid bytes; fewer than asked for at the end of the file, or where an error ended the read. A device without an end
        /// may bring fewer, too; none mean that nothing follows.
        bytes: u64,
        /// 0, or the [`FileError`] that ended the read early.
        error: u32,
        /// Bytes that a processor moved for this read.
        moved_bytes: u64,
        /// Bytes that came by DMA straight into the client's frames.
        dma_bytes: u64,
    }
}

message! {
    /// Small contents.
    pub struct SmallContents {
        /// The bytes; fewer than asked for at the end of the file.
        bytes: Bytes<SMALL_READ_BYTES>,
    }
}

message! {
    /// What a write did.
    pub struct Written {
        /// Bytes taken, from the first on.
        bytes: u64,
    }
}

message! {
    /// What a file system tells of itself.
    pub struct FileSystemStatus {
        /// For people: `ext4`, `boot archive`.
        format: Text<16>,
        /// Its label.
        label: Text<16>,
        /// Bytes of a block.
        block_bytes: u32,
        /// Blocks in all.
        blocks: u64,
        /// Blocks free.
        free_blocks: u64,
        /// Inodes in all.
        inodes: u64,
        /// Inodes free.
        free_inodes: u64,
        /// Mounted read-only.
        read_only: bool,
        /// Pages in its cache.
        cached_pages: u64,
        /// Reads answered from the cache, in pages.
        hits: u64,
        /// Reads answered from the disk, in pages.
        misses: u64,
    }
}

protocol! {
    error FileError;

    /// Looks a path up from this directory. `/` separates names; a leading one means this file system's root. Out: the
    /// node's capability, or a path to retry with.
    1 DirLookup {
        /// Any bytes but 0, at most [`PATH_BYTES`]; the empty path is the node itself.
        path: Bytes<PATH_BYTES>,
        /// Follow a symbolic link in the last component.
        follow: bool,
    } => Looked;

    /// Entries of this directory from a cookie on (0: from the start). Order is stable while the directory is
    /// not changed.
    2 DirReaddir { /** From the last answer. */ cookie: u64 } => Entries;

    /// What the node is.
    3 IoStat {} => NodeStatus;

    /// Reads into the container (or grant) sent along: {LOCK, FILL} for it, COPY_OUT to let the server cache what it reads. Whole
    /// pages that lie alike in file and container are neither copied in nor out.
    4 IoReadContainer {
        /// First byte of the file.
        offset: u64,
        /// Bytes wanted.
        bytes: u64,
        /// First byte in the container.
        container_offset: u64,
    } => ReadDone;

    /// Reads a few bytes through the message; of a symbolic link: its target.
    5 IoRead {
        /// First byte of the file.
        offset: u64,
        /// At most [`SMALL_READ_BYTES`].
        bytes: u32,
    } => SmallContents;

    /// The file system that the node belongs to.
    6 FileStatfs {} => FileSystemStatus;

    /// Writes a few bytes through the message. Needs the right to write. Errors: `ReadOnly`, `NoSpace` (nothing was written).
    7 IoWrite {
        /// First byte of the file, or [`APPEND`].
        offset: u64,
        /// The bytes.
        bytes: Bytes<SMALL_WRITE_BYTES>,
    } => Written;

    /// Makes a file in this directory, in the container sent along, which becomes the file system's to fill and to destroy and stays
    /// its contract's to pay for: the file lives as long as that contract, and grows as far as the container reaches. Out: the node.
    /// Needs the right to write. Errors: `Exists`, `NoSpace` (the file system has no room for more names, or for more of this
    /// contract's), `Container` (it is not a whole container with all rights).
    8 DirCreate { /** Its name. */ name: Bytes<NAME_BYTES> } => Looked;

    /// Takes a file's name away, and with it the file. Needs the right to write.
    9 DirUnlink { /** Its name. */ name: Bytes<NAME_BYTES> } => Empty;

    /// Cuts a file off, or has zeros follow. Needs the right to write. Errors: `NoSpace` (beyond the file's container).
    10 FileSetSize { /** Bytes. */ size: u64 } => Empty;
}
