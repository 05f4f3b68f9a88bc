//! A client and a server, for tests of conversations.

use crate::harness::{MEMORY, OTHER_BUFFER, Process, System, info};
use kernel_abi::capability::Rights;
use kernel_abi::{MessageInfo, SystemCall};
use kernel_core::Link;
use kernel_core::objects::ThreadState;

/// A client and a server, each a task with one thread; the endpoint is entry 1 of both, and of a second client thread.
pub struct Pair {
    pub system: System,
    pub client_task: Process,
    pub server_task: Process,
    pub client: Link,
    pub other_client: Link,
    pub server: Link,
    wake_up: u64,
}

/// The endpoint in both tasks.
pub const ENDPOINT: u64 = 1;
/// Badge of the client's capability.
pub const BADGE: u64 = 0xbad9e;
/// An entry of the server's table for a saved reply.
pub const SAVED: u64 = 20;

impl Pair {
    pub fn new() -> Pair {
        let mut system = System::new();
        let (client_task, server_task) = (system.process(), system.process());
        let (endpoint, badged) = (system.endpoint(), system.handle());
        let all = u64::from(Rights::for_kind(kernel_abi::Kind::Endpoint).bits());
        system.ok(SystemCall::CapabilityMint, &[endpoint, badged, all, BADGE]);
        system.give(client_task, badged, ENDPOINT, Rights::SEND | Rights::TRANSFER);
        system.give(server_task, endpoint, ENDPOINT, Rights::for_kind(kernel_abi::Kind::Endpoint));
        let (_, client) = system.spawn(client_task, 5);
        let (_, other_client) = system.spawn(client_task, 5);
        let (_, server) = system.spawn(server_task, 6);
        let mut pair = Pair { system, client_task, server_task, client, other_client, server, wake_up: 0 };
        for (thread, buffer) in [(server, MEMORY), (client, MEMORY), (other_client, OTHER_BUFFER)] {
            pair.run(thread);
            pair.system.buffer(buffer, 40);
            if thread == server {
                pair.receive();
            }
        }
        pair
    }

    pub fn run(&mut self, link: Link) {
        self.system.run(link);
    }

    /// The server, which runs, receives.
    pub fn receive(&mut self) -> Option<Link> {
        assert_eq!(self.system.current(), self.server);
        self.system.issue(SystemCall::Receive, &[ENDPOINT])
    }

    /// A client calls. Who runs next.
    pub fn call(&mut self, client: Link, words: &[u64]) -> Option<Link> {
        self.call_until(client, words, 0)
    }

    pub fn call_until(&mut self, client: Link, words: &[u64], deadline: u64) -> Option<Link> {
        self.run(client);
        let mut arguments = vec![ENDPOINT, info(7, words.len())];
        arguments.extend_from_slice(words);
        self.system.issue_until(SystemCall::Call, &arguments, deadline)
    }

    pub fn info(&mut self, link: Link) -> MessageInfo {
        MessageInfo(self.system.registers(link).rsi)
    }

    /// Has the server, which runs, wait for a notification.
    pub fn park(&mut self) {
        let notification = self.system.notification(1);
        let destination = 100 + notification % 20;
        self.system.give(self.server_task, notification, destination, Rights::RECEIVE);
        self.system.run(self.server);
        self.system.issue(SystemCall::Wait, &[destination]);
        assert_eq!(self.system.state(self.server), ThreadState::Waiting);
        self.wake_up = notification;
    }

    /// Has the server run on after [`Pair::park`].
    pub fn unpark(&mut self) {
        let notification = self.wake_up;
        self.system.as_boss(|system| system.ok(SystemCall::Signal, &[notification]));
        self.run(self.server);
    }

    /// Brings the server, in whatever state, to receive with the client's call as its current reply.
    pub fn call_received(&mut self) {
        assert_eq!(self.call(self.client, &[1]), Some(self.server));
    }
}
