//! The part of QEMU's plugin interface that is used, version 1 (QEMU documentation, "QEMU TCG Plugins", "API").
//!
//! Debian's package has no header for it. The functions are QEMU's own: they are found when it loads the plugin.

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::atomic::AtomicU64;

/// Version of the interface.
pub const VERSION: c_int = 1;

/// Identity of a loaded plugin.
pub type Id = u64;

/// A block that is being translated.
#[repr(C)]
pub struct RawBlock([u8; 0]);

/// An instruction of it.
#[repr(C)]
pub struct RawInstruction([u8; 0]);

/// What QEMU says of itself; not looked at.
#[repr(C)]
pub struct Info([u8; 0]);

/// `QEMU_PLUGIN_INLINE_ADD_U64`.
const ADD_U64: c_int = 0;
/// `QEMU_PLUGIN_CB_NO_REGS`: the callback looks at no register.
const NO_REGISTERS: c_int = 0;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, call: extern "C" fn(Id, *mut RawBlock));
    fn qemu_plugin_register_atexit_cb(id: Id, call: extern "C" fn(Id, *mut c_void), data: *mut c_void);
    fn qemu_plugin_tb_n_insns(block: *const RawBlock) -> usize;
    fn qemu_plugin_tb_vaddr(block: *const RawBlock) -> u64;
    fn qemu_plugin_tb_get_insn(block: *const RawBlock, index: usize) -> *mut RawInstruction;
    fn qemu_plugin_insn_data(instruction: *const RawInstruction) -> *const c_void;
    fn qemu_plugin_insn_size(instruction: *const RawInstruction) -> usize;
    fn qemu_plugin_insn_haddr(instruction: *const RawInstruction) -> *mut c_void;
    fn qemu_plugin_register_vcpu_insn_exec_inline(
        instruction: *mut RawInstruction,
        operation: c_int,
        to: *mut c_void,
        amount: u64,
    );
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut RawInstruction,
        call: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
}

/// Has QEMU call at each translation and at the end.
pub fn register(id: Id, translated: extern "C" fn(Id, *mut RawBlock), ended: extern "C" fn(Id, *mut c_void)) {
    // SAFETY: `id` is the one that QEMU gave; functions live as long as the plugin, which is never unloaded.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu_plugin_register_atexit_cb(id, ended, std::ptr::null_mut());
    }
}

/// The plugin's arguments, each `name=value`.
///
/// # Safety
///
/// `count` and `values` are those of `qemu_plugin_install`.
pub unsafe fn arguments(count: c_int, values: *const *const c_char) -> Vec<String> {
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: QEMU gives so many strings, each ended by a zero byte, for the time of the call.
    let strings = (0..count).map(|index| unsafe { std::ffi::CStr::from_ptr(*values.add(index)) });
    strings.map(|string| string.to_string_lossy().into_owned()).collect()
}

/// A block, for the time of a translation's callback.
pub struct Block(*mut RawBlock);

/// An instruction of it.
pub struct Instruction(*mut RawInstruction);

impl Block {
    /// The block of a callback.
    ///
    /// # Safety
    ///
    /// It is the callback's argument, and is not used after the callback.
    pub unsafe fn new(raw: *mut RawBlock) -> Block {
        Block(raw)
    }

    /// Where it begins, in the guest's address space.
    pub fn address(&self) -> u64 {
        // SAFETY: the block lives, as `new` demands.
        unsafe { qemu_plugin_tb_vaddr(self.0) }
    }

    /// Its instructions.
    pub fn instructions(&self) -> Vec<Instruction> {
        // SAFETY: the block lives; indices are below its number of instructions.
        unsafe {
            let count = qemu_plugin_tb_n_insns(self.0);
            (0..count).map(|index| Instruction(qemu_plugin_tb_get_insn(self.0, index))).collect()
        }
    }
}

impl Instruction {
    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        // SAFETY: the instruction lives as long as its block; QEMU holds so many bytes of it.
        unsafe {
            let bytes = qemu_plugin_insn_data(self.0).cast::<u8>();
            std::slice::from_raw_parts(bytes, qemu_plugin_insn_size(self.0)).to_vec()
        }
    }

    /// Where QEMU keeps it; 0 where it does not know.
    pub fn host_address(&self) -> u64 {
        // SAFETY: as for `bytes`. The address is only compared.
        unsafe { qemu_plugin_insn_haddr(self.0) as u64 }
    }

    /// Adds one to the counter at each execution.
    pub fn count(&self, counter: &'static AtomicU64) {
        // SAFETY: as for `bytes`; the counter lives for ever and may be written from anywhere.
        unsafe { qemu_plugin_register_vcpu_insn_exec_inline(self.0, ADD_U64, counter.as_ptr().cast(), 1) }
    }

    /// Calls at each execution, with this number.
    pub fn call(&self, call: extern "C" fn(c_uint, *mut c_void), number: usize) {
        // SAFETY: as for `bytes`; the number is not taken for a pointer by anybody.
        unsafe { qemu_plugin_register_vcpu_insn_exec_cb(self.0, call, NO_REGISTERS, number as *mut c_void) }
    }
}
