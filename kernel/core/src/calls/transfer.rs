//! Moving a message from one thread to another: words, capabilities, and what has to be copied out to a buffer.

use crate::kernel::{Kernel, Stop};
use crate::machine::Machine;
use crate::name::Link;
use crate::objects::{Capability, Endpoint, Task, Thread};
use kernel_abi::capability::Kind;
use kernel_abi::message::{
    BUFFER_BADGES_OFFSET, BUFFER_CAPABILITIES_OFFSET, BUFFER_WORDS, MESSAGE_CAPABILITIES, MESSAGE_WORDS,
    MessageFlags, MessageInfo, REGISTER_WORDS,
};
use kernel_abi::{Handle, KernelError, Rights};

impl<M: Machine> Kernel<M> {
    /// Checks what the current thread wants to send and reads the parts that lie in its buffer.
    pub(super) fn load_message(&mut self, current: Link, info: MessageInfo) -> Result<(), Stop> {
        if !info.is_sendable() {
            let too_long = info.words() > MESSAGE_WORDS || info.capabilities() > MESSAGE_CAPABILITIES;
            let error = if too_long { KernelError::MessageTooLong } else { KernelError::InvalidArgument };
            return Err(error.into());
        }
        let beyond = info.words().saturating_sub(REGISTER_WORDS);
        if beyond != 0 || info.capabilities() != 0 {
            self.load_buffer(current, beyond, info.capabilities())?;
        }
        let thread = self.machine.object::<Thread>(current);
        thread.info = info;
        thread.is_fault = false;
        Ok(())
    }

    fn load_buffer(&mut self, current: Link, beyond: usize, capabilities: usize) -> Result<(), Stop> {
        let buffer = self.machine.object::<Thread>(current).buffer;
        if buffer == 0 {
            return Err(KernelError::NoBuffer.into());
        }
        let mut handles = [0; MESSAGE_CAPABILITIES / 2];
        if capabilities != 0 {
            self.machine.read_user_words(buffer + BUFFER_CAPABILITIES_OFFSET as u64, &mut handles)?;
        }
        let handles =
            [handles[0] as u32, (handles[0] >> 32) as u32, handles[1] as u32, (handles[1] >> 32) as u32];
        for &handle in &handles[..capabilities] {
            let capability = self.capability(u64::from(handle))?;
            if !capability.rights.contains(Rights::TRANSFER) {
                return Err(KernelError::MissingRight.into());
            }
        }
        if beyond != 0 {
            self.load_words(current, buffer, beyond)?;
        }
        self.machine.object::<Thread>(current).capabilities = handles;
        Ok(())
    }

    #[inline(never)]
    fn load_words(&mut self, current: Link, buffer: u64, beyond: usize) -> Result<(), Stop> {
        let mut words = [0; BUFFER_WORDS];
        self.machine.read_user_words(buffer, &mut words[..beyond])?;
        self.machine.object::<Thread>(current).words[..beyond].copy_from_slice(&words[..beyond]);
        Ok(())
    }

    /// Copies a loaded message to a thread that waits for it. Over an endpoint, capabilities that name it are unwrapped.
    pub(super) fn transfer(&mut self, sender: Link, receiver: Link, endpoint: Option<Link>) {
        let from = self.machine.object::<Thread>(sender);
        let (words, info, badge) = (from.context.words(), from.info, from.badge);
        let to = self.machine.object::<Thread>(receiver);
        to.context
            .set_words(core::array::from_fn(|index| if index < info.words() { words[index] } else { 0 }));
        to.context.rax = 0;
        to.context.rdi = if endpoint.is_some() { badge } else { 0 };
        to.context.rsi = info.received(0, MessageFlags::empty()).0;
        let beyond = info.words().saturating_sub(REGISTER_WORDS);
        if beyond != 0 || info.capabilities() != 0 || to.window_filled != 0 {
            self.transfer_buffer(sender, receiver, endpoint, beyond);
        }
    }

    fn transfer_buffer(&mut self, sender: Link, receiver: Link, endpoint: Option<Link>, beyond: usize) {
        self.clear_window(receiver);
        let info = self.machine.object::<Thread>(sender).info;
        let to = self.machine.object::<Thread>(receiver);
        // A receiver without a buffer gets what fits its registers: it asked for no more.
        let beyond = if to.buffer == 0 { 0 } else { beyond };
        to.copy_out_words = beyond as u8;
        to.unfinished = beyond != 0;
        if beyond != 0 {
            self.transfer_words(sender, receiver, beyond);
        }
        let count = beyond + info.words().min(REGISTER_WORDS);
        let (capabilities, unwrapped) = self.transfer_capabilities(sender, receiver, endpoint);
        let to = self.machine.object::<Thread>(receiver);
        to.context.rsi =
            MessageInfo::new(info.label(), count, capabilities).received(unwrapped, MessageFlags::empty()).0;
    }

    #[inline(never)]
    fn transfer_words(&mut self, sender: Link, receiver: Link, beyond: usize) {
        let words = self.machine.object::<Thread>(sender).words;
        self.machine.object::<Thread>(receiver).words[..beyond].copy_from_slice(&words[..beyond]);
    }

    /// Moves the capabilities of a message; returns how many, and which were unwrapped to their badges.
    fn transfer_capabilities(&mut self, sender: Link, receiver: Link, endpoint: Option<Link>) -> (usize, u8) {
        let from = self.machine.object::<Thread>(sender);
        let (count, handles, sender_task) = (from.info.capabilities(), from.capabilities, from.task.link);
        let to = self.machine.object::<Thread>(receiver);
        let (window, task, buffer) = (to.window, to.task.link, to.buffer);
        if count == 0 || window == 0 {
            return (0, 0);
        }
        let (mut unwrapped, mut filled) = (0, 0);
        for (index, &handle) in handles[..count].iter().enumerate() {
            // Another thread of the sender may have changed the entry since it was checked: what must not go arrives empty.
            let capability = self.capability_in(sender_task, u64::from(handle)).unwrap_or(Capability::NULL);
            let may_go = capability.rights.contains(Rights::TRANSFER);
            let capability = if may_go { capability } else { Capability::NULL };
            let named_here = endpoint.is_some_and(|endpoint| capability.name.link == endpoint);
            if capability.kind == Kind::Endpoint
                && named_here
                && buffer != 0
                && self.is_live_endpoint(&capability)
            {
                unwrapped |= 1 << index;
                self.machine.object::<Thread>(receiver).badges[index] = capability.badge;
                continue;
            }
            let Ok(place) = self.entry_of(task, Handle(window + index as u32)) else { continue };
            if capability.kind == Kind::Reply {
                self.take_reply(sender_task, handle, task);
            }
            // What the receiver left in its window goes like everything dropped: a reply there fails its call.
            self.drop_capability(task, place);
            *self.capability_at(place) = capability;
            filled = index as u8 + 1;
        }
        let to = self.machine.object::<Thread>(receiver);
        to.window_filled = filled;
        to.unwrapped = unwrapped;
        to.unfinished |= unwrapped != 0;
        (count, unwrapped)
    }

    /// A reply is moved, never copied.
    fn take_reply(&mut self, sender_task: Link, handle: u32, receiver_task: Link) {
        if let Ok(place) = self.entry_of(sender_task, Handle(handle)) {
            *self.capability_at(place) = Capability::NULL;
        }
        self.machine.object::<Task>(sender_task).saved_replies -= 1;
        self.machine.object::<Task>(receiver_task).saved_replies += 1;
    }

    fn is_live_endpoint(&mut self, capability: &Capability) -> bool {
        self.name_of::<Endpoint>(capability.name.link) == capability.name
    }

    /// Drops the capabilities that the last message left in a thread's window.
    pub(super) fn clear_window(&mut self, link: Link) {
        let thread = self.machine.object::<Thread>(link);
        let (window, task) = (thread.window, thread.task.link);
        for index in 0..core::mem::take(&mut thread.window_filled) {
            if let Ok(place) = self.entry_of(task, Handle(window + u32::from(index))) {
                self.drop_capability(task, place);
            }
        }
    }

    /// Writes what a received message holds beyond registers to the thread's buffer, in its own address space. False: the
    /// buffer's page must be brought in first, the thread waits for its pager.
    pub(crate) fn copy_message_out(&mut self, link: Link) -> bool {
        let thread = self.machine.object::<Thread>(link);
        let (buffer, beyond, unwrapped) =
            (thread.buffer, usize::from(thread.copy_out_words), thread.unwrapped);
        let badges = thread.badges;
        let mut written = Ok(());
        if beyond != 0 {
            let words = thread.words;
            written = self.machine.write_user_words(buffer, &words[..beyond]);
        }
        if unwrapped != 0 && written.is_ok() {
            written = self.machine.write_user_words(buffer + BUFFER_BADGES_OFFSET as u64, &badges);
        }
        match written {
            Ok(()) => {
                let thread = self.machine.object::<Thread>(link);
                (thread.unfinished, thread.copy_out_words, thread.unwrapped) = (false, 0, 0);
                true
            }
            Err(fault) => {
                self.raise_fault(link, fault);
                false
            }
        }
    }
}
