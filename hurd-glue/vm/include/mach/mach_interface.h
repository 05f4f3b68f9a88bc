/* Mach 3's calls on memory. What each does and refuses here is in docs/mach-vm.md. */
#ifndef _MACH_MACH_INTERFACE_H_
#define _MACH_MACH_INTERFACE_H_

#include <mach/boolean.h>
#include <mach/kern_return.h>
#include <mach/vm_inherit.h>
#include <mach/vm_prot.h>
#include <mach/vm_statistics.h>
#include <mach/vm_sync.h>
#include <mach/vm_types.h>

#ifdef __cplusplus
extern "C" {
#endif

vm_task_t mach_task_self(void);

kern_return_t vm_allocate(vm_task_t target_task, vm_address_t *address, vm_size_t size, boolean_t anywhere);
kern_return_t vm_deallocate(vm_task_t target_task, vm_address_t address, vm_size_t size);
kern_return_t vm_protect(vm_task_t target_task, vm_address_t address, vm_size_t size, boolean_t set_maximum,
                         vm_prot_t new_protection);
kern_return_t vm_inherit(vm_task_t target_task, vm_address_t address, vm_size_t size, vm_inherit_t new_inheritance);
kern_return_t vm_read(vm_task_t target_task, vm_address_t address, vm_size_t size, vm_offset_t *data,
                      mach_msg_type_number_t *data_count);
kern_return_t vm_write(vm_task_t target_task, vm_address_t address, vm_offset_t data,
                       mach_msg_type_number_t data_count);
kern_return_t vm_copy(vm_task_t target_task, vm_address_t source_address, vm_size_t size, vm_address_t dest_address);
kern_return_t vm_region(vm_task_t target_task, vm_address_t *address, vm_size_t *size, vm_prot_t *protection,
                        vm_prot_t *max_protection, vm_inherit_t *inheritance, boolean_t *is_shared,
                        memory_object_name_t *object_name, vm_offset_t *offset);
kern_return_t vm_statistics(vm_task_t target_task, vm_statistics_data_t *vm_stats);
kern_return_t vm_map(vm_task_t target_task, vm_address_t *address, vm_size_t size, vm_address_t mask,
                     boolean_t anywhere, memory_object_t memory_object, vm_offset_t offset, boolean_t copy,
                     vm_prot_t cur_protection, vm_prot_t max_protection, vm_inherit_t inheritance);
kern_return_t vm_remap(vm_task_t target_task, vm_address_t *address, vm_size_t size, vm_address_t mask,
                       boolean_t anywhere, vm_task_t source_task, vm_address_t source_address, boolean_t copy,
                       vm_prot_t *cur_protection, vm_prot_t *max_protection, vm_inherit_t inheritance);
kern_return_t vm_wire(host_priv_t host_priv, vm_task_t target_task, vm_address_t address, vm_size_t size,
                      vm_prot_t access);
kern_return_t vm_msync(vm_task_t target_task, vm_address_t address, vm_size_t size, vm_sync_t sync_flags);
kern_return_t vm_object_sync(memory_object_name_t object, vm_offset_t offset, vm_size_t size, boolean_t should_flush,
                             boolean_t should_return, boolean_t should_iosync);

#ifdef __cplusplus
}
#endif

#endif
