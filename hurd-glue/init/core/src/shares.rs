//! How init's memory is divided: fixed guarantees for the servers, of which none grows by serving, and what is
//! left for the shell and its programs.

use crate::servers::Server;

/// What a contract allows, in frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    /// Frames that an allocation finds for certain.
    pub guaranteed: u64,
    /// Frames beyond them.
    pub extra_limit: u64,
    /// Frames pinned at a time, part of the guarantee.
    pub pin_limit: u64,
}

/// Frames that init keeps of its own guarantee beside those it holds: to grow, and for records about its children.
pub const KEPT_FRAMES: u64 = 128;

/// Frames that the shell must have to start anything at all.
pub const SHELL_FRAMES_MIN: u64 = 640;

/// Guarantee and pin limit of a server; the shell's is what is left.
const fn fixed(server: Server) -> (u64, u64) {
    match server {
        Server::Console => (96, 0),
        // Its guarantee covers its pin limit: an overdue lock moves to it.
        Server::Block => (400, 256),
        Server::Ext => (640, 256),
        Server::Bootfs => (128, 0),
        Server::Shell => (0, 0),
    }
}

/// Frames that are guaranteed to the servers before the shell gets its own.
pub const SERVER_FRAMES: u64 = {
    let (console, block) = (fixed(Server::Console).0, fixed(Server::Block).0);
    console + block + fixed(Server::Ext).0 + fixed(Server::Bootfs).0
};

/// A server's share of what init has to give. `None`: the machine is too small for it.
pub fn share(server: Server, all: &Share) -> Option<Share> {
    let left = all.guaranteed.checked_sub(KEPT_FRAMES + SERVER_FRAMES)?;
    let pins_of_others = fixed(Server::Block).1 + fixed(Server::Ext).1;
    if server == Server::Shell {
        let pin_limit = all.pin_limit.saturating_sub(pins_of_others).min(left);
        let share = Share { guaranteed: left, extra_limit: all.extra_limit, pin_limit };
        return (left >= SHELL_FRAMES_MIN).then_some(share);
    }
    let (guaranteed, pin_limit) = fixed(server);
    // Only the file cache has a use for idle memory.
    let extra_limit = if server == Server::Ext { all.extra_limit } else { 0 };
    (pin_limit <= all.pin_limit).then_some(Share { guaranteed, extra_limit, pin_limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::SERVERS;
    use std::vec::Vec;

    fn shares(frames: u64) -> Option<Vec<Share>> {
        let all = Share { guaranteed: frames, extra_limit: frames, pin_limit: frames };
        SERVERS.iter().map(|one| share(one.server, &all)).collect()
    }

    #[test]
    fn the_shares_never_exceed_the_whole() {
        for frames in [2100, 12_000, 16_384, 1 << 20] {
            let shares = shares(frames).unwrap();
            assert_eq!(shares.iter().map(|one| one.guaranteed).sum::<u64>(), frames - KEPT_FRAMES);
            assert!(shares.iter().map(|one| one.pin_limit).sum::<u64>() <= frames);
            assert!(shares.iter().all(|one| one.pin_limit <= one.guaranteed && one.extra_limit <= frames));
        }
    }

    #[test]
    fn a_machine_that_is_too_small_is_refused() {
        assert!(shares(0).is_none());
        let least = KEPT_FRAMES + SERVER_FRAMES + SHELL_FRAMES_MIN;
        assert!(shares(least - 1).is_none());
        assert!(shares(least).is_some());
    }
}
